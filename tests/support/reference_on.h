// SPDX-License-Identifier: Apache-2.0
// The reference provider's kernels on a device: every operator with a second memory and queues, and the bits of the reference provider.
#pragma once

#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include <ashlar/provider/table_provider.h>

extern "C" const AshlarProvider* ashlar_provider_entry_reference(const AshlarHost*, AshlarStatus*);

namespace ashlar::testing {

using namespace provider;

/// A device that counts what its copies were asked to copy, over all instances.
template <class D> class Counted final : public D {
 public:
  using D::D;
  void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) override {
    copied_bytes += bytes;
    D::copy(queue, to, to_space, from, from_space, bytes);
  }
  inline static std::atomic<std::uint64_t> copied_bytes = 0;
};

/// A provider over a device of class D, which is constructed from Options and has kMemory and kCompute (the space and the queue of steps),
/// translate(address), enqueue(queue, what, work) and claims(options, node id). It takes what the reference provider takes, string tensors apart,
/// and the node ids its device claims, and runs the reference provider's steps as work of its queue.
template <class D> class ReferenceOn {
 public:
  static const AshlarProvider* entry(const AshlarHost* host, AshlarStatus* status, const char* name) {
    if (!ashlar_provider_entry_reference(host, status)) return nullptr;
    static const AshlarProvider table = {.struct_size = sizeof(AshlarProvider),
                                         .abi_version = ASHLAR_ABI_VERSION,
                                         .abi_layout = ASHLAR_ABI_LAYOUT,
                                         .reserved = 0,
                                         .name = name,
                                         .version = "1",
                                         .create = &create,
                                         .destroy = &destroy,
                                         .describe = &describe,
                                         .verdict = &verdict,
                                         .prepare = &prepare,
                                         .release = &release,
                                         .device = device_table<&device_of>()};
    return &table;
  }

 private:
  struct Instance {
    explicit Instance(const Options& given)
        : options(given), device(options), queues(options.number<std::uint32_t>("queues", 1, 1, 2)),
          most(options.number<std::int64_t>("most", 0, 0, INT64_MAX)), host_operands(options.flag("host_operands", false)),
          accept(options.get("accept")), verdicts(options.number<std::uint64_t>("verdicts", 0, 0, UINT64_MAX)) {}
    Options options;
    Counted<D> device;
    std::uint32_t queues;    ///< that steps are dealt to in turn
    std::int64_t most;       ///< 0, or a guard: the first dimension of the first input is at most that
    bool host_operands;      ///< what bind reads, run reads in host memory too
    std::string accept;      ///< a node that `verdicts` does not refuse
    std::uint64_t verdicts;  ///< 0, or what decides of each node whether it is refused, by which code, and what it costs
    const AshlarHost* host = nullptr;
    const AshlarProvider* inner = nullptr;
    void* inner_instance = nullptr;
    Description description;
  };
  static Instance& instance_of(void* instance) { return *static_cast<Instance*>(instance); }
  static Device& device_of(void* instance) { return instance_of(instance).device; }

  /// Throws what a call of the inner provider failed with.
  static void require(AshlarCode code, const AshlarStatus& status) {
    if (code != ASHLAR_OK) throw Failure(code, status.message);
  }

  struct StepContext {
    const AshlarStep* inner;
    D* device;
    const char* node;
    std::vector<std::uint32_t> input_spaces, output_spaces;
  };
  struct Program {
    AshlarProgram inner{};
    std::vector<StepContext> contexts;
    std::vector<AshlarStep> steps;
  };

  static AshlarCode create(const AshlarHost* host, const AshlarOption* options, std::uint32_t count, void** instance,
                           AshlarStatus* status) {
    return guarded(status, [&] {
      const Options given(std::span(options, count));
      given.allow(
          {"memory", "slow", "lose_after", "claim", "seed", "queues", "most", "verdicts", "accept", "captures", "host_operands", "lacks"});
      auto made = std::make_unique<Instance>(given);
      made->host = host;
      AshlarStatus failure = new_status();
      made->inner = ashlar_provider_entry_reference(host, &failure);
      check(made->inner != nullptr, failure.message);
      require(made->inner->create(host, nullptr, 0, &made->inner_instance, &failure), failure);
      *instance = made.release();
    });
  }
  static void destroy(void* instance) {
    const std::unique_ptr<Instance> i(&instance_of(instance));
    i->inner->destroy(i->inner_instance);
  }
  static AshlarCode describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
    Instance& i = instance_of(instance);
    return guarded(status, [&] { provider::describe(i.device, *info, i.description); });
  }

  static Verdict screen(const Instance& i, const NodeView& node) {
    for (int k = 0; k < node.input_count(); ++k)
      ASHLAR_REQUIRE(!node.has_input(k) || node.input(k).dtype() != DType::kString, ASHLAR_NO_KERNEL_DTYPE, "strings live in host memory");
    for (int k = 0; k < node.output_count(); ++k)
      ASHLAR_REQUIRE(!node.has_output(k) || node.output(k).dtype() != DType::kString, ASHLAR_NO_KERNEL_DTYPE,
                     "strings live in host memory");
    ASHLAR_REQUIRE(node.op_type() != i.options.get("lacks"), ASHLAR_NO_KERNEL_OP, "it has no kernel for ", node.op_type());
    ASHLAR_REQUIRE(D::claims(i.options, node.id()), ASHLAR_USER_PIN, "left to others by the option claim");
    return accept();
  }
  static AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t node, AshlarVerdict* out, AshlarStatus* status) {
    const Instance& i = instance_of(instance);
    const NodeView view(graph, node, i.host);
    const Verdict v = screen(i, view);
    if (v.code == ASHLAR_ACCEPTED) {
      const AshlarCode code = i.inner->verdict(i.inner_instance, graph, node, out, status);
      if (i.verdicts != 0 && view.id() != i.accept && code == ASHLAR_OK && out->code == ASHLAR_ACCEPTED)
        draw_verdict(i.verdicts, view.id(), *out);
      if (i.most > 0 && view.has_input(0) && view.input(0).rank() > 0) out->guards[out->guard_count++] = {0, 0, i.most};
      return code;
    }
    out->code = v.code;
    std::snprintf(out->reason, sizeof(out->reason), "%s", v.reason.c_str());
    return ASHLAR_OK;
  }

  static void draw_verdict(std::uint64_t seed, std::string_view id, AshlarVerdict& out) {
    std::mt19937_64 draw(seed);
    for (const char c : id) draw.seed(draw() ^ static_cast<unsigned char>(c));
    if (const auto code = static_cast<AshlarVerdictCode>(draw() % 30); code > ASHLAR_ACCEPTED && code <= ASHLAR_CAPTURE_INCOMPATIBLE) {
      out.code = code;
      std::snprintf(out.reason, sizeof(out.reason), "it was drawn");
    }
    out.cost.nanoseconds = static_cast<double>(1 + draw() % 200'000);
  }

  static AshlarCode bind(void* context, AshlarBindArgs* args, AshlarStatus* status) {
    const AshlarStep& inner = *static_cast<StepContext*>(context)->inner;
    const AshlarCode code = inner.bind(inner.context, args, status);
    args->workspace_space = D::kMemory;
    return code;
  }
  static void release_binding(void* context, void* binding) {
    const AshlarStep& inner = *static_cast<StepContext*>(context)->inner;
    if (inner.release_binding) inner.release_binding(inner.context, binding);
  }

  /// The arguments of a run, in which tensors of the device's memory lie where its workers find them.
  class Arguments {
   public:
    explicit Arguments(const AshlarRunArgs& args) : args_(args), inputs_(args.input_count), outputs_(args.output_count) {
      args_.workspace = D::translate(args.workspace);
      args_.queue = nullptr;
      for (std::uint32_t k = 0; k < args.input_count; ++k) inputs_[k] = Tensor(args.inputs[k]);
      for (std::uint32_t k = 0; k < args.output_count; ++k) outputs_[k] = Tensor(args.outputs[k]);
    }
    void run(const AshlarStep& step, AshlarCode (*set_output)(void*, std::uint32_t, const AshlarShape*, AshlarStatus*), void* core) {
      std::vector<const AshlarTensor*> in;
      std::vector<AshlarTensor*> out;
      for (Tensor& t : inputs_) in.push_back(t.get());
      for (Tensor& t : outputs_) out.push_back(t.get());
      args_.inputs = in.data();
      args_.outputs = out.data();
      args_.set_output = set_output;
      args_.core = core;
      AshlarStatus failure = new_status();
      require(step.run(step.context, &args_, &failure), failure);
    }
    /// Takes over the descriptor that the core has filled.
    void refresh(std::uint32_t output, const AshlarTensor& from) { outputs_[output].assign(from); }

   private:
    struct Tensor {
      explicit Tensor(const AshlarTensor* from = nullptr) {
        if (from) assign(*from);
      }
      void assign(const AshlarTensor& from) {
        there = true;
        abi = from;
        dims.assign(from.dims, from.dims + std::max(from.rank, 0));
        abi.dims = dims.data();
        abi.data = D::translate(from.data);
      }
      AshlarTensor* get() {
        abi.dims = dims.data();  // this may be a copy of what was assigned
        return there ? &abi : nullptr;
      }
      bool there = false;
      AshlarTensor abi{};
      std::vector<std::int64_t> dims;
    };
    AshlarRunArgs args_;
    std::vector<Tensor> inputs_, outputs_;
  };

  /// A run whose output shapes depend on data: its storage, which the core gives on the way, lies in device memory.
  struct Delayed {
    const AshlarRunArgs* args;
    Arguments* arguments;
    static AshlarCode set_output(void* self, std::uint32_t index, const AshlarShape* shape, AshlarStatus* status) {
      const auto& d = *static_cast<Delayed*>(self);
      const AshlarCode code = d.args->set_output(d.args->core, index, shape, status);
      if (code == ASHLAR_OK) d.arguments->refresh(index, *d.args->outputs[index]);
      return code;
    }
  };

  static AshlarCode run(void* context, const AshlarRunArgs* args, AshlarStatus* status) {
    return guarded(status, [&] {
      const auto& c = *static_cast<StepContext*>(context);
      Arguments arguments(*args);
      for (std::uint32_t k = 0; k < args->output_count; ++k) {
        if (!args->outputs[k] || args->outputs[k]->rank >= 0) continue;
        c.device->drain(args->queue);
        Delayed delayed{args, &arguments};
        return arguments.run(*c.inner, &Delayed::set_output, &delayed);
      }
      c.device->enqueue(args->queue, c.node, [step = c.inner, arguments]() mutable { arguments.run(*step, nullptr, nullptr); });
    });
  }

  static AshlarCode prepare(void* instance, const AshlarGraph* graph, const std::uint32_t* nodes, std::uint32_t count,
                            AshlarProgram* program, AshlarStatus* status) {
    Instance& i = instance_of(instance);
    auto made = std::make_unique<Program>();
    if (const AshlarCode code = i.inner->prepare(i.inner_instance, graph, nodes, count, &made->inner, status)) return code;
    made->contexts.reserve(made->inner.step_count);
    for (std::uint32_t s = 0; s < made->inner.step_count; ++s) {
      const auto& inner =
          *reinterpret_cast<const AshlarStep*>(reinterpret_cast<const char*>(made->inner.steps) + std::size_t{s} * made->inner.step_stride);
      StepContext& context =
          made->contexts.emplace_back(StepContext{&inner, &i.device, NodeView(graph, inner.nodes[0], i.host).abi().id, {}, {}});
      for (std::uint32_t k = 0; k < inner.input_count; ++k)
        context.input_spaces.push_back(
            k < 64 && ((inner.shape_only | (i.host_operands ? inner.bind_reads : 0)) >> k & 1) != 0 ? ASHLAR_SPACE_HOST : D::kMemory);
      context.output_spaces.assign(inner.output_count, D::kMemory);
      AshlarStep step = inner;
      step.queue = D::kCompute + s % i.queues;
      step.context = &context;
      if (NodeView(graph, inner.nodes[0], i.host).op_type() == "NonZero") step.flags |= ASHLAR_STEP_NO_CAPTURE;  // it drains its queue
      step.input_spaces = context.input_spaces.data();
      step.output_spaces = context.output_spaces.data();
      step.bind = &bind;
      step.run = &run;
      step.release_binding = &release_binding;
      made->steps.push_back(step);
    }
    *program = made->inner;
    program->steps = made->steps.data();
    program->step_stride = sizeof(AshlarStep);
    program->handle = made.release();
    return ASHLAR_OK;
  }
  static void release(void* instance, AshlarProgram* program) {
    const Instance& i = instance_of(instance);
    const std::unique_ptr<Program> made(static_cast<Program*>(program->handle));
    i.inner->release(i.inner_instance, &made->inner);
  }
};

}  // namespace ashlar::testing
