// SPDX-License-Identifier: Apache-2.0
// A provider that is a table of kernels: `TableProvider<MyProvider>` is the C struct the core talks to. It looks kernels up for
// verdicts, makes steps of them, and converts exceptions to statuses. backends/null is the smallest use.
#pragma once

#include <deque>

#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// A step that runs a kernel, for one node or several.
struct KernelStep {
  std::unique_ptr<Kernel> kernel;
  const char* name = "";              ///< of the kernel, in reports
  std::vector<std::uint32_t> nodes;   ///< of the graph view; the first names the step
  std::vector<std::uint32_t> inputs;  ///< value ids
  std::vector<std::uint32_t> outputs;
};

/// A claimed subgraph as steps in order, and the dtypes of values of its own, which are numbered from the graph's value count.
struct KernelProgram {
  std::vector<KernelStep> steps;
  std::vector<DType> own_values;
};

/// Thrown where a node cannot be prepared; `inner` says why.
class NodeFailure : public Failure {
 public:
  NodeFailure(std::uint32_t node, const Failure& inner) : Failure(inner.code(), inner.what()), node_(node) {}
  std::uint32_t node() const noexcept { return node_; }

 private:
  std::uint32_t node_;
};

/// A provider's kernel tables, searched in order.
class KernelTables {
 public:
  KernelTables(const char* provider, std::span<const std::span<const KernelEntry>> tables) : provider_(provider), tables_(tables) {}

  /// The first row that takes the node, or null and the most specific refusal.
  const KernelEntry* find(const NodeView& node, Verdict& verdict) const {
    verdict = refuse(ASHLAR_NO_KERNEL_OP, provider_, " has no kernel for ", node.domain().empty() ? "" : std::string(node.domain()) + "::",
                     node.op_type());
    for (const auto table : tables_) {
      for (const KernelEntry& row : table) {
        if (node.op_type() != row.op || node.domain() != row.domain) continue;
        if (node.since_version() < row.since_min || node.since_version() > row.since_max) {
          if (verdict.code == ASHLAR_NO_KERNEL_OP)
            verdict = refuse(ASHLAR_NO_KERNEL_OPSET, provider_, " has ", row.op, " from version ", row.since_min,
                             ", the node is of version ", node.since_version());
          continue;
        }
        verdict = row.verdict ? row.verdict(node) : accept();
        if (verdict.code == ASHLAR_ACCEPTED) return &row;
      }
    }
    return nullptr;
  }

  /// The node's kernel as a step of its own. Throws NodeFailure.
  KernelStep step(const NodeView& node) const {
    try {
      Verdict verdict;
      const KernelEntry* row = find(node, verdict);
      if (!row) throw Failure(ASHLAR_INTERNAL, concat("asked to prepare a node it refused: ", verdict.reason));
      const AshlarNode& abi = node.abi();
      return {row->create(node),
              row->op,
              {node.index()},
              {abi.inputs, abi.inputs + abi.input_count},
              {abi.outputs, abi.outputs + abi.output_count}};
    } catch (const Failure& e) {
      throw NodeFailure(node.index(), e);
    }
  }

 private:
  const char* provider_;
  std::span<const std::span<const KernelEntry>> tables_;
};

/// Makes an AshlarProvider of `P`, which has
///   static constexpr const char* name, version;
///   static std::span<const std::span<const KernelEntry>> kernels();   // tables, searched in order
/// and may have
///   static void start(const AshlarHost* host);    // called when an instance is made; a Failure says why it cannot be
///   static KernelProgram lower(const KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
///                              std::span<const std::uint32_t> nodes);   // else one step a node
template <class P> class TableProvider {
 public:
  static const AshlarProvider* entry(const AshlarHost* host, AshlarStatus* status) {
    if (host->abi_version != ASHLAR_ABI_VERSION) {
      set_status(status, ASHLAR_UNSUPPORTED,
                 concat("provider ", P::name, " was built for version ", ASHLAR_ABI_VERSION, " of the provider border, the core has ",
                        host->abi_version));
      return nullptr;
    }
    static const AshlarProvider provider = {sizeof(AshlarProvider),
                                            ASHLAR_ABI_VERSION,
                                            P::name,
                                            P::version,
                                            &create,
                                            &destroy,
                                            &describe,
                                            &verdict,
                                            &prepare,
                                            &release,
                                            nullptr};
    return &provider;
  }

 private:
  struct Instance {
    const AshlarHost* host;
  };
  struct StepContext {
    KernelStep step;
    const AshlarHost* host;
  };
  struct Program {
    std::deque<StepContext> contexts;
    std::vector<AshlarStep> steps;
    std::vector<AshlarProgramValue> values;
  };

  static KernelTables tables() { return {P::name, P::kernels()}; }

  static AshlarCode create(const AshlarHost* host, const AshlarOption*, std::uint32_t, void** instance, AshlarStatus* status) {
    return guarded(status, [&] {
      if constexpr (requires { P::start(host); }) P::start(host);
      *instance = new Instance{host};
    });
  }
  static void destroy(void* instance) { delete static_cast<Instance*>(instance); }
  static AshlarCode describe(void*, AshlarProviderInfo* info, AshlarStatus*) {
    *info = AshlarProviderInfo{.struct_size = sizeof(AshlarProviderInfo),
                               .space_count = 0,
                               .queue_count = 0,
                               .features = 0,
                               .spaces = nullptr,
                               .space_stride = sizeof(AshlarSpaceInfo),
                               .device = "host"};
    return ASHLAR_OK;
  }

  static AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t node, AshlarVerdict* out, AshlarStatus* status) {
    return guarded(status, [&] {
      const NodeView view(graph, node, static_cast<Instance*>(instance)->host);
      Verdict v;
      const KernelEntry* row = tables().find(view, v);
      out->code = v.code;
      copy_text(out->reason, sizeof(out->reason), v.reason);
      copy_text(out->kernel, sizeof(out->kernel), row ? row->op : "");
    });
  }

  static KernelProgram lower(const AshlarHost* host, const AshlarGraph* graph, std::span<const std::uint32_t> nodes) {
    if constexpr (requires { P::lower(tables(), host, graph, nodes); }) {
      return P::lower(tables(), host, graph, nodes);
    } else {
      KernelProgram program;
      for (const std::uint32_t node : nodes) program.steps.push_back(tables().step(NodeView(graph, node, host)));
      return program;
    }
  }

  static AshlarCode prepare(void* instance, const AshlarGraph* graph, const std::uint32_t* nodes, std::uint32_t count, AshlarProgram* out,
                            AshlarStatus* status) {
    std::uint32_t failed = ASHLAR_NONE;
    const AshlarCode code = guarded(status, [&] {
      const AshlarHost* host = static_cast<Instance*>(instance)->host;
      auto program = std::make_unique<Program>();
      try {
        KernelProgram lowered = lower(host, graph, std::span(nodes, count));
        for (KernelStep& step : lowered.steps) program->contexts.push_back({std::move(step), host});
        for (const DType dtype : lowered.own_values)
          program->values.push_back({.struct_size = sizeof(AshlarProgramValue),
                                     .value = graph->value_count + static_cast<std::uint32_t>(program->values.size()),
                                     .space = ASHLAR_SPACE_HOST,
                                     .dtype = static_cast<std::int32_t>(dtype)});
      } catch (const NodeFailure& e) {
        failed = e.node();
        throw;
      }
      for (StepContext& context : program->contexts) {
        AshlarStep step{};
        step.struct_size = sizeof(AshlarStep);
        step.context = &context;
        step.kernel = context.step.name;
        step.nodes = context.step.nodes.data();
        step.node_count = static_cast<std::uint32_t>(context.step.nodes.size());
        step.inputs = context.step.inputs.data();
        step.input_count = static_cast<std::uint32_t>(context.step.inputs.size());
        step.outputs = context.step.outputs.data();
        step.output_count = static_cast<std::uint32_t>(context.step.outputs.size());
        step.bind_reads = context.step.kernel->bind_reads();
        step.shape_only = context.step.kernel->shape_only();
        step.in_place = context.step.kernel->in_place();
        step.bind = &bind;
        step.run = &run;
        step.release_binding = &release_binding;
        program->steps.push_back(step);
      }
      *out = AshlarProgram{.struct_size = sizeof(AshlarProgram),
                           .step_count = static_cast<std::uint32_t>(program->steps.size()),
                           .value_count = static_cast<std::uint32_t>(program->values.size()),
                           .event_count = 0,
                           .steps = program->steps.data(),
                           .step_stride = sizeof(AshlarStep),
                           .values = program->values.data(),
                           .value_stride = sizeof(AshlarProgramValue),
                           .handle = program.get()};
      program.release();
    });
    if (code != ASHLAR_OK && status) status->node = failed;
    return code;
  }
  static void release(void*, AshlarProgram* program) { delete static_cast<Program*>(program->handle); }

  static AshlarCode bind(void* context, AshlarBindArgs* args, AshlarStatus* status) {
    return guarded(status, [&] {
      auto* c = static_cast<StepContext*>(context);
      BindContext bind(args, c->host);
      c->step.kernel->bind(bind);
    });
  }
  static AshlarCode run(void* context, const AshlarRunArgs* args, AshlarStatus* status) {
    return guarded(status, [&] {
      auto* c = static_cast<StepContext*>(context);
      c->step.kernel->run(RunContext(args, c->host));
    });
  }
  static void release_binding(void*, void* binding) { delete static_cast<Binding*>(binding); }

  static void copy_text(char* to, std::size_t capacity, std::string_view text) {
    const std::size_t n = std::min(text.size(), capacity - 1);
    std::memcpy(to, text.data(), n);
    to[n] = 0;
  }
};

}  // namespace ashlar::provider
