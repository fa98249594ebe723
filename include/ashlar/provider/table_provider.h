// SPDX-License-Identifier: Apache-2.0
// A provider that is a table of kernels: `TableProvider<MyProvider>` is the C struct the core talks to. It looks kernels up for
// verdicts, makes steps of them, and converts exceptions to statuses. backends/null is the smallest use.
#pragma once

#include <charconv>
#include <cstdio>
#include <deque>
#include <initializer_list>

#include <ashlar/provider/device.h>
#include <ashlar/provider/provider.h>

namespace ashlar::provider {

/// A step that runs a kernel, for one node or several.
struct KernelStep {
  std::unique_ptr<Kernel> kernel;
  const char* name = "";              ///< of the kernel, in reports
  std::vector<std::uint32_t> nodes;   ///< of the graph view; the first names the step
  std::vector<std::uint32_t> inputs;  ///< value ids
  std::vector<std::uint32_t> outputs;
  std::uint32_t queue = 0;                ///< 0: on the calling thread, in host memory
  std::vector<std::uint32_t> waits = {};  ///< events of the program, beyond the order that operands show
  std::vector<std::uint32_t> signals = {};
};

/// A claimed subgraph as steps in order, and the dtypes of values of its own, which are numbered from the graph's value count.
struct KernelProgram {
  std::vector<KernelStep> steps;
  std::vector<DType> own_values;
  std::uint32_t events = 0;  ///< that its steps' waits and signals number
};

/// The options an instance was made with: NAME?option=value&option=value.
class Options {
 public:
  explicit Options(std::span<const AshlarOption> options) {
    for (const AshlarOption& o : options) options_.emplace_back(o.name, o.value);
  }
  /// The option's value, or `otherwise`.
  std::string get(std::string_view name, std::string otherwise = "") const {
    for (const auto& [key, value] : options_)
      if (name == key) return value;
    return otherwise;
  }
  /// Whether the option is "on", not "off", or `otherwise`. Throws a Failure (ASHLAR_INVALID_ARGUMENT) where it is neither.
  bool flag(std::string_view name, bool otherwise) const {
    const std::string text = get(name, otherwise ? "on" : "off");
    if (text == "on" || text == "off") return text == "on";
    throw Failure(ASHLAR_INVALID_ARGUMENT, concat("option ", name, " is '", text, "', neither on nor off"));
  }
  /// The option's value as a number in [least, most], or `otherwise`. Throws a Failure (ASHLAR_INVALID_ARGUMENT) where it is none.
  template <class T> T number(std::string_view name, T otherwise, T least, T most) const {
    const std::string text = get(name);
    if (text.empty()) return otherwise;
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most) return value;
    throw Failure(ASHLAR_INVALID_ARGUMENT, concat("option ", name, " is '", text, "', not a number from ", least, " to ", most));
  }
  /// Throws a Failure (ASHLAR_INVALID_ARGUMENT) for an option whose name is not among these.
  void allow(std::initializer_list<const char*> names) const {
    for (const auto& [key, value] : options_) {
      std::string known;
      for (const char* name : names) {
        if (key == name) {
          known.clear();
          break;
        }
        known += (known.empty() ? "" : ", ") + std::string(name);
      }
      if (names.size() == 0) known = "none";
      if (!known.empty()) throw Failure(ASHLAR_INVALID_ARGUMENT, concat("there is no option '", key, "'; known: ", known));
    }
  }

 private:
  std::vector<std::pair<std::string, std::string>> options_;
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
  KernelTables(const char* provider, std::span<const std::span<const KernelEntry>> tables, std::uint32_t queue = 0)
      : provider_(provider), tables_(tables), queue_(queue) {}

  /// The first row that takes the node, or null and the most specific refusal.
  const KernelEntry* find(const NodeView& node, Verdict& verdict) const {
    verdict = refuse(ASHLAR_NO_KERNEL_OP, provider_, " has no kernel for ",
                     node.domain().empty() ? "" : std::string(node.domain()) + "::", node.op_type());
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
      KernelStep step;
      step.kernel = row->create(node);
      step.name = row->op;
      step.nodes = {node.index()};
      step.inputs = {abi.inputs, abi.inputs + abi.input_count};
      step.outputs = {abi.outputs, abi.outputs + abi.output_count};
      step.queue = queue_;
      return step;
    } catch (const Failure& e) {
      throw NodeFailure(node.index(), e);
    }
  }

 private:
  const char* provider_;
  std::span<const std::span<const KernelEntry>> tables_;
  std::uint32_t queue_;  ///< of every step
};

/// Makes an AshlarProvider of `P`, which has
///   static constexpr const char* name, version;
///   static std::span<const std::span<const KernelEntry>> kernels();   // tables, searched in order
/// and may have
///   static void start(const AshlarHost* host, const Options& options);   // called when an instance is made; a Failure says why it cannot be
///   static KernelProgram lower(const KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
///                              std::span<const std::uint32_t> nodes, const Options& options);   // else one step a node
/// and, where it does not work in host memory on the calling thread,
///   static std::unique_ptr<Device> open(const AshlarHost* host, const Options& options);   // in place of start
///   static void plan(const AshlarHost* host, const Options& options);   // in place of open where AshlarHost::plan_only; without it there are
///                                                                       // no plans for a device that is not there
/// and, to refuse nodes for reasons that no kernel knows,
///   static Verdict admit(const Options& options, const NodeView& node);   // asked before the tables; its guards and cost stand beside theirs
/// and, for a placement by cost,
///   static AshlarRates rates(const AshlarHost* host);   // of a provider in host memory; a device says its own
/// Its kernels then run on queue 1, and their operands lie in space 1, except those that Kernel::host_inputs names.
template <class P> class TableProvider {
 public:
  static const AshlarProvider* entry(const AshlarHost* host, AshlarStatus* status) {
    if (host->abi_version != ASHLAR_ABI_VERSION || host->abi_layout != ASHLAR_ABI_LAYOUT) {
      char layouts[64];
      std::snprintf(layouts, sizeof(layouts), "layout %08x, the core has version ", ASHLAR_ABI_LAYOUT);
      char core[32];
      std::snprintf(core, sizeof(core), ", layout %08x", host->abi_layout);
      set_status(status, ASHLAR_UNSUPPORTED,
                 concat("provider ", P::name, " was built for version ", ASHLAR_ABI_VERSION, " of the provider border, ", layouts,
                        host->abi_version, core));
      return nullptr;
    }
    static const AshlarProvider provider = {.struct_size = sizeof(AshlarProvider),
                                            .abi_version = ASHLAR_ABI_VERSION,
                                            .abi_layout = ASHLAR_ABI_LAYOUT,
                                            .reserved = 0,
                                            .name = P::name,
                                            .version = P::version,
                                            .create = &create,
                                            .destroy = &destroy,
                                            .describe = &describe,
                                            .verdict = &verdict,
                                            .prepare = &prepare,
                                            .release = &release,
                                            .device = device()};
    return &provider;
  }

 private:
  static constexpr bool kHasDevice = requires(const AshlarHost* host, const Options& options) { P::open(host, options); };

  struct Instance {
    const AshlarHost* host;
    Options options;
    std::unique_ptr<Device> device = {};
    Description description = {};  ///< what the last describe pointed to
  };
  struct StepContext {
    KernelStep step;
    const AshlarHost* host;
    std::vector<std::uint32_t> input_spaces, output_spaces;  ///< empty for a host step
    std::vector<AshlarGrowth> growths;
  };
  struct Program {
    std::deque<StepContext> contexts;
    std::vector<AshlarStep> steps;
    std::vector<AshlarProgramValue> values;
  };

  static KernelTables tables() { return {P::name, P::kernels(), kHasDevice ? 1u : 0u}; }
  static const AshlarDevice* device() {
    if constexpr (kHasDevice) return device_table<&device_of>();
    else return nullptr;
  }
  static Device& device_of(void* instance) { return *static_cast<Instance*>(instance)->device; }

  static AshlarCode create(const AshlarHost* host, const AshlarOption* options, std::uint32_t count, void** instance,
                           AshlarStatus* status) {
    return guarded(status, [&] {
      auto made = std::make_unique<Instance>(Instance{.host = host, .options = Options(std::span(options, count))});
      const Options& given = made->options;
      if constexpr (kHasDevice) {
        if (host->plan_only == 0) made->device = P::open(host, given);
        else if constexpr (requires { P::plan(host, given); }) P::plan(host, given);
        else throw Failure(ASHLAR_UNSUPPORTED, "it answers for a device that is there alone");
      } else if constexpr (requires { P::start(host, given); }) P::start(host, given);
      else given.allow({});
      *instance = made.release();
    });
  }
  static void destroy(void* instance) { delete static_cast<Instance*>(instance); }
  static AshlarCode describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
    return guarded(status, [&] {
      auto& i = *static_cast<Instance*>(instance);
      if (i.device) return provider::describe(*i.device, *info, i.description);
      *info = AshlarProviderInfo{};
      info->struct_size = sizeof(AshlarProviderInfo);
      info->space_stride = sizeof(AshlarSpaceInfo);
      info->device = "host";
      if constexpr (requires { P::rates(i.host); }) info->rates = P::rates(i.host);
    });
  }

  static AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t node, AshlarVerdict* out, AshlarStatus* status) {
    return guarded(status, [&] {
      const auto& i = *static_cast<Instance*>(instance);
      const NodeView view(graph, node, i.host);
      Verdict v, admitted;
      if constexpr (requires { P::admit(i.options, view); }) v = admitted = P::admit(i.options, view);
      const KernelEntry* row = v.code == ASHLAR_ACCEPTED ? tables().find(view, v) : nullptr;
      v.guards.insert(v.guards.end(), admitted.guards.begin(), admitted.guards.end());
      check(v.guards.size() <= ASHLAR_MAX_GUARDS, "a verdict of ", v.guards.size(), " guards");
      out->code = v.code;
      out->cost = v.cost;
      out->guard_count = static_cast<std::uint32_t>(v.guards.size());
      std::copy(v.guards.begin(), v.guards.end(), out->guards);
      copy_text(out->reason, sizeof(out->reason), v.reason);
      copy_text(out->kernel, sizeof(out->kernel), row ? row->op : "");
    });
  }

  static KernelProgram lower(const Instance& instance, const AshlarGraph* graph, std::span<const std::uint32_t> nodes) {
    const AshlarHost* host = instance.host;
    if constexpr (requires { P::lower(tables(), host, graph, nodes, instance.options); }) {
      return P::lower(tables(), host, graph, nodes, instance.options);
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
      std::uint32_t events = 0;
      try {
        KernelProgram lowered = lower(*static_cast<Instance*>(instance), graph, std::span(nodes, count));
        for (KernelStep& step : lowered.steps) program->contexts.push_back({std::move(step), host, {}, {}, {}});
        for (const DType dtype : lowered.own_values)
          program->values.push_back({sizeof(AshlarProgramValue), static_cast<std::int32_t>(dtype)});
        events = lowered.events;
      } catch (const NodeFailure& e) {
        failed = e.node();
        throw;
      }
      for (StepContext& context : program->contexts) {
        const Kernel& kernel = *context.step.kernel;
        AshlarStep step{};
        step.struct_size = sizeof(AshlarStep);
        step.context = &context;
        step.queue = context.step.queue;
        if (step.queue != 0) {
          for (std::size_t i = 0; i < context.step.inputs.size(); ++i)
            context.input_spaces.push_back(i < 64 && (kernel.host_inputs() >> i & 1) != 0 ? ASHLAR_SPACE_HOST : 1);
          context.output_spaces.assign(context.step.outputs.size(), 1);
          step.input_spaces = context.input_spaces.data();
          step.output_spaces = context.output_spaces.data();
          step.flags = kernel.capturable() ? 0 : ASHLAR_STEP_NO_CAPTURE;
        }
        if (kernel.moves_only()) step.flags |= ASHLAR_STEP_MOVES;
        step.waits = context.step.waits.data();
        step.wait_count = static_cast<std::uint32_t>(context.step.waits.size());
        step.signals = context.step.signals.data();
        step.signal_count = static_cast<std::uint32_t>(context.step.signals.size());
        step.kernel = context.step.name;
        step.nodes = context.step.nodes.data();
        step.node_count = static_cast<std::uint32_t>(context.step.nodes.size());
        step.inputs = context.step.inputs.data();
        step.input_count = static_cast<std::uint32_t>(context.step.inputs.size());
        step.outputs = context.step.outputs.data();
        step.output_count = static_cast<std::uint32_t>(context.step.outputs.size());
        step.bind_reads = kernel.bind_reads();
        step.shape_only = kernel.shape_only();
        step.unaligned = kernel.unaligned();
        step.in_place = kernel.in_place();
        context.growths = kernel.growths();
        step.growths = context.growths.data();
        step.growth_count = static_cast<std::uint32_t>(context.growths.size());
        step.growth_stride = sizeof(AshlarGrowth);
        step.bind = &bind;
        step.run = &run;
        step.release_binding = &release_binding;
        program->steps.push_back(step);
      }
      *out = AshlarProgram{.struct_size = sizeof(AshlarProgram),
                           .step_count = static_cast<std::uint32_t>(program->steps.size()),
                           .value_count = static_cast<std::uint32_t>(program->values.size()),
                           .event_count = events,
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
      args->workspace_space = c->step.queue != 0 ? 1 : ASHLAR_SPACE_HOST;
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

/// Defines the entry function of the provider `Class` (a class as TableProvider asks), outside of any namespace. In a provider library,
/// which is compiled with ASHLAR_PROVIDER_LIBRARY, it is the one symbol that is exported; in this tree NAME tells it from others.
#ifdef ASHLAR_PROVIDER_LIBRARY
#define ASHLAR_PROVIDER(Class, NAME)                                                                                    \
  extern "C" __attribute__((visibility("default"))) const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, \
                                                                                                AshlarStatus* status) { \
    return ::ashlar::provider::TableProvider<Class>::entry(host, status);                                               \
  }
#else
#define ASHLAR_PROVIDER(Class, NAME)                                                                            \
  extern "C" const AshlarProvider* ashlar_provider_entry_##NAME(const AshlarHost* host, AshlarStatus* status) { \
    return ::ashlar::provider::TableProvider<Class>::entry(host, status);                                       \
  }
#endif
