// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime/frame.h"

namespace ashlar::runtime {

/// A step that the core runs, as its implementation sees it.
struct CoreCall {
  Frame& frame;
  const plan::Step& step;
  const RunState& state;

  const graph::Node& node() const { return frame.plan().node(step); }
  bool has_input(std::size_t i) const { return i < step.inputs.size() && step.inputs[i] != plan::kNoSlot; }
  /// Throws Error (kInvalidModel) when the input is left out.
  const Value& input(std::size_t i) const;
  /// Nothing for an output nobody wants.
  void set_output(std::size_t i, Value value) const;
  std::int64_t integer(const char* attribute, std::int64_t otherwise) const;
  std::vector<std::int64_t> integers(const char* attribute) const;
};

/// The one element of an integer or bool tensor. Throws Error (kRuntime) when it has more or none.
std::int64_t scalar(const Value& value, const char* what);
/// `index` counted from the end when negative; Error (kRuntime) outside [-size, size), or [-size, size] where `end_too`.
std::int64_t position(std::int64_t index, std::int64_t size, bool end_too, const char* what);

/// Elements [begin, end) along an axis, as a new tensor.
Tensor slice(BufferPool& pool, const Tensor& tensor, int axis, std::int64_t begin, std::int64_t end);
/// Tensors one behind the other along an axis. Throws Error (kRuntime) when their other dimensions or dtypes differ.
Tensor concat(BufferPool& pool, const std::vector<Tensor>& tensors, int axis);
/// With a dimension of one inserted at `axis`, or that dimension taken out. Share storage.
Tensor unsqueezed(const Tensor& tensor, int axis);
Tensor squeezed(const Tensor& tensor, int axis);

void run_if(const CoreCall& call);
void run_loop(const CoreCall& call);
void run_scan(const CoreCall& call);
void run_container(const CoreCall& call);

}  // namespace ashlar::runtime
