// SPDX-License-Identifier: Apache-2.0
// oneDNN on Ashlar's pool: the one header that knows how its engine, streams, memory and errors meet the provider border.
// https://uxlfoundation.github.io/oneDNN/ (v3)
#pragma once

#include <memory>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "kernel.h"

namespace ashlar::cpu {

/// The process's CPU engine.
const dnnl::engine& onednn_engine();

/// The dtype, or undef where oneDNN has none.
dnnl::memory::data_type onednn_type(DType dtype);
dnnl::memory::dims onednn_dims(const provider::Dims& dims);
/// A dense tensor of these logical dims in that layout. Throws Failure for more dims than oneDNN takes (12).
dnnl::memory::desc onednn_desc(const provider::Dims& dims, DType dtype, std::uint64_t layout = kPlain);

/// Runs `body`, which calls oneDNN, and makes its errors Failures.
template <class Body> decltype(auto) onednn_call(const char* what, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw provider::Failure(e.status == dnnl_unimplemented ? ASHLAR_UNSUPPORTED : ASHLAR_RUNTIME,
                            provider::concat(what, ": oneDNN: ", e.what()));
  }
}

/// Executes primitives on the host's threads. One a kernel; execute may be called by several threads at once.
class OneDnn {
 public:
  explicit OneDnn(const AshlarHost* host);
  ~OneDnn();
  OneDnn(const OneDnn&) = delete;
  OneDnn& operator=(const OneDnn&) = delete;

  /// Makes a primitive descriptor or a primitive, planned for the host's threads: oneDNN plans for the calling thread's setting.
  template <class Make> auto plan(const char* what, Make&& make) const {
    set_planned_threads();
    return onednn_call(what, make);
  }
  void execute(const dnnl::primitive& primitive, const std::vector<dnnl_exec_arg_t>& arguments) const;
  /// Copies `from` to `to`, changing the format.
  void reorder(const dnnl::memory::desc& from, const void* source, const dnnl::memory::desc& to, void* target) const;

 private:
  void set_planned_threads() const;
  struct Pool;
  std::unique_ptr<Pool> pool_;
  dnnl::stream stream_;
};

/// A constant that `plain` describes, in the format `packed`: reordered once, kept by the host (AshlarHost::packed).
const void* onednn_packed(const AshlarHost* host, const OneDnn& onednn, const provider::TensorView& constant,
                          const dnnl::memory::desc& plain, const dnnl::memory::desc& packed);

/// A primitive with its arguments, as a kernel keeps it for a set of shapes. Scratchpads are the step's workspace: primitives are made
/// with attributes from onednn_attributes().
class OneDnnCall : public provider::Binding {
 public:
  /// `scratchpad` as primitive_desc::scratchpad_desc gives it.
  OneDnnCall(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad);
  /// Adds an argument (DNNL_ARG_SRC, ...); its place in run's pointers is the order of adding.
  void add(int argument, const dnnl::memory::desc& desc);
  std::uint64_t workspace_bytes() const { return workspace_bytes_; }
  /// pointers: one an argument added, in order.
  void run(const OneDnn& onednn, std::initializer_list<const void*> pointers, void* workspace);
  void run(const OneDnn& onednn, std::span<const void* const> pointers, void* workspace);

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;  ///< the scratchpad first
  std::vector<dnnl_exec_arg_t> arguments_;
  std::uint64_t workspace_bytes_;
};

/// Attributes every primitive is made with: strict fp32, scratchpad from outside.
dnnl::primitive_attr onednn_attributes();

/// The post-operations as oneDNN states them: it has all of PostOp::Kind. kAdd and kMultiply take their operands' descs in order, and an argument
/// DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1 each, i their place in `ops`.
dnnl::post_ops onednn_post_ops(const std::vector<PostOp>& ops, const std::vector<dnnl::memory::desc>& operand_descs);

}  // namespace ashlar::cpu
