// SPDX-License-Identifier: Apache-2.0
#include "merge_regions.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "elementwise_region.h"

namespace ashlar::cpu {
namespace {

using provider::KernelStep;

class Merging {
 public:
  Merging(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, OrderedSteps& steps)
      : graph_(graph), host_(host), uses_(uses), steps_(steps), calls_(steps.size()) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const KernelStep& step = steps[i].second;
      const CpuKernel* kernel = cpu_kernel(step);
      step_of_[step.nodes.front()] = i;
      images_ = images_ || (kernel && kernel->layout_rule() == LayoutRule::kPrefers);
      if (!kernel || step.outputs.size() != 1 || step.nodes.size() != 1 || value_of(step.outputs[0]).rank() < 0) continue;
      calls_[i] = kernel->tile_call();
      if (calls_[i]) maker_[step.outputs[0]] = i;
    }
  }

  /// From the last step to the first, so that each region is as large as it can be.
  void run() {
    for (std::size_t i = steps_.size(); i-- > 0;)
      if (calls_[i]) merge(i);
    std::erase_if(steps_, [](const auto& entry) { return !entry.second.kernel; });
  }

 private:
  struct Program {
    std::vector<RegionOp> ops;
    std::vector<std::uint32_t> inputs;  ///< values
  };

  provider::ValueView value_of(std::uint32_t id) const {
    return {reinterpret_cast<const AshlarValue*>(reinterpret_cast<const char*>(graph_->values) + std::size_t{id} * graph_->value_stride),
            host_};
  }

  void merge(std::size_t last) {
    std::vector<std::size_t> members = {last};
    std::optional<Program> program;
    for (bool grown = true; grown;) {
      grown = false;
      for (const std::size_t candidate : makers_of(members)) {
        std::vector<std::size_t> more = members;
        more.insert(std::lower_bound(more.begin(), more.end(), candidate), candidate);
        if (auto larger = program_of(more)) {
          members = std::move(more);
          program = std::move(larger);
          grown = true;
          break;
        }
      }
    }
    const std::optional<std::size_t> fold = fold_behind(steps_[last].second.outputs[0]);
    if (fold && !program) program = program_of(members);
    for (const std::size_t m : members) calls_[m] = nullptr;
    if (!program) return;
    KernelStep step;
    step.name = steps_[members.front()].second.name;
    for (const std::size_t m : members) {
      step.nodes.push_back(steps_[m].second.nodes.front());
      if (m != last) steps_[m].second.kernel = nullptr;
    }
    step.inputs = program->inputs;
    step.outputs = steps_[fold.value_or(last)].second.outputs;
    const auto inputs = static_cast<int>(step.inputs.size());
    if (fold) {
      KernelStep& reduction = steps_[*fold].second;
      const int rank = value_of(reduction.inputs[0]).rank();
      step.nodes.push_back(reduction.nodes.front());
      step.kernel = elementwise_region(std::move(program->ops), inputs, *cpu_kernel(reduction)->row_fold(rank));
      steps_[last].second.kernel = nullptr;
      reduction = std::move(step);
    } else {
      step.kernel = elementwise_region(std::move(program->ops), inputs);
      steps_[last].second = std::move(step);
    }
  }

  static const CpuKernel* cpu_kernel(const KernelStep& step) { return dynamic_cast<const CpuKernel*>(step.kernel.get()); }

  /// The step that reduces rows of the value and is all that reads it. Images that convolutions gave lie in another order than rows.
  std::optional<std::size_t> fold_behind(std::uint32_t id) const {
    const int rank = value_of(id).rank();
    if (uses_.leaves(id) || uses_.readers(id).size() != 1 || rank < 1 || (images_ && rank >= 3)) return std::nullopt;
    const auto at = step_of_.find(uses_.readers(id)[0]);
    if (at == step_of_.end()) return std::nullopt;
    const KernelStep& step = steps_[at->second].second;
    const CpuKernel* kernel = step.kernel ? cpu_kernel(step) : nullptr;
    if (!kernel || step.nodes.size() != 1 || step.outputs.size() != 1 || step.inputs[0] != id || !kernel->row_fold(rank))
      return std::nullopt;
    return many_rows(id, rank - kernel->row_fold(rank)->axes) ? std::optional(at->second) : std::nullopt;
  }

  /// Whether a value has rows enough, `kept` of its dimensions in front of them, that threads have work when each row is one's: a long row by itself is
  /// better cut, which the reduction's own kernel does. Dimensions that are not known may be anything.
  bool many_rows(std::uint32_t id, int kept) const {
    constexpr std::int64_t kFewRows = 8;
    std::int64_t rows = 1;
    for (int d = 0; d < kept; ++d) {
      const std::int64_t dim = value_of(id).dim(d);
      if (dim < 0 || dim >= kFewRows) return true;
      rows *= dim;
    }
    return rows >= kFewRows;
  }

  /// Steps whose result members read and nobody else, of the shape of the last member's.
  std::vector<std::size_t> makers_of(const std::vector<std::size_t>& members) const {
    std::vector<std::size_t> out;
    const auto inside = [&](std::uint32_t node) {
      return std::any_of(members.begin(), members.end(), [&](std::size_t m) { return steps_[m].second.nodes.front() == node; });
    };
    for (const std::size_t m : members)
      for (const std::uint32_t id : steps_[m].second.inputs) {
        const auto made = id == ASHLAR_NONE ? maker_.end() : maker_.find(id);
        if (made == maker_.end() || !calls_[made->second] || std::find(members.begin(), members.end(), made->second) != members.end())
          continue;
        const auto& readers = uses_.readers(id);
        if (uses_.leaves(id) || !std::all_of(readers.begin(), readers.end(), inside)) continue;
        if (same_shape(graph_, id, steps_[members.back()].second.outputs[0])) out.push_back(made->second);
      }
    return out;
  }

  /// Nothing where there are too many of anything, or an input that could change the output's rank.
  std::optional<Program> program_of(const std::vector<std::size_t>& members) const {
    Program out;
    std::map<std::uint32_t, std::size_t> result_of;
    const int rank = value_of(steps_[members.back()].second.outputs[0]).rank();
    for (const std::size_t m : members) {
      const KernelStep& step = steps_[m].second;
      RegionOp op{.op = calls_[m]->op, .operands = {}};
      for (const int operand : calls_[m]->operands) {
        if (operand < 0) {
          op.operands.push_back({RegionOperand::Kind::kConstant, 0, calls_[m]->constants[static_cast<std::size_t>(-1 - operand)]});
          continue;
        }
        const std::uint32_t id = step.inputs[static_cast<std::size_t>(operand)];
        if (const auto inside = result_of.find(id); inside != result_of.end()) {
          op.operands.push_back({RegionOperand::Kind::kResult, inside->second});
          continue;
        }
        const int own = value_of(id).rank();
        if (own < 0 || own > rank) return std::nullopt;
        auto at = std::find(out.inputs.begin(), out.inputs.end(), id);
        if (at == out.inputs.end()) at = out.inputs.insert(out.inputs.end(), id);
        op.operands.push_back({RegionOperand::Kind::kInput, static_cast<std::size_t>(at - out.inputs.begin())});
      }
      result_of[step.outputs[0]] = out.ops.size();
      out.ops.push_back(std::move(op));
    }
    if (out.inputs.empty() || out.inputs.size() > kRegionInputs || out.ops.size() > kRegionOps || results_at_once(out.ops) > kRegionResults)
      return std::nullopt;
    return out;
  }

  const AshlarGraph* graph_;
  const AshlarHost* host_;
  const Uses& uses_;
  OrderedSteps& steps_;
  std::vector<std::unique_ptr<TileCall>> calls_;  ///< null where it is none, or part of a region already
  std::map<std::uint32_t, std::size_t> maker_;    ///< by value
  std::map<std::uint32_t, std::size_t> step_of_;  ///< by a step's first node
  bool images_ = false;                           ///< there are convolutions
};

}  // namespace

void merge_regions(const AshlarGraph* graph, const AshlarHost* host, const Uses& uses, OrderedSteps& steps) {
  Merging(graph, host, uses, steps).run();
}

}  // namespace ashlar::cpu
