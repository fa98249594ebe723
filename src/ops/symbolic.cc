// SPDX-License-Identifier: Apache-2.0
#include "ops/symbolic.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "ops/symbolic_rules.h"

namespace ashlar::ops {
namespace {

using Table = std::unordered_map<std::string_view, FactsRule>;

const Table& rules() {
  static const Table table = [] {
    Table out;
    for (const auto rows : {moving_rules(), computing_rules(), window_rules()})
      for (const FactsRow& row : rows) out.emplace(row.op, row.rule);
    return out;
  }();
  return table;
}

template <class T> void read(const Tensor& t, std::vector<DimExpr>& out) {
  for (std::int64_t i = 0; i < t.element_count(); ++i) {
    T element;
    std::memcpy(&element, static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    out.emplace_back(static_cast<std::int64_t>(element));
  }
}

}  // namespace

ValueFacts facts_of(const Tensor& constant) {
  ValueFacts out;
  out.shape.emplace();
  for (const std::int64_t d : constant.shape().dims()) out.shape->emplace_back(d);
  if (constant.element_count() > kMostFollowed) return out;
  std::vector<DimExpr> elements;
  switch (constant.dtype()) {
    case DType::kInt64: read<std::int64_t>(constant, elements); break;
    case DType::kInt32: read<std::int32_t>(constant, elements); break;
    case DType::kBool:
      read<std::uint8_t>(constant, elements);
      for (DimExpr& e : elements) e = DimExpr(e.is(0) ? 0 : 1);
      break;
    default: return out;
  }
  out.elements = std::move(elements);
  return out;
}

ValueFacts facts_of(const ValueType& type, DimTable& table) {
  ValueFacts out;
  if (type.kind != ValueType::Kind::kTensor || !type.shape) return out;
  out.shape.emplace();
  for (const Dim& d : *type.shape) out.shape->push_back(d.fixed() ? DimExpr(d.value) : table.fresh());
  return out;
}

std::vector<ValueFacts> infer_facts(const FactsCall& call) {
  if (!call.node.domain.empty() && call.node.domain != "ashlar") return std::vector<ValueFacts>(call.node.outputs.size());
  const auto rule = rules().find(call.node.op_type);
  std::vector<ValueFacts> out;
  if (rule != rules().end()) out = rule->second(FactsRuleCall(call));
  out.resize(call.node.outputs.size());
  for (ValueFacts& f : out)
    if (f.elements && f.elements->size() > static_cast<std::size_t>(kMostFollowed)) f.elements.reset();
  return out;
}

bool never_reaches(const SymbolicShape& shape, std::size_t axis, std::int64_t size) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 40;
  if (size >= std::numeric_limits<std::int32_t>::max()) return true;
  for (std::size_t i = 0; i < shape.size() && size > 0; ++i)
    if (const auto d = shape[i].value(); i != axis && d && *d > 1)
      if (__builtin_mul_overflow(size, *d, &size) || size >= kMostElements) return true;
  return size >= kMostElements;
}

std::vector<Dim> to_dims(const SymbolicShape& shape, const DimTable& table) {
  std::vector<Dim> out;
  for (const DimExpr& d : shape) {
    const auto value = d.value();
    out.push_back(value ? Dim{*value, ""} : Dim{-1, table.to_string(d)});
  }
  return out;
}

}  // namespace ashlar::ops
