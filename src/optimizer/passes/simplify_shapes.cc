// SPDX-License-Identifier: Apache-2.0
// What follows from symbolic dimensions: integers that are known become constants, shapes that are computed become targets of Reshape or one value.
#include <map>
#include <tuple>

#include <ashlar/tensor.h>

#include "optimizer/pass.h"
#include "optimizer/reshaping.h"

namespace ashlar::optimizer {
namespace {

template <class T> Tensor tensor_of(DType dtype, const Shape& shape, const std::vector<std::int64_t>& numbers) {
  Tensor out = Tensor::zeros(dtype, shape);
  T* to = static_cast<T*>(out.mutable_raw());
  for (std::size_t i = 0; i < numbers.size(); ++i) to[i] = static_cast<T>(numbers[i]);
  return out;
}

/// The constant that a value always is, where facts say all of it.
std::optional<Tensor> known(const Editor& editor, ValueId v) {
  const auto numbers = editor.numbers(v);
  const SymbolicShape* shape = editor.shape(v);
  if (!numbers || !shape) return std::nullopt;
  std::vector<std::int64_t> dims;
  for (const DimExpr& d : *shape) {
    if (!d.value()) return std::nullopt;
    dims.push_back(*d.value());
  }
  const Shape fixed{std::span<const std::int64_t>(dims)};
  if (fixed.element_count() != static_cast<std::int64_t>(numbers->size())) return std::nullopt;
  switch (editor.dtype(v)) {
    case DType::kInt64: return tensor_of<std::int64_t>(DType::kInt64, fixed, *numbers);
    case DType::kInt32: return tensor_of<std::int32_t>(DType::kInt32, fixed, *numbers);
    case DType::kBool: return tensor_of<std::uint8_t>(DType::kBool, fixed, *numbers);
    default: return std::nullopt;
  }
}

class Shapes {
 public:
  explicit Shapes(Editor& editor) : editor_(editor) {}

  void run() {
    for (NodeIndex n = 0; n < editor_.node_count(); ++n) {
      if (editor_.dead(n)) continue;
      if (editor_.node(n).outputs.size() == 1 && editor_.node(n).outputs[0] != kNone && by_value(n)) continue;
      if (editor_.is(n, "Reshape")) by_target(n);
    }
  }

 private:
  /// An integer value that is a constant, or that an earlier node computes.
  bool by_value(NodeIndex n) {
    const ValueId v = editor_.node(n).outputs[0];
    const ops::ValueFacts& facts = editor_.facts(v);
    if (!facts.elements || !facts.shape || editor_.is_output(v) || !editor_.node(n).captures.empty()) return false;
    if (auto constant = known(editor_, v)) {
      Patch patch(editor_, "known-value");
      patch.remove(n);
      patch.replace(v, patch.constant(editor_.value(v).name, std::move(*constant)));
      return editor_.apply(std::move(patch));
    }
    const auto [at, is_new] = computed_.try_emplace({editor_.dtype(v), *facts.shape, *facts.elements}, v);
    if (is_new || at->second == v) return false;
    if (editor_.producer(at->second) == kNone) {
      at->second = v;  // the other went with what read it
      return false;
    }
    Patch patch(editor_, "computed-before");
    patch.remove(n);
    patch.replace(v, at->second);
    return editor_.apply(std::move(patch));
  }

  /// A Reshape whose target is computed.
  void by_target(NodeIndex n) {
    const Node& node = editor_.node(n);
    if (node.inputs.size() != 2 || editor_.constant(node.inputs[1])) return;
    const SymbolicShape *from = editor_.shape(node.inputs[0]), *to = editor_.shape(node.outputs[0]);
    if (!from || !to || !editor_.facts(node.inputs[1]).elements) {
      editor_.near_miss("constant-target", n, 1, 2, "the shape " + editor_.value(node.inputs[1]).name + " is not known in symbols");
      return;
    }
    const auto target = reshape_target(*from, *to);
    if (!target) {
      editor_.near_miss("constant-target", n, 1, 2, "two dimensions of " + editor_.value(node.outputs[0]).name + " are computed");
      return;
    }
    Patch patch(editor_, "constant-target");
    patch.remove(n);
    patch.add_writing("Reshape", {node.inputs[0], patch.constant(node.id + "/shape", *target)}, {node.outputs[0]},
                      {{"allowzero", std::int64_t{0}}});
    editor_.apply(std::move(patch));
  }

  Editor& editor_;
  std::map<std::tuple<DType, SymbolicShape, std::vector<DimExpr>>, ValueId> computed_;
};

}  // namespace

Pass simplify_shapes() {
  return {"simplify-shapes", "shape arithmetic that symbolic dimensions decide becomes constants, targets of Reshape, or one value",
          [](Editor& editor) { Shapes(editor).run(); }};
}

}  // namespace ashlar::optimizer
