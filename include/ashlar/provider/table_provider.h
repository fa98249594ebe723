// SPDX-License-Identifier: Apache-2.0
// A provider that is a table of kernels: `TableProvider<MyProvider>` is the C struct the core talks to. It looks kernels up for
// verdicts, makes one step per node, and converts exceptions to statuses. backends/null is the smallest use.
#pragma once

#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// Makes an AshlarProvider of `P`, which has
///   static constexpr const char* name, version;
///   static std::span<const std::span<const KernelEntry>> kernels();   // tables, searched in order
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
    std::unique_ptr<Kernel> kernel;
    const AshlarHost* host;
    std::uint32_t node;
  };
  struct Program {
    std::vector<std::unique_ptr<StepContext>> contexts;
    std::vector<AshlarStep> steps;
  };

  static AshlarCode create(const AshlarHost* host, const AshlarOption*, std::uint32_t, void** instance, AshlarStatus* status) {
    return guarded(status, [&] { *instance = new Instance{host}; });
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

  /// The first row that takes the node, or null and the most specific refusal.
  static const KernelEntry* find(const NodeView& node, Verdict& verdict) {
    verdict = refuse(ASHLAR_NO_KERNEL_OP, P::name, " has no kernel for ",
                     node.domain().empty() ? "" : std::string(node.domain()) + "::", node.op_type());
    for (const auto table : P::kernels()) {
      for (const KernelEntry& row : table) {
        if (node.op_type() != row.op || node.domain() != row.domain) continue;
        if (node.since_version() < row.since_min || node.since_version() > row.since_max) {
          if (verdict.code == ASHLAR_NO_KERNEL_OP)
            verdict = refuse(ASHLAR_NO_KERNEL_OPSET, P::name, " has ", row.op, " from version ", row.since_min, ", the node is of version ",
                             node.since_version());
          continue;
        }
        verdict = row.verdict ? row.verdict(node) : accept();
        if (verdict.code == ASHLAR_ACCEPTED) return &row;
      }
    }
    return nullptr;
  }

  static AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t node, AshlarVerdict* out, AshlarStatus* status) {
    return guarded(status, [&] {
      const NodeView view(graph, node, static_cast<Instance*>(instance)->host);
      Verdict v;
      const KernelEntry* row = find(view, v);
      out->code = v.code;
      copy_text(out->reason, sizeof(out->reason), v.reason);
      copy_text(out->kernel, sizeof(out->kernel), row ? row->op : "");
    });
  }

  static AshlarCode prepare(void* instance, const AshlarGraph* graph, const std::uint32_t* nodes, std::uint32_t count, AshlarProgram* out,
                            AshlarStatus* status) {
    std::uint32_t current = ASHLAR_NONE;
    const AshlarCode code = guarded(status, [&] {
      const AshlarHost* host = static_cast<Instance*>(instance)->host;
      auto program = std::make_unique<Program>();
      for (std::uint32_t i = 0; i < count; ++i) {
        current = nodes[i];
        const NodeView view(graph, nodes[i], host);
        Verdict v;
        const KernelEntry* row = find(view, v);
        if (!row) throw Failure(ASHLAR_INTERNAL, concat("asked to prepare a node it refused: ", v.reason));
        program->contexts.push_back(std::make_unique<StepContext>(StepContext{row->create(view), host, nodes[i]}));
        StepContext& context = *program->contexts.back();
        const AshlarNode& node = view.abi();
        AshlarStep step{};
        step.struct_size = sizeof(AshlarStep);
        step.context = &context;
        step.kernel = row->op;
        step.nodes = &context.node;
        step.node_count = 1;
        step.inputs = node.inputs;
        step.input_count = node.input_count;
        step.outputs = node.outputs;
        step.output_count = node.output_count;
        step.bind_reads = context.kernel->bind_reads();
        step.bind = &bind;
        step.run = &run;
        program->steps.push_back(step);
      }
      *out = AshlarProgram{.struct_size = sizeof(AshlarProgram),
                           .step_count = static_cast<std::uint32_t>(program->steps.size()),
                           .value_count = 0,
                           .event_count = 0,
                           .steps = program->steps.data(),
                           .step_stride = sizeof(AshlarStep),
                           .values = nullptr,
                           .value_stride = sizeof(AshlarProgramValue),
                           .handle = program.get()};
      program.release();
    });
    if (code != ASHLAR_OK && status) status->node = current;
    return code;
  }
  static void release(void*, AshlarProgram* program) { delete static_cast<Program*>(program->handle); }

  static AshlarCode bind(void* context, AshlarBindArgs* args, AshlarStatus* status) {
    return guarded(status, [&] {
      auto* step = static_cast<StepContext*>(context);
      BindContext c(args, step->host);
      step->kernel->bind(c);
    });
  }
  static AshlarCode run(void* context, const AshlarRunArgs* args, AshlarStatus* status) {
    return guarded(status, [&] {
      auto* step = static_cast<StepContext*>(context);
      step->kernel->run(RunContext(args, step->host));
    });
  }

  static void copy_text(char* to, std::size_t capacity, std::string_view text) {
    const std::size_t n = std::min(text.size(), capacity - 1);
    std::memcpy(to, text.data(), n);
    to[n] = 0;
  }
};

}  // namespace ashlar::provider
