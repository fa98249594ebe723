// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lazy_provider.h"

#include <cstdlib>
#include <vector>

#include <ashlar/provider/table_provider.h>

extern "C" const AshlarProvider* ashlar_provider_entry_reference(const AshlarHost*, AshlarStatus*);

namespace ashlar::testing {
namespace {

using provider::concat;
using provider::Failure;
using provider::guarded;

const AshlarProvider* inner = nullptr;
LazyDevice* last_device = nullptr;

struct Instance {
  const AshlarHost* host;
  void* inner_instance = nullptr;
  LazyDevice device;
  double claim = 1;
  std::string seed;
  std::vector<AshlarSpaceInfo> spaces;
  std::string description;
};
Instance& instance_of(void* instance) { return *static_cast<Instance*>(instance); }
provider::Device& device_of(void* instance) { return instance_of(instance).device; }

struct StepContext {
  const AshlarStep* step;
  Instance* instance;
  std::vector<std::uint32_t> input_spaces, output_spaces;
};
struct Program {
  AshlarProgram inner{};
  std::vector<StepContext> contexts;
  std::vector<AshlarStep> steps;
};

AshlarCode create(const AshlarHost* host, const AshlarOption* options, std::uint32_t count, void** instance, AshlarStatus* status) {
  return guarded(status, [&] {
    const provider::Options given(std::span(options, count));
    given.allow({"claim", "seed"});
    auto made = std::make_unique<Instance>();
    made->host = host;
    made->claim = std::strtod(given.get("claim", "1").c_str(), nullptr);
    made->seed = given.get("seed");
    if (const AshlarCode code = inner->create(host, nullptr, 0, &made->inner_instance, status)) throw Failure(code, status->message);
    last_device = &made->device;
    *instance = made.release();
  });
}
void destroy(void* instance) {
  if (last_device == &instance_of(instance).device) last_device = nullptr;
  inner->destroy(instance_of(instance).inner_instance);
  delete static_cast<Instance*>(instance);
}
AshlarCode describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
  Instance& i = instance_of(instance);
  return guarded(status, [&] { provider::describe(i.device, *info, i.spaces, i.description); });
}

AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t node, AshlarVerdict* verdict, AshlarStatus* status) {
  Instance& i = instance_of(instance);
  const provider::NodeView view(graph, node, i.host);
  const auto refuse = [&](AshlarVerdictCode code, const char* reason) {
    verdict->code = code;
    std::snprintf(verdict->reason, sizeof(verdict->reason), "%s", reason);
    return ASHLAR_OK;
  };
  for (int k = 0; k < view.input_count(); ++k)
    if (view.has_input(k) && view.input(k).dtype() == DType::kString) return refuse(ASHLAR_NO_KERNEL_DTYPE, "strings live in host memory");
  for (int k = 0; k < view.output_count(); ++k)
    if (view.has_output(k) && view.output(k).dtype() == DType::kString)
      return refuse(ASHLAR_NO_KERNEL_DTYPE, "strings live in host memory");
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : i.seed + '/' + std::string(view.id())) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash ^= hash >> 31;
  if (static_cast<double>(hash % 10007) >= i.claim * 10007) return refuse(ASHLAR_USER_PIN, "left to others by the option claim");
  return inner->verdict(i.inner_instance, graph, node, verdict, status);
}

AshlarCode bind(void* context, AshlarBindArgs* args, AshlarStatus* status) {
  const AshlarStep& step = *static_cast<StepContext*>(context)->step;
  const AshlarCode code = step.bind(step.context, args, status);
  args->workspace_space = 1;
  return code;
}

AshlarCode run(void* context, const AshlarRunArgs* args, AshlarStatus* status) {
  auto& c = *static_cast<StepContext*>(context);
  LazyDevice& device = c.instance->device;
  return guarded(status, [&] {
    for (std::uint32_t i = 0; i < args->output_count; ++i)
      if (args->outputs[i] && args->outputs[i]->rank < 0) {
        device.drain(args->queue);
        if (const AshlarCode code = c.step->run(c.step->context, args, status)) throw Failure(code, status->message);
        return;
      }
    // The descriptors stay with the core; where their data lies is what it is now.
    std::vector<AshlarTensor> inputs(args->input_count), outputs(args->output_count);
    std::vector<char> has_input(args->input_count), has_output(args->output_count);
    for (std::uint32_t i = 0; i < args->input_count; ++i)
      if ((has_input[i] = args->inputs[i] != nullptr)) inputs[i] = *args->inputs[i];
    for (std::uint32_t i = 0; i < args->output_count; ++i)
      if ((has_output[i] = args->outputs[i] != nullptr)) outputs[i] = *args->outputs[i];
    device.enqueue(args->queue,
                   [step = c.step, workspace = args->workspace, binding = args->binding, inputs, outputs, has_input, has_output]() mutable {
                     std::vector<const AshlarTensor*> in(inputs.size());
                     std::vector<AshlarTensor*> out(outputs.size());
                     for (std::size_t i = 0; i < in.size(); ++i) in[i] = has_input[i] ? &inputs[i] : nullptr;
                     for (std::size_t i = 0; i < out.size(); ++i) out[i] = has_output[i] ? &outputs[i] : nullptr;
                     AshlarRunArgs again{};
                     again.struct_size = sizeof(again);
                     again.input_count = static_cast<std::uint32_t>(in.size());
                     again.output_count = static_cast<std::uint32_t>(out.size());
                     again.inputs = in.data();
                     again.outputs = out.data();
                     again.workspace = workspace;
                     again.binding = binding;
                     AshlarStatus failure = provider::new_status();
                     if (const AshlarCode code = step->run(step->context, &again, &failure)) throw Failure(code, failure.message);
                   });
  });
}

void release_binding(void* context, void* binding) {
  const AshlarStep& step = *static_cast<StepContext*>(context)->step;
  if (step.release_binding) step.release_binding(step.context, binding);
}

AshlarCode prepare(void* instance, const AshlarGraph* graph, const std::uint32_t* nodes, std::uint32_t count, AshlarProgram* program,
                   AshlarStatus* status) {
  Instance& i = instance_of(instance);
  auto made = std::make_unique<Program>();
  if (const AshlarCode code = inner->prepare(i.inner_instance, graph, nodes, count, &made->inner, status)) return code;
  made->contexts.reserve(made->inner.step_count);
  for (std::uint32_t s = 0; s < made->inner.step_count; ++s) {
    const auto& from =
        *reinterpret_cast<const AshlarStep*>(reinterpret_cast<const char*>(made->inner.steps) + std::size_t{s} * made->inner.step_stride);
    StepContext& context = made->contexts.emplace_back(StepContext{&from, &i, {}, {}});
    context.input_spaces.assign(from.input_count, 1);
    context.output_spaces.assign(from.output_count, 1);
    AshlarStep step = from;
    step.queue = 1;
    step.context = &context;
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
void release(void* instance, AshlarProgram* program) {
  const std::unique_ptr<Program> made(static_cast<Program*>(program->handle));
  inner->release(instance_of(instance).inner_instance, &made->inner);
}

}  // namespace

const AshlarProvider* lazy_provider(const AshlarHost* host, AshlarStatus* status) {
  const AshlarProvider* reference = ashlar_provider_entry_reference(host, status);
  if (!reference) return nullptr;
  inner = reference;
  static const AshlarProvider table = {.struct_size = sizeof(AshlarProvider),
                                       .abi_version = ASHLAR_ABI_VERSION,
                                       .abi_layout = ASHLAR_ABI_LAYOUT,
                                       .reserved = 0,
                                       .name = "lazy",
                                       .version = "1",
                                       .create = &create,
                                       .destroy = &destroy,
                                       .describe = &describe,
                                       .verdict = &verdict,
                                       .prepare = &prepare,
                                       .release = &release,
                                       .device = provider::device_table<&device_of>()};
  return &table;
}

LazyDevice* last_lazy_device() { return last_device; }

}  // namespace ashlar::testing
