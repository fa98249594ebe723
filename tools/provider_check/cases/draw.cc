// SPDX-License-Identifier: Apache-2.0
#include "draw.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "elements.h"

namespace ashlar::comparison {
namespace {

constexpr std::int64_t kLengths[] = {1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 64, 65};
constexpr std::uint32_t kRounds = 3;  // of kLengths, for one length of 0
constexpr int kOpset = 28, kIrVersion = 13;

std::int64_t length_at(std::uint32_t choice) {
  return choice == std::size(kLengths) * kRounds ? 0 : kLengths[choice % std::size(kLengths)];
}

void write(const Tensor& tensor, ::onnx::TensorProto& to) {
  to.set_data_type(static_cast<int>(tensor.dtype()));
  for (const std::int64_t d : tensor.shape()) to.add_dims(d);
  if (tensor.dtype() == DType::kString)
    for (const std::string& s : tensor.span<std::string>()) to.add_string_data(s);
  else to.set_raw_data(tensor.raw(), tensor.bytes());
}

Shape to_shape(const std::vector<std::int64_t>& dims) { return Shape(std::span<const std::int64_t>(dims)); }

/// The range narrowed to what the dtype holds.
Fill narrowed(Fill fill, DType dtype) {
  const bool is_signed = cli::is_float(dtype) || dtype == DType::kInt8 || dtype == DType::kInt16 || dtype == DType::kInt32 ||
                         dtype == DType::kInt64 || dtype == DType::kInt4 || dtype == DType::kInt2;
  if (dtype == DType::kBool) return {0, 1};
  if (!is_signed) fill.low = std::max(fill.low, 0.0);
  if (!cli::is_float(dtype)) {
    const double most = static_cast<double>(cli::integer_max(dtype));
    fill.high = std::min(fill.high, most);
    fill.low = std::max(fill.low, -most - 1);
    fill.specials = Fill::kNone;
  } else if (bit_width(dtype) < 16) {
    fill.specials = Fill::kNone;
  }
  fill.high = std::max(fill.high, fill.low);
  return fill;
}

double special(std::mt19937_64& random, Fill::Specials specials) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double list[] = {-0.0, 0.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN()};
  return list[random() % (specials == Fill::kNaN ? 5 : 4)];
}

}  // namespace

std::uint32_t Choices::below(std::uint32_t bound) {
  const std::size_t at = taken_.size();
  const std::uint32_t value = !replays_            ? static_cast<std::uint32_t>(random_() % bound)
                              : at < given_.size() ? std::min(given_[at], bound - 1)
                                                   : 0;
  taken_.push_back(value);
  return value;
}

std::vector<std::int64_t> sizes(const Extents& extents) {
  std::vector<std::int64_t> out;
  for (const Extent& e : extents) out.push_back(e.size);
  return out;
}

std::int64_t count(const Extents& extents) {
  return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, [](std::int64_t n, const Extent& e) { return n * e.size; });
}

Extent derived(std::int64_t size, const Extents& from) {
  return {size, std::all_of(from.begin(), from.end(), [](const Extent& e) { return e.fixed(); }) ? "" : kUnknown};
}

Tensor integers(const std::vector<std::int64_t>& values, DType dtype) {
  Tensor tensor = Tensor::zeros(dtype, {static_cast<std::int64_t>(values.size())});
  for (std::size_t i = 0; i < values.size(); ++i) cli::set_number(tensor, i, static_cast<cli::Number>(values[i]));
  return tensor;
}

Draw::Draw(Choices& choices, int variant) : choices_(choices), variant_(variant) {
  case_.threads = flip() ? 3 : 1;
  symbolic_ = flip();
  const std::uint32_t size = below(40);
  limit_ = size == 39 ? 1 << 20 : size >= 30 ? 1 << 16 : 1 << 12;
}

std::int64_t Draw::between(std::int64_t low, std::int64_t high) {
  return high <= low ? low : low + below(static_cast<std::uint32_t>(high - low + 1));
}

std::vector<std::int64_t> Draw::axes(std::int64_t rank, std::int64_t n) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(rank)), out;
  std::iota(all.begin(), all.end(), 0);
  for (; n > 0 && !all.empty(); --n) {
    const auto at = all.begin() + below(static_cast<std::uint32_t>(all.size()));
    out.push_back(*at);
    all.erase(at);
  }
  return out;
}

Extent Draw::extent(std::int64_t most, std::int64_t least) {
  constexpr auto kBound = static_cast<std::uint32_t>(std::size(kLengths)) * kRounds + 1;
  std::uint32_t choice = below(kBound);
  const bool open = symbolic_ && flip();
  if (open) {
    const std::uint32_t second = below(kBound), third = below(kBound);
    choice = variant_ == 0 ? choice : variant_ == 1 ? second : third;
  }
  return {std::max(std::min(length_at(choice), most), least), open ? "s" + std::to_string(symbols_++) : ""};
}

Extent Draw::extent_of(std::initializer_list<std::int64_t> lengths) {
  const auto bound = static_cast<std::uint32_t>(lengths.size());
  std::uint32_t choice = below(bound);
  const bool open = symbolic_ && flip();
  if (open) {
    const std::uint32_t second = below(bound), third = below(bound);
    choice = variant_ == 0 ? choice : variant_ == 1 ? second : third;
  }
  return {lengths.begin()[choice], open ? "s" + std::to_string(symbols_++) : ""};
}

Extents Draw::shape(int least_rank, int most_rank) {
  Extents out(static_cast<std::size_t>(between(least_rank, most_rank)));
  std::int64_t left = limit_;
  for (Extent& e : out) {
    e = extent(std::max<std::int64_t>(left, 1));
    left /= std::max<std::int64_t>(e.size, 1);
  }
  return out;
}

Extents Draw::thinned(const Extents& shape) {
  Extents out = shape;
  const std::uint32_t form = below(6);
  if (form == 1) return {};
  if (form == 2 || form == 4) out.erase(out.begin(), out.begin() + between(0, static_cast<std::int64_t>(out.size())));
  if (form == 3 || form == 4)
    for (Extent& e : out)
      if (flip()) e = {1};
  if (rarely(100) && !out.empty()) out.back() = {out.back().size + 2, kUnknown};
  return out;
}

Tensor Draw::random(DType dtype, const std::vector<std::int64_t>& dims, const Fill& wanted, std::uint32_t seed, std::uint32_t mode) const {
  enum { kOnes, kSteps, kUniform, kWithSpecials };
  Tensor tensor = Tensor::zeros(dtype, to_shape(dims));
  const auto n = static_cast<std::size_t>(tensor.element_count());
  std::mt19937_64 random(seed);
  if (dtype == DType::kString) {
    for (std::size_t i = 0; i < n; ++i) tensor.mutable_data<std::string>()[i] = "text " + std::to_string(random() % 30);
    return tensor;
  }
  const Fill fill = narrowed(wanted, dtype);
  const bool whole = !cli::is_float(dtype);
  const auto make = [&](std::size_t i) {
    const double width = fill.high - fill.low;
    double value = std::clamp(1.0, fill.low, fill.high);
    if (mode == kSteps)
      value = std::clamp(std::ceil(fill.low) + std::fmod(static_cast<double>(i), std::floor(width) + 1), fill.low, fill.high);
    if (mode >= kUniform) value = fill.low + width * static_cast<double>(random() >> 11) * 0x1p-53;
    if (mode == kWithSpecials && fill.specials != Fill::kNone && random() % 8 == 0) value = special(random, fill.specials);
    if (whole)
      value = mode >= kUniform ? std::floor(fill.low + static_cast<double>(random() >> 11) * 0x1p-53 * (width + 1)) : std::floor(value);
    if (whole) value = std::min(value, fill.high);
    if (fill.nonzero && value == 0) value = std::clamp(1.0, fill.low, fill.high);
    return value;
  };
  if (dtype == DType::kFloat32) {
    for (std::size_t i = 0; i < n; ++i) tensor.mutable_data<float>()[i] = static_cast<float>(make(i));
  } else {
    for (std::size_t i = 0; i < n; ++i) cli::set_number(tensor, i, static_cast<cli::Number>(make(i)));
  }
  return tensor;
}

std::string Draw::declare(const Tensor& tensor, const Extents& extents) {
  auto& info = *case_.model.mutable_graph()->add_input();
  info.set_name(next_name("x"));
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int>(tensor.dtype()));
  case_.inputs.add(info.name(), tensor);
  if (symbolic_ && rarely(12)) return info.name();  // not even the rank is declared
  auto& shape = *type.mutable_shape();
  for (const Extent& e : extents) {
    auto& dim = *shape.add_dim();
    if (e.fixed()) dim.set_dim_value(e.size);
    else if (e.symbol != kUnknown) dim.set_dim_param(e.symbol);
  }
  return info.name();
}

std::string Draw::input(DType dtype, const Extents& extents, const Fill& fill) {
  const std::uint32_t mode = below(4), seed = below(1 << 16);
  return declare(random(dtype, sizes(extents), fill, seed + (static_cast<std::uint32_t>(variant_) << 16), mode), extents);
}

std::string Draw::operand(DType dtype, const Extents& extents, const Fill& fill) {
  const bool fixed = std::all_of(extents.begin(), extents.end(), [](const Extent& e) { return e.fixed(); });
  if (case_.inputs.empty() || !flip() || !fixed) return input(dtype, extents, fill);
  const std::uint32_t mode = below(4), seed = below(1 << 16);
  return constant(random(dtype, sizes(extents), fill, seed, mode));
}

std::string Draw::constant(const Tensor& tensor) {
  auto& initializer = *case_.model.mutable_graph()->add_initializer();
  write(tensor, initializer);
  initializer.set_name(next_name("w"));
  return initializer.name();
}

std::string Draw::given(const Tensor& tensor) {
  if (!flip()) return constant(tensor);
  Extents extents;
  for (const std::int64_t d : tensor.shape()) extents.push_back({d});
  return declare(tensor, extents);
}

void set_attribute(::onnx::NodeProto& node, const std::string& name, const Attribute& value) {
  using ::onnx::AttributeProto;
  AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    a.set_type(AttributeProto::INT);
    a.set_i(*i);
  } else if (const auto* f = std::get_if<float>(&value)) {
    a.set_type(AttributeProto::FLOAT);
    a.set_f(*f);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    a.set_type(AttributeProto::STRING);
    a.set_s(*s);
  } else if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&value)) {
    a.set_type(AttributeProto::INTS);
    for (const std::int64_t v : *ints) a.add_ints(v);
  } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
    a.set_type(AttributeProto::FLOATS);
    for (const float v : *floats) a.add_floats(v);
  } else {
    a.set_type(AttributeProto::TENSOR);
    write(std::get<Tensor>(value), *a.mutable_t());
  }
}

Names Draw::apply_all(const char* op, Names inputs, int outputs, const Attributes& attributes) {
  auto& node = *case_.model.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_name(next_name("n"));
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  for (const std::string& name : inputs) node.add_input(name);
  Names out;
  for (int i = 0; i < outputs; ++i) node.add_output(out.emplace_back(next_name("y")));
  for (const auto& [name, value] : attributes) set_attribute(node, name, value);
  return out;
}

Case Draw::finish() {
  auto& graph = *case_.model.mutable_graph();
  graph.set_name("comparison");
  case_.model.set_ir_version(kIrVersion);
  case_.model.add_opset_import()->set_version(kOpset);
  std::set<std::string> used(exposed_.begin(), exposed_.end());
  for (const auto& node : graph.node()) used.insert(node.input().begin(), node.input().end());
  for (const auto& node : graph.node())
    for (const std::string& name : node.output())
      if (used.insert(name).second) exposed_.push_back(name);
  std::set<std::string> declared;
  for (const std::string& name : exposed_)
    if (declared.insert(name).second) graph.add_output()->set_name(name);
  return std::move(case_);
}

}  // namespace ashlar::comparison
