// SPDX-License-Identifier: Apache-2.0
// Pad goes into the padding of the Conv or pool that reads it, and auto_pad is written out where shapes are known.
#include <algorithm>
#include <cmath>

#include "optimizer/constants.h"
#include "optimizer/pass.h"
#include "optimizer/products.h"

namespace ashlar::optimizer {
namespace {

using Integers = std::vector<std::int64_t>;

bool has_window(const Editor& editor, NodeIndex n) {
  return editor.is(n, "Conv") || editor.is(n, "AveragePool") || editor.is(n, "MaxPool");
}

/// The window's extent along each spatial axis; empty where it is not known.
Integers kernel_of(const Editor& editor, const Node& node) {
  if (const auto* k = node.find_as<Integers>("kernel_shape"); k && !k->empty()) return *k;
  const Tensor* weights = node.op_type == "Conv" ? editor.constant(node.inputs.at(1)) : nullptr;
  if (!weights || weights->shape().rank() < 3) return {};
  return Integers(weights->shape().begin() + 2, weights->shape().end());
}

Integers list_of(const Node& node, const char* name, std::size_t count, std::int64_t otherwise) {
  const auto* v = node.find_as<Integers>(name);
  return v && v->size() == count ? *v : Integers(count, otherwise);
}

std::string auto_pad(const Node& node) {
  const auto* v = node.find_as<std::string>("auto_pad");
  return v && !v->empty() ? *v : "NOTSET";
}

/// The node with other padding and another input.
bool rewrite(Editor& editor, Patch&& patch, NodeIndex n, ValueId input, Attributes attributes) {
  Node node = editor.node(n);
  patch.remove(n);
  node.inputs[0] = input;
  attributes["auto_pad"] = std::string("NOTSET");
  for (const auto& [name, value] : node.attributes) attributes.emplace(name, value);
  patch.add_writing(node.op_type, node.inputs, node.outputs, std::move(attributes));
  return editor.apply(std::move(patch));
}

class FoldPad {
 public:
  FoldPad(Editor& editor, NodeIndex pad) : editor_(editor), pad_(pad), node_(editor.node(pad)) {}

  void run() {
    const ValueId y = node_.outputs.at(0);
    if (editor_.uses(y).empty() || editor_.uses(y)[0].captured() || editor_.uses(y)[0].input != 0) return;
    reader_ = editor_.uses(y)[0].node;
    if (!has_window(editor_, reader_)) return;
    if (!fold()) editor_.near_miss("fold-pads", pad_, 1, 2, reason_.empty() ? "no provider takes what it would become" : reason_);
  }

 private:
  bool fail(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }
  bool fold() {
    const Node& reader = editor_.node(reader_);
    const std::string& id = editor_.id(reader_);
    if (const auto* mode = node_.find_as<std::string>("mode"); mode && *mode != "constant") return fail("its mode is " + *mode);
    if (!editor_.single_use(node_.outputs[0])) return fail(editor_.consumers(node_.outputs[0], {reader_}));
    const Integers kernel = kernel_of(editor_, reader);
    if (kernel.empty()) return fail("the kernel of " + id + " is not known");
    if (!read_amounts(kernel.size() + 2)) return false;
    if (const std::string a = auto_pad(reader); a != "NOTSET" && a != "VALID") return fail(id + " pads by " + a);
    Integers pads = list_of(reader, "pads", 2 * kernel.size(), 0);
    const bool own = std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p != 0; });
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      pads[i] += begin_[i + 2];
      pads[i + kernel.size()] += end_[i + 2];
    }
    Attributes attributes;
    if (reader.op_type == "Conv") {
      if (value() != 0.0) return fail("it pads by another value than 0");
    } else {
      if (integer(reader, "ceil_mode")) return fail(id + " rounds its shape up");
      if (reader.outputs.size() > 1) return fail(id + " gives indices, which would be of the value that is not padded");
      const Integers dilations = list_of(reader, "dilations", kernel.size(), 1);
      for (std::size_t i = 0; i < kernel.size(); ++i) {
        if (dilations[i] != 1) return fail("the window of " + id + " is dilated");
        if (std::max(pads[i], pads[i + kernel.size()]) >= kernel[i]) return fail("the window of " + id + " may hold nothing but padding");
      }
      if (reader.op_type == "MaxPool" && !least()) return false;
      if (reader.op_type == "AveragePool") {
        if (value() != 0.0) return fail("it pads by another value than 0");
        if (own && !integer(reader, "count_include_pad")) return fail(id + " does not count its own padding");
        attributes["count_include_pad"] = std::int64_t{1};
      }
    }
    attributes["pads"] = std::move(pads);
    Patch patch(editor_, "fold-pads");
    patch.remove(pad_);
    return rewrite(editor_, std::move(patch), reader_, node_.inputs[0], std::move(attributes));
  }

  bool read_amounts(std::size_t rank) {
    const auto input = [&](std::size_t i) { return i < node_.inputs.size() ? node_.inputs[i] : kNone; };
    const auto amounts = editor_.numbers(input(1));
    if (!amounts) return fail("its amounts are not known before a run");
    Integers axes(rank);
    for (std::size_t i = 0; i < rank; ++i) axes[i] = static_cast<std::int64_t>(i);
    if (input(3) != kNone) {
      const auto given = editor_.numbers(input(3));
      if (!given) return fail("its axes are not known before a run");
      axes = *given;
    }
    if (amounts->size() != 2 * axes.size()) return fail("it does not have two amounts for each axis");
    begin_.assign(rank, 0);
    end_.assign(rank, 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const std::int64_t axis = axes[i] < 0 ? axes[i] + static_cast<std::int64_t>(rank) : axes[i];
      if (axis < 0 || axis >= static_cast<std::int64_t>(rank)) return fail("its axes are not those of " + editor_.id(reader_));
      begin_[static_cast<std::size_t>(axis)] = (*amounts)[i];
      end_[static_cast<std::size_t>(axis)] = (*amounts)[i + axes.size()];
    }
    for (std::size_t i = 0; i < rank; ++i) {
      if (begin_[i] < 0 || end_[i] < 0) return fail("it crops");
      if (i < 2 && (begin_[i] || end_[i])) return fail("it pads the batch or the channels");
    }
    return true;
  }

  /// What it pads by; NaN where that is not known.
  double value() const {
    if (node_.inputs.size() < 3 || node_.inputs[2] == kNone) return 0;
    const Tensor* constant = editor_.constant(node_.inputs[2]);
    const auto elements = constant ? real_elements(*constant) : std::nullopt;
    return elements && elements->size() == 1 ? elements->front() : std::nan("");
  }
  /// Whether no maximum is ever what it pads by.
  bool least() {
    const double v = value(), lowest = editor_.dtype(node_.inputs[0]) == DType::kFloat16 ? -65504.0 : -3.3895e38;
    if (v <= lowest && editor_.dtype(node_.inputs[0]) != DType::kFloat64) return true;
    if (std::isinf(v) && v < 0) return true;
    const NodeIndex maker = editor_.producer(node_.inputs[0]);
    const bool positive = editor_.is(maker, "Relu") || editor_.is(maker, "Sigmoid") || editor_.is(maker, "HardSigmoid") ||
                          (editor_.is(maker, "Clip") && editor_.node(maker).inputs.size() > 1 &&
                           editor_.scalar(editor_.node(maker).inputs[1]).value_or(-1) >= 0);
    if (v <= 0 && positive) return true;
    return fail("it pads by what may be a maximum");
  }

  Editor& editor_;
  NodeIndex pad_, reader_ = kNone;
  const Node& node_;
  Integers begin_, end_;
  std::string reason_;
};

/// Writes auto_pad as amounts: https://onnx.ai/onnx/operators/onnx__Conv.html.
void write_out(Editor& editor, NodeIndex n) {
  const Node& node = editor.node(n);
  const std::string how = auto_pad(node);
  if (how == "NOTSET") return;
  const auto miss = [&](const std::string& reason) { editor.near_miss("write-out-auto-pad", n, 1, 2, reason); };
  const Integers kernel = kernel_of(editor, node);
  const std::size_t count = kernel.size();
  if (count == 0) return miss("its kernel is not known");
  if (integer(node, "ceil_mode")) return miss("it rounds its shape up");
  Integers pads(2 * count, 0);
  if (how == "SAME_UPPER" || how == "SAME_LOWER") {
    const Integers strides = list_of(node, "strides", count, 1), dilations = list_of(node, "dilations", count, 1);
    const ops::SymbolicShape* shape = editor.shape(node.inputs.at(0));
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t extent = (kernel[i] - 1) * dilations[i] + 1;
      std::int64_t total = extent - 1;
      if (strides[i] != 1) {
        const auto size = shape && shape->size() == count + 2 ? (*shape)[i + 2].value() : std::nullopt;
        if (!size)
          return miss("dimension " + std::to_string(i + 2) + " of " + editor.value(node.inputs[0]).name + " is not known before a run");
        total = std::max<std::int64_t>(((*size + strides[i] - 1) / strides[i] - 1) * strides[i] + extent - *size, 0);
      }
      pads[i] = how == "SAME_UPPER" ? total / 2 : total - total / 2;
      pads[i + count] = total - pads[i];
    }
  }
  Patch patch(editor, "write-out-auto-pad");
  if (!rewrite(editor, std::move(patch), n, node.inputs[0], {{"pads", std::move(pads)}})) miss("no provider takes what it would become");
}

}  // namespace

Pass fold_pads() {
  return {"fold-pads", "Pad goes into the Conv or pool behind it, auto_pad becomes amounts", [](Editor& editor) {
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (has_window(editor, n)) write_out(editor, n);
            for (NodeIndex n = 0; n < editor.node_count(); ++n)
              if (editor.is(n, "Pad")) FoldPad(editor, n).run();
          }};
}

}  // namespace ashlar::optimizer
