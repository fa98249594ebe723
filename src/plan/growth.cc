// SPDX-License-Identifier: Apache-2.0
#include "plan/growth.h"

#include <algorithm>

#include "ops/host_evaluate.h"

namespace ashlar::plan {
namespace {

/// Whether the step reads the elements of a slot, not its shape alone; a growth's input apart.
bool reads_elements(const Plan& plan, const Step& step, Slot slot, const Step& grower, std::uint32_t grown_input) {
  if (step.runner == Runner::kCore) {
    const auto& captures = plan.node(step).captures;
    if (std::any_of(captures.begin(), captures.end(), [&](graph::ValueId v) { return plan.host_slots[v] == slot; })) return true;
  }
  if (std::find(step.bind_inputs.begin(), step.bind_inputs.end(), slot) != step.bind_inputs.end()) return true;
  for (std::uint32_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i] != slot || (&step == &grower && i == grown_input)) continue;
    if (step.runner == Runner::kHost && ops::reads_shape_only(plan.node(step))) continue;
    const AshlarStep* s = step.provider_step;
    if (!s || i >= 64 || (s->shape_only >> i & 1) == 0 || (s->bind_reads >> i & 1) != 0) return true;
  }
  return false;
}

}  // namespace

FoundGrowth find_growth(const Plan& plan, std::size_t input, std::size_t output) {
  const Slot past = plan.graph->inputs[input], present = plan.outputs[output];
  const auto no = [](std::string reason) { return FoundGrowth{std::nullopt, std::move(reason)}; };
  const Step* writer = nullptr;
  for (const Step& step : plan.steps)
    if (std::find(step.outputs.begin(), step.outputs.end(), present) != step.outputs.end()) writer = &step;
  if (!writer) return no("no step computes the output");
  const auto named = [&](const Step& step) { return plan.node(step).op_name() + " " + plan.node(step).id; };
  if (!writer->provider_step) return no(named(*writer) + " gives the output, which is " + writer->kernel + " of the " + writer->provider);
  const AshlarGrowth* found = nullptr;
  for (std::uint32_t k = 0; k < writer->provider_step->growth_count; ++k)
    if (const AshlarGrowth& g = growth(*writer->provider_step, k); writer->inputs[g.input] == past && writer->outputs[g.output] == present)
      found = &g;
  if (!found)
    return no("the kernel " + writer->kernel + " of " + writer->provider + " for " + named(*writer) +
              " does not extend the input in place");
  if (writer->lane != 0) return no(named(*writer) + " runs in a device's memory");
  if (std::count(plan.outputs.begin(), plan.outputs.end(), present) > 1) return no("two outputs of the model are this one");
  if (std::find(plan.outputs.begin(), plan.outputs.end(), past) != plan.outputs.end()) return no("the input is an output, too");
  for (const Step& step : plan.steps) {
    if (reads_elements(plan, step, past, *writer, found->input)) return no(named(step) + " reads the input, too");
    if (reads_elements(plan, step, present, *writer, ASHLAR_NONE)) return no(named(step) + " reads the output");
  }
  return {found->axis, {}};
}

}  // namespace ashlar::plan
