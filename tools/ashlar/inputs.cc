// SPDX-License-Identifier: Apache-2.0
#include "inputs.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include <ashlar/value_io.h>

#include "elements.h"
#include "fail.h"
#include "files.h"
#include "generate.h"
#include "literal.h"
#include "note.h"
#include "npy.h"
#include "suggest.h"
#include "wav.h"
#include "zip.h"

namespace ashlar::cli {
namespace fs = std::filesystem;

const char* const kValueGrammar =
    "VALUE is one of: a literal in JSON such as 3, [1,2,3], [[1,2],[3,4]] or \"text\"; random, random:SEED, zeros or ones; "
    "@FILE with .npy, .npz, .pb (ONNX), .png, .jpg, .jpeg, .wav, .bin (raw bytes) or .txt (numbers)";

namespace {

struct Request {
  const ValueInfo& info;
  KnownShape known;
  fs::path file;
  const Normalization& normalization;

  DType dtype() const { return info.type.dtype; }
};

// NumPy has no dtype for some of ONNX's: their elements come as another and are converted.
Tensor fit_array(const Tensor& array, const Request& r) {
  require_shape(r.dtype(), r.known, array.shape());
  if (array.dtype() == r.dtype()) return array;
  if (numpy_has(r.dtype()) || array.dtype() == DType::kString || is_complex(array.dtype()))
    fail("the array is {}, the input is {}; convert it with .astype()", array.type_string(), describe(r.dtype(), r.known));
  Tensor converted = Tensor::zeros(r.dtype(), array.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(array.element_count()); ++i) set_number(converted, i, number_at(array, i));
  return converted;
}

Value from_npy(const Request& r) { return fit_array(parse_npy(read_file(r.file)), r); }

Value from_npz(const Request& r) {
  const std::vector<std::byte> archive = read_file(r.file);
  const std::vector<ZipEntry> entries = zip_entries(archive);
  const std::string wanted = r.info.name + ".npy";
  auto entry = std::find_if(entries.begin(), entries.end(), [&](const ZipEntry& e) { return e.name == wanted; });
  if (entry == entries.end() && entries.size() == 1) entry = entries.begin();
  if (entry == entries.end()) {
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), 8); ++i) names += (i ? ", " : "") + entries[i].name;
    fail(ErrorCode::kNotFound, "the archive has {} entries and none is '{}'; it has: {}", entries.size(), wanted, names);
  }
  return fit_array(parse_npy(zip_read(archive, *entry)), r);
}

Value from_onnx(const Request& r) { return read_onnx_value(r.file, r.info.type); }

Value from_picture(const Request& r) { return picture_tensor(read_file(r.file), r.dtype(), r.known, r.normalization); }

Value from_wav(const Request& r) {
  if (!is_float(r.dtype())) fail("a sound fits float inputs, this one is {}", to_string(r.dtype()));
  const Sound sound = parse_wav(read_file(r.file));
  const auto count = static_cast<std::int64_t>(sound.samples.size());
  note("{}: {} samples at {} Hz{}", r.file.string(), count, sound.rate,
       sound.channels > 1 ? fmt::format(", the mean of {} channels", sound.channels) : "");
  std::vector<std::int64_t> dims = r.known.value_or(std::vector<std::int64_t>{-1});
  if (dims.empty()) fail("a sound of {} samples does not fit {}", count, describe(r.dtype(), r.known));
  for (std::int64_t& d : dims)
    if (d < 0) d = 1;
  const bool last_unknown = !r.known || r.known->back() < 0;
  if (last_unknown) dims.back() = count;
  if (Shape shape(dims); dims.back() != count || shape.element_count() != count)
    fail("a sound of {} samples does not fit {}", count, describe(r.dtype(), r.known));
  Tensor tensor = Tensor::zeros(r.dtype(), Shape(dims));
  for (std::size_t i = 0; i < sound.samples.size(); ++i) set_number(tensor, i, sound.samples[i]);
  return tensor;
}

Value from_bytes(const Request& r) {
  const int bits = bit_width(r.dtype());
  if (bits == 0) fail("raw bytes do not fit {}", to_string(r.dtype()));
  const std::vector<std::byte> bytes = read_file(r.file);
  const auto capacity = static_cast<std::int64_t>(bits >= 8 ? bytes.size() / (static_cast<std::size_t>(bits) / 8)
                                                            : bytes.size() * (8 / static_cast<std::size_t>(bits)));
  const bool all_known = r.known && std::count(r.known->begin(), r.known->end(), -1) == 0;
  const Shape shape = all_known ? Shape(*r.known) : fit_count(r.dtype(), r.known, capacity);
  const std::size_t needed = byte_size(r.dtype(), static_cast<std::size_t>(shape.element_count()));
  if (bytes.size() != needed) fail("the file has {} bytes, {}{} takes {}", bytes.size(), to_string(r.dtype()), shape.to_string(), needed);
  Tensor tensor = Tensor::zeros(r.dtype(), shape);
  if (!bytes.empty()) std::memcpy(tensor.mutable_raw(), bytes.data(), bytes.size());
  return tensor;
}

Value from_text(const Request& r) { return parse_numbers(read_text(r.file), r.dtype(), r.known); }

struct Format {
  std::string_view extension;
  Value (*read)(const Request&);
  bool tensors_only = true;
};

constexpr Format kFormats[] = {
    {".npy", from_npy},      {".npz", from_npz}, {".pb", from_onnx, false}, {".png", from_picture}, {".jpg", from_picture},
    {".jpeg", from_picture}, {".wav", from_wav}, {".bin", from_bytes},      {".txt", from_text},
};

Value from_file(const Request& r) {
  std::string extension = r.file.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const Format& f : kFormats) {
    if (f.extension != extension) continue;
    if (f.tensors_only && r.info.type.kind != ValueType::Kind::kTensor) fail("a {} comes as @FILE.pb", r.info.type.to_string());
    return f.read(r);
  }
  fail("files of type '{}' are not read; @FILE ends in .npy, .npz, .pb, .png, .jpg, .jpeg, .wav, .bin or .txt", extension);
}

Value generated(const Request& r, Filling filling, std::uint64_t seed) {
  if (r.info.type.kind != ValueType::Kind::kTensor) fail("a {} cannot be made up; give it as @FILE.pb", r.info.type.to_string());
  std::vector<std::int64_t> dims = r.known.value_or(std::vector<std::int64_t>{});
  const bool unknown = !r.known || std::count(dims.begin(), dims.end(), -1) > 0;
  for (std::int64_t& d : dims)
    if (d < 0) d = 1;
  if (unknown)
    note("input '{}' is {}: taken as {} (--shape says otherwise)", r.info.name, r.info.type.to_string(), Shape(dims).to_string());
  return generate(r.dtype(), Shape(dims), filling, seed, r.info.name);
}

std::optional<std::uint64_t> random_seed(std::string_view text) {
  constexpr std::string_view kRandom = "random";
  if (text == kRandom) return 0;
  if (!text.starts_with("random:")) return std::nullopt;
  const std::string_view digits = text.substr(kRandom.size() + 1);
  std::uint64_t seed = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (code != std::errc() || end != digits.data() + digits.size()) fail("'{}' is no seed: a whole number from 0", digits);
  return seed;
}

Value value_of(std::string_view text, Request r) {
  if (text.starts_with('@')) {
    r.file = text.substr(1);
    try {
      return from_file(r);
    } catch (const Error& e) {
      throw e.with({.file = r.file.string()});
    }
  }
  if (const auto seed = random_seed(text)) return generated(r, Filling::kRandom, *seed);
  if (text == "zeros") return generated(r, Filling::kZeros, 0);
  if (text == "ones") return generated(r, Filling::kOnes, 0);
  return parse_literal(text, r.info.type, r.known);
}

// NAME=REST, where NAME is an input's name and may itself hold '='.
std::pair<const ValueInfo*, std::string> split(const std::string& text, const std::vector<ValueInfo>& inputs, std::string_view option) {
  const std::size_t first = text.find('=');
  if (first == std::string::npos) fail("{} '{}' lacks its '=': write NAME=...", option, text);
  for (std::size_t at = first; at != std::string::npos; at = text.find('=', at + 1))
    for (const ValueInfo& info : inputs)
      if (text.compare(0, at, info.name) == 0) return {&info, text.substr(at + 1)};
  std::vector<std::string> names;
  for (const ValueInfo& info : inputs) names.push_back(info.name);
  const std::string name = text.substr(0, first);
  fail(ErrorCode::kNotFound, "{}: the model has no input '{}'{}", option, name, suggestion(name, names));
}

Value shaped(const ValueInfo& info, std::string_view text, ShapeBook& book, const Normalization& normalization) {
  try {
    Value value = value_of(text, {info, book.known(info), {}, normalization});
    if (value.is_tensor()) book.learn(info, value.tensor().shape());
    return value;
  } catch (const Error& e) {
    throw e.with({.tensor = info.name});
  }
}

}  // namespace

std::vector<GivenInput> gather_inputs(const std::vector<ValueInfo>& inputs, const InputRequests& requests) {
  ShapeBook book;
  for (const std::string& text : requests.shapes) {
    const auto [info, dims] = split(text, inputs, "--shape");
    book.set(*info, parse_dims(dims));
  }
  std::vector<GivenInput> given;
  const auto is_given = [&](const ValueInfo& info) {
    return std::any_of(given.begin(), given.end(), [&](const GivenInput& g) { return g.name == info.name; });
  };
  for (const std::string& text : requests.inputs) {
    const auto [info, value] = split(text, inputs, "--input");
    if (is_given(*info)) fail("input '{}' is given twice", info->name);
    given.push_back({info->name, value.substr(0, 200), shaped(*info, value, book, requests.normalization)});
  }
  for (const ValueInfo& info : inputs) {
    if (is_given(info) || info.has_default) continue;
    if (!requests.inputs.empty())
      fail("input '{}' ({}) is missing: give --input {}=VALUE, such as random", info.name, info.type.to_string(), info.name);
    note("input '{}' is made up: random {}", info.name, info.type.to_string());
    given.push_back({info.name, "random", shaped(info, "random", book, requests.normalization)});
  }
  return given;
}

}  // namespace ashlar::cli
