// SPDX-License-Identifier: Apache-2.0
#include "partition/costs.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "ops/work.h"

namespace ashlar::partition {
namespace {

/// Operators whose output is the input's elements in their order: kernels give a view, or copy what no arithmetic touches.
bool is_view(const graph::Node& node) {
  static constexpr std::string_view kViews[] = {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
  return node.domain.empty() && std::find(std::begin(kViews), std::end(kViews), node.op_type) != std::end(kViews);
}

std::optional<Shape> fixed_shape(const ValueType& type) {
  if (type.kind != ValueType::Kind::kTensor || !type.shape || type.shape->size() > static_cast<std::size_t>(Shape::kMaxRank))
    return std::nullopt;
  std::vector<std::int64_t> dims;
  for (const Dim& d : *type.shape) {
    if (!d.fixed()) return std::nullopt;
    dims.push_back(d.value);
  }
  return Shape(std::span<const std::int64_t>(dims));
}

double median(std::vector<double> values, double otherwise) {
  if (values.empty()) return otherwise;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

ExpectedShapes::ExpectedShapes(const graph::Graph& graph, const std::map<std::string, Shape>& expected)
    : graph_(graph), shapes_(graph.values.size()) {
  for (const graph::ValueId input : graph.inputs)
    if (const auto given = expected.find(graph.values[input].name); given != expected.end()) know(input, given->second);
  infer();
}

ExpectedShapes::ExpectedShapes(const graph::Graph& body, const ExpectedShapes& around)
    : graph_(body), symbols_(around.symbols_), shapes_(body.values.size()) {
  for (const graph::Capture& c : body.captures) shapes_[c.inner] = around.shapes_[c.outer];
  infer();
}

void ExpectedShapes::know(graph::ValueId value, const Shape& shape) {
  shapes_[value] = shape;
  const ValueType& type = graph_.values[value].type;
  for (std::size_t i = 0; type.shape && i < type.shape->size() && i < shape.size(); ++i)
    if (!(*type.shape)[i].symbol.empty()) symbols_.emplace((*type.shape)[i].symbol, shape[i]);
}

void ExpectedShapes::infer() {
  bool open = false;
  for (graph::ValueId v = 0; v < shapes_.size(); ++v) {
    const graph::Value& value = graph_.values[v];
    if (!shapes_[v]) shapes_[v] = value.constant.defined() ? value.constant.shape() : fixed_shape(value.type);
    open = open || (!shapes_[v] && value.type.kind == ValueType::Kind::kTensor);
  }
  if (!open) return;
  // The declared dimensions, where one without a number has that of its name or is 1.
  const auto assume = [&](graph::ValueId v) {
    const ValueType& type = graph_.values[v].type;
    if (shapes_[v] || type.kind != ValueType::Kind::kTensor || !type.shape ||
        type.shape->size() > static_cast<std::size_t>(Shape::kMaxRank))
      return;
    std::vector<std::int64_t> dims;
    for (const Dim& d : *type.shape) {
      const auto known = symbols_.find(d.symbol);
      dims.push_back(d.fixed() ? d.value : known != symbols_.end() ? known->second : 1);
    }
    shapes_[v] = Shape(std::span<const std::int64_t>(dims));
  };
  for (const graph::ValueId v : graph_.inputs) assume(v);
  std::vector<ops::ValueFacts> facts(shapes_.size());
  const auto from_shape = [&](graph::ValueId v) {
    const graph::Value& value = graph_.values[v];
    if (value.constant.defined()) facts[v] = ops::facts_of(value.constant);
    else if (shapes_[v]) facts[v].shape.emplace(shapes_[v]->begin(), shapes_[v]->end());
  };
  ops::DimTable table;
  std::vector<char> known(shapes_.size(), 0);
  for (const graph::Node& node : graph_.nodes) {
    std::vector<const ops::ValueFacts*> inputs;
    for (const graph::ValueId v : node.inputs) {
      if (v != graph::kNone && !known[v]) from_shape(v), known[v] = 1;
      inputs.push_back(v == graph::kNone ? nullptr : &facts[v]);
    }
    std::vector<ops::ValueFacts> results = ops::infer_facts({node, inputs, table});
    for (std::size_t i = 0; i < results.size() && i < node.outputs.size(); ++i) {
      const graph::ValueId v = node.outputs[i];
      if (v == graph::kNone) continue;
      if (!shapes_[v] && results[i].shape && results[i].shape->size() <= static_cast<std::size_t>(Shape::kMaxRank)) {
        std::vector<std::int64_t> dims;
        for (const ops::DimExpr& d : *results[i].shape)
          if (const auto number = d.value()) dims.push_back(*number);
        if (dims.size() == results[i].shape->size()) shapes_[v] = Shape(std::span<const std::int64_t>(dims));
      }
      assume(v);
      from_shape(v);
      if (results[i].elements) facts[v].elements = std::move(results[i].elements);
      known[v] = 1;
    }
  }
}

std::uint64_t ExpectedShapes::bytes_of(graph::ValueId value) const {
  const Shape* shape = of(value);
  const DType dtype = graph_.values[value].type.dtype;
  if (!shape || dtype == DType::kUndefined || dtype == DType::kString) return 0;
  try {
    return byte_size(dtype, shape->element_count());
  } catch (const Error&) {
    return 0;  // more than any machine holds
  }
}

bool has_device(const Provider& provider) { return provider.table().device != nullptr; }

AshlarRates rates_of(const Provider& provider) {
  AshlarRates out = provider.description().rates;
  const bool device = has_device(provider);
  const auto otherwise = [](double& rate, double value) { rate = rate > 0 ? rate : value; };
  otherwise(out.operations_per_second, device ? 500e9 : 20e9);
  otherwise(out.bytes_per_second, device ? 100e9 : 10e9);
  otherwise(out.launch_ns, device ? 5000 : 500);
  otherwise(out.upload_bytes_per_second, 8e9);
  otherwise(out.download_bytes_per_second, 8e9);
  otherwise(out.copy_ns, 10'000);
  return out;
}

Costs::Costs(const graph::Graph& graph, const Providers& providers, const ExpectedShapes& shapes, const Profile* profile)
    : graph_(graph), providers_(providers), shapes_(shapes), scales_(providers.size()) {
  for (const auto& p : providers) rates_.push_back(rates_of(*p));
  if (profile) learn(*profile);
}

Cost Costs::node(graph::NodeIndex index, std::size_t provider, const AshlarCost& said) const {
  const graph::Node& node = graph_.nodes[index];
  const AshlarRates& rates = rates_[provider];
  Cost out{.operations = said.operations, .bytes = said.bytes, .launch_ns = said.launch_ns > 0 ? said.launch_ns : rates.launch_ns};
  std::vector<const Shape*> inputs, outputs;
  double bytes = 0;
  for (const graph::ValueId v : node.inputs) {
    inputs.push_back(v == graph::kNone ? nullptr : shapes_.of(v));
    if (v == graph::kNone || is_view(node)) continue;
    const bool picked = ops::picks(node) && inputs.size() == 1 && !node.outputs.empty() && node.outputs[0] != graph::kNone;
    bytes += static_cast<double>(shapes_.bytes_of(picked ? node.outputs[0] : v));
  }
  for (const graph::ValueId v : node.outputs) {
    outputs.push_back(v == graph::kNone ? nullptr : shapes_.of(v));
    if (v != graph::kNone && !is_view(node)) bytes += static_cast<double>(shapes_.bytes_of(v));
  }
  if (!(out.operations > 0)) out.operations = ops::operations(node, inputs, outputs);
  if (!(out.bytes > 0)) out.bytes = bytes;
  if (const auto measured = measured_.find({index, provider}); measured != measured_.end()) {
    out.nanoseconds = measured->second;
    out.measured = true;
    return out;
  }
  out.nanoseconds = said.nanoseconds > 0
                        ? said.nanoseconds
                        : out.launch_ns + 1e9 * std::max(out.operations / rates.operations_per_second, out.bytes / rates.bytes_per_second);
  out.nanoseconds *= scales_[provider].node;
  return out;
}

double Costs::upload_ns(std::size_t provider, std::uint64_t bytes) const {
  const AshlarRates& rates = rates_[provider];
  return scales_[provider].upload * (rates.copy_ns + 1e9 * static_cast<double>(bytes) / rates.upload_bytes_per_second);
}
double Costs::download_ns(std::size_t provider, std::uint64_t bytes) const {
  const AshlarRates& rates = rates_[provider];
  return scales_[provider].download * (rates.copy_ns + 1e9 * static_cast<double>(bytes) / rates.download_bytes_per_second);
}

void Costs::learn(const Profile& profile) {
  std::unordered_map<std::string_view, graph::NodeIndex> index;
  for (graph::NodeIndex i = 0; i < graph_.nodes.size(); ++i) index.emplace(graph_.nodes[i].id, i);
  std::map<std::pair<graph::NodeIndex, std::size_t>, double> measured;
  std::vector<std::vector<double>> ratios(providers_.size());
  for (const Profile::Step& step : profile.steps) {
    const auto p = static_cast<std::size_t>(
        std::find_if(providers_.begin(), providers_.end(), [&](const auto& q) { return q->name() == step.provider; }) - providers_.begin());
    if (p == providers_.size() || step.runs <= 0) continue;
    std::vector<std::pair<graph::NodeIndex, double>> reckoned;
    double sum = 0;
    for (const std::string& id : step.nodes)
      if (const auto at = index.find(id); at != index.end()) {
        reckoned.emplace_back(at->second, node(at->second, p).nanoseconds);
        sum += reckoned.back().second;
      }
    if (!(sum > 0)) continue;
    const double time = step.nanoseconds / static_cast<double>(step.runs);
    // A step of several nodes: each has its share.
    for (const auto& [i, share] : reckoned) measured[{i, p}] += time * share / sum;
    ratios[p].push_back(time / sum);
  }
  for (std::size_t p = 0; p < providers_.size(); ++p) {
    scales_[p].node = median(std::move(ratios[p]), 1);
    if (!has_device(*providers_[p])) continue;
    for (const Profile::Copies& c : profile.copies) {
      if (c.count <= 0) continue;
      const std::uint64_t each = c.bytes / static_cast<std::uint64_t>(c.count);
      const double time = c.nanoseconds / static_cast<double>(c.count);
      const std::string& name = providers_[p]->name();
      if (c.from == "host" && c.to == name) scales_[p].upload = std::max(1e-3, time / upload_ns(p, each));
      if (c.to == "host" && c.from == name) scales_[p].download = std::max(1e-3, time / download_ns(p, each));
    }
  }
  measured_ = std::move(measured);
}

}  // namespace ashlar::partition
