// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/optimizer/operator_samples.h"
#include "tests/support/tensors.h"

namespace ashlar::testing {
namespace {

DType dtype_of(const std::string& name) {
  static const std::map<std::string, DType> names = {{"float", DType::kFloat32}, {"double", DType::kFloat64}, {"int64", DType::kInt64},
                                                     {"int32", DType::kInt32},   {"int8", DType::kInt8},      {"uint8", DType::kUint8},
                                                     {"uint64", DType::kUint64}, {"bool", DType::kBool},      {"float16", DType::kFloat16}};
  return names.at(name);
}

std::string list(const std::vector<std::int64_t>& elements) {
  std::string out;
  for (const std::int64_t e : elements) out += (out.empty() ? "" : ", ") + std::to_string(e);
  return out;
}

}  // namespace

SampleWriter::Size SampleWriter::size(std::int64_t n) {
  if (chance(45)) return fixed(n);
  const std::string symbol = pick<std::string>({"N", "S", "K", "M", "P"});
  const auto [at, is_new] = symbols_.emplace(symbol, n);
  if (at->second == n) return {n, symbol};
  return fixed(n);
}

SampleWriter::Sizes SampleWriter::sizes(std::int64_t rank) {
  Sizes out;
  for (std::int64_t i = 0; i < rank; ++i) out.push_back(size());
  return out;
}

SampleWriter::Sizes SampleWriter::broadcast(const Sizes& with) {
  Sizes out = with;
  for (Size& s : out)
    if (chance(25)) s = size(1);
    else if (chance(20)) s = size(s.size);
  if (chance(30)) out.erase(out.begin(), out.begin() + below(static_cast<std::int64_t>(out.size()) + 1));
  return out;
}

std::string SampleWriter::input(const std::string& dtype, const Sizes& sizes, double low, double high) {
  const std::string name = unique("x");
  std::string dims;
  std::vector<std::int64_t> shape;
  for (const Size& s : sizes) {
    dims += (dims.empty() ? "" : ",") + s.text;
    shape.push_back(s.size);
  }
  inputs_ += (inputs_.empty() ? "" : ", ") + dtype + (dims.empty() ? "" : "[" + dims + "]") + " " + name;
  tensors_.push_back(random_tensor(rng_, dtype_of(dtype), Shape(std::span<const std::int64_t>(shape)), low, high));
  if (!sizes.empty()) ranked_.emplace_back(name, sizes);
  return name;
}

std::string SampleWriter::input(const std::vector<std::int64_t>& elements) {
  const std::string name = input("int64", {fixed(static_cast<std::int64_t>(elements.size()))});
  ranked_.pop_back();
  std::copy(elements.begin(), elements.end(), tensors_.back().mutable_data<std::int64_t>());
  return name;
}

std::string SampleWriter::constant(const std::vector<std::int64_t>& elements) {
  const std::string name = unique("k");
  constants_ +=
      (constants_.empty() ? "" : ", ") + ("int64[" + std::to_string(elements.size()) + "] ") + name + " = {" + list(elements) + "}";
  return name;
}

std::string SampleWriter::scalar(const std::string& dtype, const std::string& value) {
  const std::string name = unique("k");
  constants_ += (constants_.empty() ? "" : ", ") + dtype + " " + name + " = {" + value + "}";
  return name;
}

std::string SampleWriter::dimension(std::int64_t element) {
  std::vector<std::pair<std::string, std::size_t>> places;
  for (const auto& [name, sizes] : ranked_)
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i].size == element) places.emplace_back(name, i);
  if (places.empty() || chance(25)) return constant({element});
  const auto& [name, axis] = places[static_cast<std::size_t>(below(static_cast<std::int64_t>(places.size())))];
  if (chance(50)) return node("Shape", {name}, "start = " + std::to_string(axis) + ", end = " + std::to_string(axis + 1))[0];
  const std::string shape = node("Shape", {name})[0];
  return node("Gather", {shape, constant({static_cast<std::int64_t>(axis)})}, "axis = 0")[0];
}

std::string SampleWriter::vector(const std::vector<std::int64_t>& elements) {
  if (chance(25)) return constant(elements);
  if (chance(15)) return input(elements);
  if (elements.empty()) return constant(elements);
  std::vector<std::string> pieces;
  for (const std::int64_t e : elements) pieces.push_back(dimension(e));
  return pieces.size() == 1 ? pieces[0] : node("Concat", pieces, "axis = 0")[0];
}

std::string SampleWriter::number(std::int64_t element) { return node("Squeeze", {vector({element}), constant({0})})[0]; }

std::vector<std::string> SampleWriter::node(const std::string& op, const std::vector<std::string>& inputs, const std::string& attributes,
                                            int outputs) {
  std::vector<std::string> out;
  std::string line = "  ";
  for (int i = 0; i < outputs; ++i) {
    out.push_back(unique("y"));
    line += (i ? ", " : "") + out.back();
  }
  line += " = " + op + (attributes.empty() ? "" : " <" + attributes + ">") + " (";
  for (std::size_t i = 0; i < inputs.size(); ++i) line += (i ? ", " : "") + inputs[i];
  nodes_ += line + ")\n";
  last_ = out[0];
  return out;
}

OperatorSample SampleWriter::finish() const {
  const std::string head = "<ir_version: 13, opset_import: [\"\": 26]>\ng (" + inputs_ + ") => (" + last_ + ")";
  return {head + (constants_.empty() ? "" : " <" + constants_ + ">") + " {\n" + nodes_ + "}\n", symbols_, tensors_};
}

}  // namespace ashlar::testing
