// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

namespace ashlar::plan {
namespace {

std::string slot_name(const Plan& plan, Slot slot) {
  if (slot == kNoSlot) return "-";
  const SlotInfo& info = plan.slots[slot];
  if (info.copy_of != kNoSlot) return slot_name(plan, info.copy_of) + "@" + plan.topology->spaces[info.space].name;
  return slot < plan.graph->values.size() ? "%" + plan.graph->values[slot].name : "%#" + std::to_string(slot);
}

std::string slot_names(const Plan& plan, const std::vector<Slot>& slots) {
  std::string out;
  for (const Slot s : slots) out += (out.empty() ? "" : ", ") + slot_name(plan, s);
  return out;
}

void append(std::string& out, const Plan& plan) {
  const std::string indent(plan.depth * 4, ' ');
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    out += indent + std::to_string(i) + ": " + step.provider +
           (step.lane != 0 ? " queue " + std::to_string(plan.topology->lanes[step.lane].queue) : "") + " " + step.kernel + " [" +
           plan.node(step).id + "] (" + slot_names(plan, step.inputs) + ") -> " + slot_names(plan, step.outputs);
    if (!step.last_uses.empty()) out += "  release " + slot_names(plan, step.last_uses);
    out += '\n';
    for (const auto& [name, body] : step.bodies) {
      out += indent + "  " + name + ":\n";
      append(out, *body);
    }
  }
}

}  // namespace

std::string to_text(const Plan& plan) {
  std::string out = "plan: " + std::to_string(plan.steps.size()) + " steps, " + std::to_string(plan.programs.size()) + " programs, " +
                    std::to_string(plan.constants.size()) + " constants\n";
  append(out, plan);
  return out;
}

}  // namespace ashlar::plan
