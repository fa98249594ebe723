// SPDX-License-Identifier: Apache-2.0
#include "plan/batch.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "ops/internal.h"
#include "ops/symbolic.h"

namespace ashlar::plan {
namespace {

using graph::kNone;
using graph::Node;
using graph::ValueId;
using ops::DimExpr;

/// What a value is to the parts of a batch.
enum class Kind {
  kSame,   ///< the same for every part
  kRows,   ///< has the batch as its first dimension, each row computed from the rows of that number
  kSizes,  ///< whole numbers that depend on the size of the part: good for shapes alone
};

/// How an operator treats rows.
enum class Rule {
  kElementwise,  ///< operands broadcast to the output
  kFirst,        ///< image by image: rows of the first operand, the others are weights
  kAxis,         ///< the same along the attribute `axis`
  kReshapes,     ///< the same elements in the same order; the second operand may be a shape
  kReduces,
  kTransposes,
  kConcatenates,
  kGathers,
  kSlices,
  kExpands,
  kFills,
  kMultiplies,
  kGemm,
  kAttends,
};

const std::unordered_map<std::string_view, Rule>& rules() {
  static const auto* table = [] {
    auto* out = new std::unordered_map<std::string_view, Rule>{{"Reshape", Rule::kReshapes},
                                                               {"Flatten", Rule::kReshapes},
                                                               {"Squeeze", Rule::kReshapes},
                                                               {"Unsqueeze", Rule::kReshapes},
                                                               {"Transpose", Rule::kTransposes},
                                                               {"Concat", Rule::kConcatenates},
                                                               {"Gather", Rule::kGathers},
                                                               {"Slice", Rule::kSlices},
                                                               {"Expand", Rule::kExpands},
                                                               {"ConstantOfShape", Rule::kFills},
                                                               {"MatMul", Rule::kMultiplies},
                                                               {"Linear", Rule::kMultiplies},
                                                               {"Gemm", Rule::kGemm},
                                                               {"Attention", Rule::kAttends}};
    for (const char* op :
         {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
          "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth"})
      out->emplace(op, Rule::kFirst);
    for (const char* op : {"Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "RMSNormalization", "Split", "ArgMax", "ArgMin"})
      out->emplace(op, Rule::kAxis);
    for (const char* op : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
                           "ReduceLogSumExp", "ReduceSumSquare"})
      out->emplace(op, Rule::kReduces);
    for (const char* op : {"Abs",
                           "Acos",
                           "Acosh",
                           "Add",
                           "And",
                           "Asin",
                           "Asinh",
                           "Atan",
                           "Atanh",
                           "Cast",
                           "Ceil",
                           "Celu",
                           "Clip",
                           "Cos",
                           "Cosh",
                           "Div",
                           "Elu",
                           "Equal",
                           "Erf",
                           "Exp",
                           "Floor",
                           "Gelu",
                           "Greater",
                           "GreaterOrEqual",
                           "HardSigmoid",
                           "HardSwish",
                           "Identity",
                           "IsInf",
                           "IsNaN",
                           "LeakyRelu",
                           "Less",
                           "LessOrEqual",
                           "Log",
                           "Max",
                           "Mean",
                           "Min",
                           "Mish",
                           "Mod",
                           "Mul",
                           "Neg",
                           "Not",
                           "Or",
                           "PRelu",
                           "Pow",
                           "Reciprocal",
                           "Relu",
                           "Round",
                           "ScaledMaskedSoftmax",
                           "Selu",
                           "Shrink",
                           "Sigmoid",
                           "Sign",
                           "Sin",
                           "Sinh",
                           "SkipLayerNormalization",
                           "SkipRMSNormalization",
                           "Softplus",
                           "Softsign",
                           "Sqrt",
                           "Sub",
                           "Sum",
                           "Swish",
                           "Tan",
                           "Tanh",
                           "ThresholdedRelu",
                           "Where",
                           "Xor"})
      out->emplace(op, Rule::kElementwise);
    return out;
  }();
  return *table;
}

bool normalizes_last_axis(const Node& node) { return node.domain == ops::kInternalDomain && node.op_type != "Linear"; }

struct Indivisible {
  std::string reason;
};

class Analysis {
 public:
  explicit Analysis(const graph::Graph& graph) : graph_(graph), kinds_(graph.values.size(), Kind::kSame), facts_(graph.values.size()) {}

  BatchRule run() {
    BatchRule rule;
    rule.by_row.assign(graph_.inputs.size(), 0);
    name_batch();
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
      const ValueId v = graph_.inputs[i];
      const graph::Value& value = graph_.values[v];
      facts_[v] = declared(value.type);
      for (const DimExpr& d : facts_[v].shape.value_or(ops::SymbolicShape()))
        for (const auto& term : d.terms()) known_atoms_.insert(term.atoms.begin(), term.atoms.end());
      if (value.type.kind != ValueType::Kind::kTensor || !facts_[v].shape) refuse("input '" + value.name + "' has no shape");
      if (!has_rows(v) && depends(*facts_[v].shape)) refuse("input '" + value.name + "' has the batch in another place than the first");
      if (!has_rows(v)) continue;
      refuse_packed(v, "input");
      kinds_[v] = Kind::kRows;
      rule.by_row[i] = 1;
    }
    for (ValueId v = 0; v < graph_.values.size(); ++v)
      if (graph_.values[v].constant.defined() && kinds_[v] == Kind::kSame) facts_[v] = ops::facts_of(graph_.values[v].constant);
    for (const Node& node : graph_.nodes) visit(node);
    for (const ValueId v : graph_.outputs) refuse_packed(v, "output");
    for (const ValueId v : graph_.outputs)
      if (kinds_[v] != Kind::kRows) refuse("output '" + graph_.values[v].name + "' has no row for each of the batch");
    rule.divisible = true;
    return rule;
  }

 private:
  [[noreturn]] static void refuse(std::string reason) { throw Indivisible{std::move(reason)}; }
  [[noreturn]] static void refuse(const Node& node, const std::string& why) { refuse(node.op_name() + " " + node.id + " " + why); }

  /// Elements of which several share a byte: a row may begin inside of one.
  void refuse_packed(ValueId v, const char* what) const {
    const DType dtype = graph_.values[v].type.dtype;
    if (dtype == DType::kUndefined || byte_size(dtype, 2) != 2 * byte_size(dtype, 1))
      refuse(std::string(what) + " '" + graph_.values[v].name + "' is of " + std::string(to_string(dtype)));
  }

  /// The batch is the first dimension of the first input that has one with a name.
  void name_batch() {
    for (const ValueId v : graph_.inputs) {
      const ValueType& type = graph_.values[v].type;
      if (!type.shape || type.shape->empty() || type.shape->front().fixed() || !ops::names_a_dimension(type.shape->front().symbol))
        continue;
      batch_ = dims_.symbol(type.shape->front().symbol);
      return;
    }
    refuse("no input's first dimension has a name");
  }

  ops::ValueFacts declared(const ValueType& type) {
    ops::ValueFacts out;
    if (type.kind != ValueType::Kind::kTensor || !type.shape) return out;
    out.shape.emplace();
    for (const Dim& d : *type.shape)
      out.shape->push_back(d.fixed() ? DimExpr(d.value) : ops::names_a_dimension(d.symbol) ? dims_.symbol(d.symbol) : dims_.fresh());
    return out;
  }

  /// Whether the number may change with the batch: all but polynomials over other dimensions of inputs.
  bool depends(const DimExpr& e) const {
    for (const auto& term : e.terms())
      for (const DimExpr::Atom a : term.atoms)
        if (!known_atoms_.contains(a) || DimExpr::atom(a) == batch_) return true;
    return false;
  }
  bool depends(const std::vector<DimExpr>& many) const {
    return std::any_of(many.begin(), many.end(), [&](const DimExpr& e) { return depends(e); });
  }
  const std::optional<ops::SymbolicShape>& shape(ValueId v) const { return facts_[v].shape; }
  int rank(ValueId v) const { return shape(v) ? static_cast<int>(shape(v)->size()) : -1; }
  bool has_rows(ValueId v) const { return rank(v) >= 1 && shape(v)->front() == batch_; }

  void visit(const Node& node) {
    std::vector<const ops::ValueFacts*> inputs;
    bool rows = false, sizes = false;
    for (const ValueId v : node.inputs) {
      inputs.push_back(v == kNone ? nullptr : &facts_[v]);
      rows = rows || (v != kNone && kinds_[v] == Kind::kRows);
      sizes = sizes || (v != kNone && kinds_[v] == Kind::kSizes);
    }
    if (!node.captures.empty() || !graph::bodies(node).empty()) refuse(node, "has a body");
    if (node.op_type.starts_with("Random") || node.op_type == "Bernoulli" || node.op_type == "Multinomial") refuse(node, "is random");
    std::vector<ops::ValueFacts> results = ops::infer_facts({node, inputs, dims_});
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNone) continue;
      facts_[v] = std::move(results[i]);
      if (!facts_[v].shape) facts_[v].shape = declared(graph_.values[v].type).shape;
    }
    if (!rows && !sizes) return;  // all outputs are the same
    if (node.domain.empty() && (node.op_type == "Shape" || node.op_type == "Size")) {
      rows = false;
    }
    // Whole numbers that are followed: shapes, and what is computed from them.
    const bool followed =
        !rows && std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v == kNone || facts_[v].elements; });
    if (followed) {
      for (const ValueId v : node.outputs)
        if (v != kNone) kinds_[v] = depends(*facts_[v].elements) ? Kind::kSizes : Kind::kSame;
      return;
    }
    if (!node.domain.empty() && node.domain != ops::kInternalDomain) refuse(node, "is not known");
    const auto rule = rules().find(node.op_type);
    if (rule == rules().end()) refuse(node, "may mix the rows of a batch");
    if (!keeps_rows(node, rule->second)) refuse(node, "mixes the rows of a batch");
    for (const ValueId v : node.outputs) {
      if (v == kNone) continue;
      if (!has_rows(v)) refuse(node, "gives other rows than those of the batch");
      if (graph_.values[v].type.dtype == DType::kString) refuse(node, "gives strings");
      kinds_[v] = Kind::kRows;
    }
  }

  bool is(const Node& node, std::size_t i, Kind kind) const {
    return i < node.inputs.size() && node.inputs[i] != kNone && kinds_[node.inputs[i]] == kind;
  }
  bool absent(const Node& node, std::size_t i) const { return i >= node.inputs.size() || node.inputs[i] == kNone; }
  bool rest_same(const Node& node, std::size_t from) const {
    for (std::size_t i = from; i < node.inputs.size(); ++i)
      if (!absent(node, i) && !is(node, i, Kind::kSame)) return false;
    return true;
  }
  std::int64_t integer(const Node& node, const char* name, std::int64_t otherwise) const {
    const auto* value = node.find_as<std::int64_t>(name);
    return value ? *value : otherwise;
  }
  /// A constant list of axes, none of which is the first of `rank`.
  bool spares_first(const std::optional<std::vector<DimExpr>>& axes, int rank) const {
    if (!axes || axes->empty()) return false;
    return std::all_of(axes->begin(), axes->end(), [&](const DimExpr& a) {
      const auto axis = a.value();
      return axis && *axis != 0 && *axis != -rank;
    });
  }

  /// Rows whose own dimensions do not depend on how many there are: where a shape is given, none need be so.
  bool rows_of_one_shape(ValueId v) const { return has_rows(v) && !depends(ops::SymbolicShape(shape(v)->begin() + 1, shape(v)->end())); }

  /// An operand that broadcasts to `out`: rows against rows, or the same for each row.
  bool broadcasts(ValueId v, ValueId out) const {
    if (kinds_[v] == Kind::kRows) return rank(v) == rank(out) && has_rows(v);
    return kinds_[v] == Kind::kSame && rank(v) >= 0 && (rank(v) < rank(out) || shape(v)->front().is(1));
  }

  bool keeps_rows(const Node& node, Rule rule) const {
    const ValueId out = node.outputs.empty() ? kNone : node.outputs[0], first = node.inputs.empty() ? kNone : node.inputs[0];
    if (out == kNone || first == kNone || rank(out) < 1) return false;
    const bool first_rows = kinds_[first] == Kind::kRows;
    switch (rule) {
      case Rule::kElementwise:
        if (normalizes_last_axis(node) && rank(out) < 2) return false;
        return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v == kNone || broadcasts(v, out); });
      case Rule::kFirst: return first_rows && rest_same(node, 1) && node.outputs.size() == 1;  // MaxPool's indices count over the batch
      case Rule::kAxis: {
        const std::int64_t axis = integer(node, "axis", -1);
        return first_rows && rest_same(node, 1) && axis != 0 && axis != -rank(first);
      }
      case Rule::kReshapes: return first_rows;  // its rows have as many elements as those it gives
      case Rule::kReduces: return first_rows && !absent(node, 1) && spares_first(facts_[node.inputs[1]].elements, rank(first));
      case Rule::kTransposes: {
        const auto* order = node.find_as<std::vector<std::int64_t>>("perm");
        return first_rows && order && !order->empty() && order->front() == 0;
      }
      case Rule::kConcatenates: {
        const std::int64_t axis = integer(node, "axis", 0);
        return axis != 0 && axis != -rank(out) &&
               std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v != kNone && kinds_[v] == Kind::kRows; });
      }
      case Rule::kGathers: {
        const std::int64_t axis = integer(node, "axis", 0);
        if (first_rows) return axis != 0 && axis != -rank(first) && rest_same(node, 1);
        return kinds_[first] == Kind::kSame && (axis == 0 || axis == -rank(first)) && is(node, 1, Kind::kRows);
      }
      case Rule::kSlices:
        return first_rows && rest_same(node, 1) && !absent(node, 3) && spares_first(facts_[node.inputs[3]].elements, rank(first));
      case Rule::kExpands: return broadcasts(first, out) && rows_of_one_shape(out);
      case Rule::kFills: return rows_of_one_shape(out);
      case Rule::kMultiplies: {
        if (!rest_same(node, 2) || absent(node, 1)) return false;
        const ValueId second = node.inputs[1];
        if (first_rows && kinds_[second] == Kind::kSame)
          return rank(first) >= 2 && rank(second) >= 1 &&
                 (rank(second) <= 2 || rank(second) < rank(first) || (rank(second) == rank(first) && shape(second)->front().is(1)));
        if (first_rows && kinds_[second] == Kind::kRows) return rank(first) >= 3 && rank(first) == rank(second);
        return kinds_[first] == Kind::kSame && is(node, 1, Kind::kRows) && rank(second) >= 3 &&
               (rank(first) < rank(second) || shape(first)->front().is(1));
      }
      case Rule::kGemm:
        return first_rows && integer(node, "transA", 0) == 0 && is(node, 1, Kind::kSame) &&
               (absent(node, 2) || broadcasts(node.inputs[2], out));
      case Rule::kAttends:
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
          if (absent(node, i)) continue;
          const ValueId v = node.inputs[i];
          const bool mask = i == 3, row = kinds_[v] == Kind::kRows && has_rows(v);
          if (mask ? !(row && rank(v) == 4) && !(kinds_[v] == Kind::kSame && rank(v) >= 0 && (rank(v) < 4 || shape(v)->front().is(1)))
                   : !row)
            return false;
        }
        return true;
    }
    return false;
  }

  const graph::Graph& graph_;
  std::vector<Kind> kinds_;
  std::vector<ops::ValueFacts> facts_;
  ops::DimTable dims_;
  DimExpr batch_;
  std::set<DimExpr::Atom> known_atoms_;  ///< dimensions of inputs
};

}  // namespace

BatchRule batch_rule(const graph::Graph& graph) {
  try {
    return Analysis(graph).run();
  } catch (const Indivisible& e) {
    return {.reason = e.reason};
  }
}

}  // namespace ashlar::plan
