// SPDX-License-Identifier: Apache-2.0
// A kernel that is one function: given the shapes it tells the output's and makes a plan, which a run carries out once it knows the addresses.
// What such a kernel enqueues on a device refers to its plan and to nothing else of the run.
#pragma once

#include <functional>
#include <vector>

#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// The addresses of a run, each of the space its operand is in; null where an operand is left out.
struct Operands {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  void* workspace = nullptr;

  template <class T = float> const T* in(std::size_t i = 0) const { return static_cast<const T*>(inputs[i]); }
  template <class T = float> T* out(std::size_t i = 0) const { return static_cast<T*>(outputs[i]); }
  /// Each address as `to` gives it.
  template <class To> Operands moved(To to) const {
    Operands result;
    for (const void* input : inputs) result.inputs.push_back(to(input));
    for (const void* output : outputs) result.outputs.push_back(to(output));
    result.workspace = to(workspace);
    return result;
  }
};

/// Computes on the queue (null: on the calling thread), or enqueues that. It stays where it is until what it enqueued is done.
using Plan = std::function<void(const Operands& operands, void* queue)>;

/// The kernel of `kMake`, a function `Plan (const NodeView& node, BindContext& context)` that does what Kernel::bind does. Bits of kRead:
/// inputs that it reads, and the plan does not; of kInPlace: those whose storage output 0 may take.
template <auto kMake, std::uint64_t kRead = 0, std::uint64_t kInPlace = 0> class PlannedKernel final : public Kernel {
 public:
  explicit PlannedKernel(const NodeView& node) : node_(node) {}
  std::uint64_t bind_reads() const override { return kRead; }
  std::uint64_t shape_only() const override { return kRead; }
  std::uint64_t host_inputs() const override { return kRead; }
  std::uint64_t in_place() const override { return kInPlace; }
  void bind(BindContext& context) const override { context.set_binding(std::make_unique<Bound>(kMake(node_, context))); }
  void run(const RunContext& context) const override {
    Operands at;
    for (int i = 0; i < context.input_count(); ++i) at.inputs.push_back(context.has_input(i) ? context.input(i).raw() : nullptr);
    for (int i = 0; i < context.output_count(); ++i) at.outputs.push_back(context.has_output(i) ? context.output(i).raw() : nullptr);
    at.workspace = context.workspace();
    context.binding<Bound>().plan(at, context.queue());
  }

 private:
  struct Bound : Binding {
    explicit Bound(Plan p) : plan(std::move(p)) {}
    Plan plan;
  };
  NodeView node_;
};

}  // namespace ashlar::provider
