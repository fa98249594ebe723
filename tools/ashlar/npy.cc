// SPDX-License-Identifier: Apache-2.0
#include "npy.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "elements.h"
#include "fail.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct NpyType {
  DType dtype;
  std::string_view code;
};

constexpr NpyType kTypes[] = {
    {DType::kBool, "b1"},    {DType::kInt8, "i1"},    {DType::kInt16, "i2"},     {DType::kInt32, "i4"},       {DType::kInt64, "i8"},
    {DType::kUint8, "u1"},   {DType::kUint16, "u2"},  {DType::kUint32, "u4"},    {DType::kUint64, "u8"},      {DType::kFloat16, "f2"},
    {DType::kFloat32, "f4"}, {DType::kFloat64, "f8"}, {DType::kComplex64, "c8"}, {DType::kComplex128, "c16"},
};

struct Header {
  std::string descr;
  bool fortran = false;
  Shape shape;
};

// Reads the header, a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  Header read() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        if (peek() == '[') fail("structured dtypes are not read");
        header.descr = quoted();
        descr = true;
      } else if (key == "fortran_order") {
        header.fortran = word() == "True";
        order = true;
      } else if (key == "shape") {
        header.shape = tuple();
        shape = true;
      } else {
        damaged();
      }
      if (!take(',') && peek() != '}') damaged();
    }
    if (!descr || !order || !shape) damaged();
    return header;
  }

 private:
  [[noreturn]] static void damaged() { fail("the .npy header is damaged"); }

  char peek() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool take(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) damaged();
  }
  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged();
    rest_.remove_prefix(1);
    const std::size_t end = rest_.find(quote);
    if (end == std::string_view::npos) damaged();
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string_view word() {
    for (std::string_view w : {std::string_view("True"), std::string_view("False")}) {
      peek();
      if (rest_.starts_with(w)) {
        rest_.remove_prefix(w.size());
        return w;
      }
    }
    damaged();
  }
  Shape tuple() {
    std::vector<std::int64_t> dims;
    expect('(');
    while (!take(')')) {
      peek();
      std::int64_t dim = -1;
      const auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (code != std::errc() || dim < 0) damaged();
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      dims.push_back(dim);
      if (!take(',') && peek() != ')') damaged();
    }
    return Shape(dims);
  }

  std::string_view rest_;
};

std::uint32_t little(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

// Elements of `size` bytes laid out first dimension fastest, put into row-major order.
std::vector<std::byte> transposed(std::span<const std::byte> data, const Shape& shape, std::size_t size) {
  std::vector<std::byte> out(data.size());
  std::vector<std::size_t> stride(shape.size()), index(shape.size());
  std::size_t step = size;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    stride[d] = step;
    step *= static_cast<std::size_t>(shape[d]);
  }
  std::size_t from = 0;
  for (std::size_t to = 0; to < out.size(); to += size) {
    std::memcpy(&out[to], &data[from], size);
    for (std::size_t d = shape.size(); d-- > 0;) {
      from += stride[d];
      if (++index[d] < static_cast<std::size_t>(shape[d])) break;
      from -= stride[d] * index[d];
      index[d] = 0;
    }
  }
  return out;
}

std::string text_element(std::span<const std::byte> bytes, bool unicode) {
  std::string text;
  if (!unicode) {
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!text.empty() && text.back() == '\0') text.pop_back();
    return text;
  }
  std::vector<char32_t> points;
  for (std::size_t i = 0; i < bytes.size(); i += 4) points.push_back(little(bytes.subspan(i, 4)));
  while (!points.empty() && points.back() == 0) points.pop_back();
  for (char32_t p : points) append_utf8(text, p);
  return text;
}

struct Layout {
  DType dtype = DType::kUndefined;
  std::size_t element_bytes = 0;
  bool unicode = false;
};

Layout layout_of(std::string_view descr) {
  constexpr std::size_t kLongestText = 1 << 20;
  if (descr.size() < 2) fail("dtype '{}' is not read", descr);
  const char order = descr.front();
  const std::string_view code = descr.substr(1);
  if (order == '>' && code != "i1" && code != "u1") fail("big-endian dtype '{}' is not read; save it little-endian", descr);
  if (code.front() == 'O') fail("object arrays are not read; they hold pickled Python objects");
  for (const NpyType& t : kTypes)
    if (t.code == code) return {t.dtype, byte_size(t.dtype, 1), false};
  if (code.front() == 'U' || code.front() == 'S') {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(code.data() + 1, code.data() + code.size(), length);
    if (error == std::errc() && end == code.data() + code.size() && length <= kLongestText)
      return {DType::kString, code.front() == 'U' ? length * 4 : length, code.front() == 'U'};
  }
  fail("dtype '{}' is not read", descr);
}

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) fail("not an .npy file");
  const int major = std::to_integer<int>(bytes[6]);
  if (major < 1 || major > 3) fail("version {} of the .npy format is not read", major);
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) fail("the .npy header is damaged");
  const std::size_t header_bytes = little(bytes.subspan(8, length_bytes));
  bytes = bytes.subspan(8 + length_bytes);
  if (header_bytes > bytes.size()) fail("the .npy header is damaged");
  const Header header = HeaderReader({reinterpret_cast<const char*>(bytes.data()), header_bytes}).read();
  bytes = bytes.subspan(header_bytes);

  const Layout layout = layout_of(header.descr);
  const auto count = static_cast<std::size_t>(header.shape.element_count());
  const bool fits = layout.element_bytes == 0 ? bytes.empty() && count <= (1u << 20)
                                              : bytes.size() % layout.element_bytes == 0 && bytes.size() / layout.element_bytes == count;
  if (!fits) fail("shape {} of '{}' does not fit {} bytes of data", header.shape.to_string(), header.descr, bytes.size());

  std::vector<std::byte> reordered;
  if (header.fortran && header.shape.rank() > 1 && !bytes.empty()) {
    reordered = transposed(bytes, header.shape, layout.element_bytes);
    bytes = reordered;
  }
  Tensor tensor = Tensor::zeros(layout.dtype, header.shape);
  if (layout.dtype == DType::kString) {
    auto* strings = tensor.mutable_data<std::string>();
    for (std::size_t i = 0; i < count; ++i)
      strings[i] = text_element(bytes.subspan(i * layout.element_bytes, layout.element_bytes), layout.unicode);
  } else if (!bytes.empty()) {
    std::memcpy(tensor.mutable_raw(), bytes.data(), bytes.size());
  }
  return tensor;
}

std::vector<std::byte> format_npy(const Tensor& tensor) {
  Tensor stored = tensor;
  const auto count = static_cast<std::size_t>(tensor.element_count());
  if (!numpy_has(tensor.dtype())) {
    const bool is_signed = tensor.dtype() == DType::kInt2 || tensor.dtype() == DType::kInt4;
    stored = Tensor::zeros(is_float(tensor.dtype()) ? DType::kFloat32 : is_signed ? DType::kInt8 : DType::kUint8, tensor.shape());
    for (std::size_t i = 0; i < count; ++i) set_number(stored, i, number_at(tensor, i));
  }
  std::string descr;
  std::vector<std::byte> data;
  if (stored.dtype() == DType::kString) {
    std::vector<std::vector<char32_t>> texts;
    std::size_t longest = 1;
    for (const std::string& s : stored.span<std::string>()) {
      texts.push_back(utf8_points(s));
      longest = std::max(longest, texts.back().size());
    }
    descr = fmt::format("<U{}", longest);
    data.resize(count * longest * 4);
    for (std::size_t i = 0; i < count; ++i)
      if (!texts[i].empty()) std::memcpy(&data[i * longest * 4], texts[i].data(), texts[i].size() * 4);
  } else {
    for (const NpyType& t : kTypes)
      if (t.dtype == stored.dtype()) descr = fmt::format("{}{}", bit_width(t.dtype) == 8 ? '|' : '<', t.code);
    if (descr.empty()) fail("{} has no .npy form", to_string(stored.dtype()));
    const auto* raw = static_cast<const std::byte*>(stored.raw());
    data.assign(raw, raw + stored.bytes());
  }
  std::string dims;
  for (std::int64_t d : stored.shape()) dims += fmt::format("{}, ", d);
  if (stored.shape().rank() > 1) dims.resize(dims.size() - 2);
  else if (stored.shape().rank() == 1) dims.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  constexpr std::size_t kPrefix = 10, kAlignment = 64;
  while ((kPrefix + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';

  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(header.size() & 0xff);
  prefix += static_cast<char>(header.size() >> 8);
  prefix += header;
  const auto* text = reinterpret_cast<const std::byte*>(prefix.data());
  std::vector<std::byte> out(text, text + prefix.size());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

}  // namespace ashlar::cli
