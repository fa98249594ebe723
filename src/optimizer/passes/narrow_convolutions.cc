// SPDX-License-Identifier: Apache-2.0
// A Conv along one axis that was written as one along two, with Unsqueeze in front and Squeeze behind, loses the axis that was put in.
#include <algorithm>
#include <span>

#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "narrow-convolutions";

using Integers = std::vector<std::int64_t>;

/// The one axis that Unsqueeze puts in or Squeeze takes away, of the larger of the two ranks.
std::optional<std::size_t> one_axis(const Editor& editor, NodeIndex n, std::size_t rank) {
  const Node& node = editor.node(n);
  const auto axes = node.inputs.size() > 1 ? editor.numbers(node.inputs[1]) : std::nullopt;
  return axes && axes->size() == 1 ? axis_of(axes->front(), rank) : std::nullopt;
}

/// Where a Conv's input comes from: a value without the axis, and how its axes are to be ordered.
struct Source {
  ValueId x = kNone;
  std::size_t axis = 0;
  Integers perm = {};  ///< empty: as they are
};

std::optional<Source> source_of(const Editor& editor, ValueId v, std::size_t rank) {
  NodeIndex n = editor.producer(v);
  Integers perm;
  if (editor.is(n, "Transpose")) {
    const auto* p = editor.node(n).find_as<Integers>("perm");
    if (!p || p->size() != rank) return std::nullopt;
    perm = *p;
    n = editor.producer(editor.node(n).inputs[0]);
  }
  if (!editor.is(n, "Unsqueeze")) return std::nullopt;
  const auto axis = one_axis(editor, n, rank);
  if (!axis) return std::nullopt;
  Source source{editor.node(n).inputs[0], *axis};
  if (perm.empty()) return source;
  const auto put_in = static_cast<std::int64_t>(*axis);
  source.axis = static_cast<std::size_t>(std::find(perm.begin(), perm.end(), put_in) - perm.begin());
  for (const std::int64_t p : perm)
    if (p != put_in) source.perm.push_back(p > put_in ? p - 1 : p);
  return source;
}

/// Takes an entry out of an attribute that has so many.
void drop(Attributes& attributes, const char* name, std::size_t count, std::size_t entry) {
  auto* list = attributes.contains(name) ? std::get_if<Integers>(&attributes[name]) : nullptr;
  if (list && list->size() == count) list->erase(list->begin() + static_cast<std::ptrdiff_t>(entry));
}

void narrow(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const Tensor* weights = node.inputs.size() > 1 ? editor.constant(node.inputs[1]) : nullptr;
  if (!weights || weights->shape().rank() < 4) return;
  const std::size_t rank = weights->shape().size();
  const auto source = source_of(editor, node.inputs[0], rank);
  if (!source || source->axis < 2) return;
  const auto miss = [&](const std::string& reason) { editor.near_miss(kRule, n, 1, 2, reason); };
  const std::size_t dimension = source->axis - 2, spatial = rank - 2;
  const std::string& id = editor.id(n);
  if (weights->shape()[source->axis] != 1) return miss("the window of " + id + " spans the axis that was put in");
  if (!editor.single_use(node.inputs[1])) return miss(editor.consumers(node.inputs[1], {n}));
  if (const auto* pad = node.find_as<std::string>("auto_pad"); pad && *pad != "NOTSET") return miss(id + " pads by " + *pad);
  if (const auto* pads = node.find_as<Integers>("pads");
      pads && (pads->size() != 2 * spatial || (*pads)[dimension] || (*pads)[spatial + dimension]))
    return miss(id + " pads the axis that was put in");
  const ValueId y = node.outputs[0];
  if (!editor.single_use(y)) return miss(editor.consumers(y, {}));
  const NodeIndex squeeze = editor.uses(y)[0].node;
  if (!editor.is(squeeze, "Squeeze") || one_axis(editor, squeeze, rank) != source->axis)
    return miss(editor.id(squeeze) + " (" + editor.node(squeeze).op_name() + ") does not take the axis away again");
  Patch patch(editor, kRule);
  patch.remove(n);
  patch.remove(squeeze);
  ValueId x = source->x;
  if (!source->perm.empty()) x = patch.add_one("Transpose", {x}, {{"perm", source->perm}});
  Attributes attributes = node.attributes;
  for (const char* name : {"kernel_shape", "strides", "dilations"}) drop(attributes, name, spatial, dimension);
  drop(attributes, "pads", 2 * spatial, spatial + dimension);
  drop(attributes, "pads", 2 * spatial - 1, dimension);
  Integers dims(weights->shape().begin(), weights->shape().end());
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(source->axis));
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = x;
  inputs[1] = patch.constant("weights", weights->reshaped(Shape(std::span<const std::int64_t>(dims))));
  patch.add_writing("Conv", std::move(inputs), {editor.node(squeeze).outputs[0]}, std::move(attributes));
  if (!editor.apply(std::move(patch))) miss("no provider takes what it would become");
}

}  // namespace

Pass narrow_convolutions() {
  return {kRule, "a Conv along two axes of which one was put in is one along the other", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Conv")) narrow(editor, n);
          }};
}

}  // namespace ashlar::optimizer
