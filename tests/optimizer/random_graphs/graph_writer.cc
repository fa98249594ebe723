// SPDX-License-Identifier: Apache-2.0
#include "tests/optimizer/random_graphs/graph_writer.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tests/support/tensors.h"

namespace ashlar::testing {
namespace {

const char* dtype_text(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float";
    case DType::kFloat64: return "double";
    case DType::kInt64: return "int64";
    case DType::kInt32: return "int32";
    case DType::kBool: return "bool";
    default: throw std::invalid_argument("a dtype that random graphs do not have");
  }
}

}  // namespace

std::string GraphWriter::list(const std::vector<std::int64_t>& list) {
  std::string out;
  for (const std::int64_t i : list) out += (out.empty() ? "" : ", ") + std::to_string(i);
  return out;
}

std::string GraphWriter::with_real(const std::string& key, double value) {
  std::string text = fmt::format("{:.9g}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return key + " = " + text;
}

std::string GraphWriter::elements(const Tensor& t) const {
  std::string out;
  for (std::int64_t i = 0; i < t.element_count(); ++i) {
    out += i ? ", " : "";
    out += is_real(t.dtype()) ? fmt::format("{:.9g}", element(t, i)) : std::to_string(whole_element(t, i));
  }
  return "{" + out + "}";
}

Sizes GraphWriter::sizes(std::int64_t rank) {
  Sizes out;
  for (std::int64_t i = 0; i < rank; ++i) out.push_back(chance(2) ? 0 : chance(12) ? 1 : between(2, 5));
  return out;
}

Known GraphWriter::input(DType dtype, const Sizes& sizes, double low, double high) {
  const std::string name = unique("x");
  std::string dims;
  for (const std::int64_t s : sizes) {
    std::string text = chance(4) ? "?" : std::to_string(s);
    if (chance(50)) {
      const std::string symbol = pick<std::string>({"N", "S", "C", "L"});
      if (symbols_.emplace(symbol, s).first->second == s) text = symbol;
    }
    dims += (dims.empty() ? "" : ",") + text;
  }
  const std::string shape = chance(3) ? "[]" : dims.empty() ? "" : "[" + dims + "]";  // "[]": of any rank
  inputs_text_ += (inputs_text_.empty() ? "" : ", ") + (dtype_text(dtype) + shape) + " " + name;
  Tensor t = random_tensor(rng_, dtype, Shape(std::span<const std::int64_t>(sizes)), low, high);
  if (dtype == DType::kFloat32 && chance(15))  // ties and zeros
    for (std::int64_t i = 0; i < t.element_count(); ++i) set_element(t, i, std::clamp(std::round(element(t, i)), low, high));
  inputs.emplace_back(name, std::move(t));
  kept_.push_back({name, dtype, sizes, low, high, true});
  reads_[name] = 1;
  return kept_.back();
}

std::string GraphWriter::declare(const std::string& name, const Tensor& t) {
  std::string type = dtype_text(t.dtype());
  if (t.shape().rank() > 0) type += "[" + list({t.shape().begin(), t.shape().end()}) + "]";
  if (chance(25)) {
    nodes_ += "  " + name + " = Constant <value = " + type + " " + elements(t) + "> ()\n";
    return name;
  }
  constants_ += (constants_.empty() ? "" : ", ") + type + " " + name + " = " + elements(t);
  if (t.dtype() == DType::kFloat32 && chance(3)) {  // a default: the caller may give something else
    inputs_text_ += (inputs_text_.empty() ? "" : ", ") + type + " " + name;
    if (chance(70)) {
      Tensor given = t.clone();
      for (std::int64_t i = 0; i < t.element_count(); ++i) set_element(given, i, element(t, i) * real(0.8, 1));
      inputs.emplace_back(name, std::move(given));
    }
  }
  return name;
}

Known GraphWriter::constant(DType dtype, const Sizes& sizes, double low, double high) {
  for (const Known& k : constants_made_)
    if (k.dtype == dtype && k.sizes == sizes && k.low >= low && k.high <= high && chance(20)) return k;
  const Tensor t = random_tensor(rng_, dtype, Shape(std::span<const std::int64_t>(sizes)), low, high);
  const Known made{declare(unique("k"), t), dtype, sizes, low, high, true};
  // One that is a node of a body is not there outside of it.
  if (!in_body_) constants_made_.push_back(made);
  return made;
}

Known GraphWriter::constant(const std::vector<std::int64_t>& elements) {
  Tensor t = Tensor::zeros(DType::kInt64, {static_cast<std::int64_t>(elements.size())});
  std::copy(elements.begin(), elements.end(), t.mutable_data<std::int64_t>());
  return {declare(unique("k"), t), DType::kInt64, {static_cast<std::int64_t>(elements.size())}, 0, 0, true};
}

Known GraphWriter::number(double value, std::int64_t rank) {
  const Sizes sizes(static_cast<std::size_t>(chance(60) ? 0 : below(rank + 1)), 1);
  Tensor t = Tensor::zeros(DType::kFloat32, Shape(std::span<const std::int64_t>(sizes)));
  set_element(t, 0, value);
  return {declare(unique("k"), t), DType::kFloat32, sizes, value, value, true};
}

std::string GraphWriter::node(const std::string& op, const std::vector<std::string>& operands, const std::string& attributes, int more) {
  const std::string name = unique("t");
  std::string line = "  " + name;
  for (int i = 1; i <= more; ++i) line += ", " + name + "_" + std::to_string(i);
  line += " = " + op + (attributes.empty() ? "" : " <" + attributes + ">") + " (";
  for (std::size_t i = 0; i < operands.size(); ++i) {
    line += (i ? ", " : "") + operands[i];
    ++reads_[operands[i]];
  }
  nodes_ += line + ")\n";
  ++count_;
  return name;
}

std::string GraphWriter::either(const std::string& op, const std::string& a, const std::string& b) {
  return chance(50) ? node(op, {a, b}) : node(op, {b, a});
}

Known GraphWriter::keep(Known v) {
  reads_.emplace(v.name, 0);
  kept_.push_back(v);
  return v;
}

Known GraphWriter::any_real(std::int64_t rank_low, std::int64_t rank_high) {
  const Sizes s = sizes(between(rank_low, std::min<std::int64_t>(rank_high, 4)));
  return any(
      [&](const Known& v) { return v.real() && v.rank() >= rank_low && v.rank() <= rank_high && v.count() <= 2000 && v.bound() < 1e3; },
      {"", DType::kFloat32, s, -2, 2, true});
}

void GraphWriter::make_output(const std::string& name) {
  if (!in_body_ && std::find(outputs_.begin(), outputs_.end(), name) == outputs_.end()) outputs_.push_back(name);
}

std::string GraphWriter::finish() {
  for (const Known& v : kept_)
    if (reads_[v.name] == 0 && !chance(5)) make_output(v.name);
  if (outputs_.empty() && kept_.back().name[0] != 'x') make_output(kept_.back().name);
  std::string outputs;
  for (const std::string& name : outputs_) outputs += (outputs.empty() ? "" : ", ") + name;
  const std::string head = "<ir_version: 10, opset_import: [\"\": " + std::to_string(pick({18, 20, 21, 23})) + "]>\ng (" + inputs_text_ +
                           ") => (" + outputs + ")";
  return head + (constants_.empty() ? "" : " <" + constants_ + ">") + " {\n" + nodes_ + "}\n";
}

}  // namespace ashlar::testing
