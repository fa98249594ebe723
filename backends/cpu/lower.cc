// SPDX-License-Identifier: Apache-2.0
#include "lower.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "merge_regions.h"
#include "reorder.h"

namespace ashlar::cpu {

using provider::KernelProgram;
using provider::KernelStep;
using provider::NodeView;
using provider::ValueView;

namespace {

/// Copies a value to the other layout.
class Reorder final : public provider::Kernel {
 public:
  explicit Reorder(Layout to) : to_(to) {}
  bool moves_only() const override { return true; }
  void bind(provider::BindContext& context) const override {
    const provider::Dims dims = context.input(0).dims();
    context.set_output(0, dims);
    context.set_layout(0, to_);
    if (same_bytes(dims)) context.set_view(0, 0);
  }
  void run(const provider::RunContext& context) const override {
    const provider::TensorView from = context.input(0);
    void* to = context.output(0).raw();
    if (from.raw() == to) return;
    if (same_bytes(from.dims())) std::memcpy(to, from.raw(), from.bytes());
    else if (to_ == kChannelsLast) to_channels_last(context, from, to);
    else to_plain(context, from, to);
  }

 private:
  /// One channel, or one place a channel.
  static bool same_bytes(const provider::Dims& dims) { return dims.rank() < 3 || dims[1] <= 1 || dims.product(2, dims.rank()) <= 1; }
  Layout to_;
};

class Lowering {
 public:
  Lowering(const provider::KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph, std::span<const std::uint32_t> nodes,
           const Settings& settings)
      : tables_(tables), host_(host), graph_(graph), nodes_(nodes), settings_(settings), uses_(graph), claimed_(graph->node_count),
        done_(graph->node_count), channels_last_(graph->value_count) {
    for (const std::uint32_t n : nodes) claimed_[n] = 1;
  }

  KernelProgram run() {
    OrderedSteps steps;
    for (const std::uint32_t n : nodes_) {
      if (done_[n]) continue;
      KernelStep step = tables_.step(NodeView(graph_, n, host_));
      if (CpuKernel* kernel = cpu_kernel(step)) kernel->set(settings_);
      absorb_followers(step);
      const std::uint32_t last = *std::max_element(step.nodes.begin(), step.nodes.end());
      steps.emplace_back(last, std::move(step));
    }
    absorb_splits(steps);
    absorb_scales(steps);
    merge_regions(graph_, host_, uses_, steps);
    std::stable_sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [last, step] : steps) add(std::move(step));
    return std::move(program_);
  }

 private:
  static CpuKernel* cpu_kernel(const KernelStep& step) { return dynamic_cast<CpuKernel*>(step.kernel.get()); }

  void absorb_followers(KernelStep& step) {
    CpuKernel* kernel = cpu_kernel(step);
    if (!kernel || step.outputs.size() != 1) return;
    while (auto next = follower(graph_, host_, uses_, step.outputs[0])) {
      for (const std::uint32_t n : next->nodes)
        if (!claimed_[n] || done_[n]) return;
      if (next->operand != ASHLAR_NONE) next->op.input = static_cast<int>(step.inputs.size());
      if (!kernel->fuse(next->op)) return;
      if (next->operand != ASHLAR_NONE) step.inputs.push_back(next->operand);
      for (const std::uint32_t n : next->nodes) done_[n] = 1;
      step.nodes.insert(step.nodes.end(), next->nodes.begin(), next->nodes.end());
      step.outputs[0] = next->output;
    }
  }

  struct ColumnsRead {
    KernelStep* reader;
    int input;
    Columns columns;
  };

  /// A Split of the last dimension whose parts are read by kernels that read columns, and by nothing else, is no step: they read its input.
  void absorb_splits(OrderedSteps& steps) {
    std::map<std::uint32_t, KernelStep*> step_of;  // by the node it is made for
    for (auto& [last, step] : steps) step_of[step.nodes.front()] = &step;
    for (auto& [last, step] : steps) {
      const NodeView split(graph_, step.nodes.front(), host_);
      const auto reads = reads_of_parts(split, step_of);
      if (!reads) continue;
      for (const ColumnsRead& read : *reads) {
        cpu_kernel(*read.reader)->set_columns(read.input, read.columns);
        read.reader->inputs[static_cast<std::size_t>(read.input)] = split.input_id(0);
        if (read.reader->nodes.back() != split.index()) read.reader->nodes.push_back(split.index());
      }
      step.kernel = nullptr;
    }
    std::erase_if(steps, [](const auto& entry) { return !entry.second.kernel; });
  }

  std::optional<std::vector<ColumnsRead>> reads_of_parts(const NodeView& split, const std::map<std::uint32_t, KernelStep*>& step_of) const {
    const std::vector<Columns> parts = split_columns(split);
    if (parts.empty()) return std::nullopt;
    std::vector<ColumnsRead> reads;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      const std::uint32_t id = split.output_id(static_cast<int>(part));
      if (id == ASHLAR_NONE) continue;
      if (uses_.leaves(id)) return std::nullopt;
      for (const std::uint32_t n : uses_.readers(id)) {
        const auto at = step_of.find(n);
        const CpuKernel* kernel = at == step_of.end() ? nullptr : cpu_kernel(*at->second);
        const NodeView reader(graph_, n, host_);
        for (int i = 0; i < reader.input_count(); ++i) {
          if (reader.input_id(i) != id) continue;
          if (!kernel || !kernel->reads_columns(i)) return std::nullopt;
          reads.push_back({at->second, i, parts[part]});
        }
      }
    }
    return reads;
  }

  /// A Mul of an image by one number a channel, which nothing but a kernel reads that scales its input, is no step.
  void absorb_scales(OrderedSteps& steps) {
    std::map<std::uint32_t, KernelStep*> maker_of;  // by value
    for (auto& [last, step] : steps)
      for (const std::uint32_t id : step.outputs)
        if (id != ASHLAR_NONE) maker_of[id] = &step;
    for (auto& [last, step] : steps) {
      CpuKernel* kernel = step.kernel ? cpu_kernel(step) : nullptr;
      const auto made = kernel && kernel->scales_input() ? maker_of.find(step.inputs[0]) : maker_of.end();
      if (made == maker_of.end()) continue;
      KernelStep& mul = *made->second;
      const NodeView node(graph_, mul.nodes.front(), host_);
      if (node.op_type() != "Mul" || !node.domain().empty() || mul.nodes.size() != 1 || uses_.leaves(step.inputs[0]) ||
          uses_.readers(step.inputs[0]) != std::vector{step.nodes.front()})
        continue;
      const int scale = channel_scale(graph_, node);
      const auto known = [&](std::uint32_t id) { return id == ASHLAR_NONE || value(id).rank() >= 0; };
      if (scale < 0 || !known(step.outputs[0]) || !std::all_of(step.inputs.begin(), step.inputs.end(), known)) continue;
      step.inputs[0] = node.input_id(1 - scale);
      kernel->set_input_scale(static_cast<int>(step.inputs.size()));
      step.inputs.push_back(node.input_id(scale));
      step.nodes.push_back(node.index());
      mul.kernel = nullptr;
    }
    std::erase_if(steps, [](const auto& entry) { return !entry.second.kernel; });
  }
  ValueView value(std::uint32_t id) const {
    return {reinterpret_cast<const AshlarValue*>(reinterpret_cast<const char*>(graph_->values) + std::size_t{id} * graph_->value_stride),
            host_};
  }

  /// Whether steps of this program alone read the value's elements.
  bool stays(std::uint32_t id) const {
    if (uses_.leaves(id)) return false;
    return std::all_of(uses_.readers(id).begin(), uses_.readers(id).end(), [&](std::uint32_t n) {
      const NodeView reader(graph_, n, host_);
      return claimed_[n] || reader.op_type() == "Shape" || reader.op_type() == "Size";
    });
  }

  /// Whether the value's bytes are the same in both layouts: at most one dimension is not one.
  bool layout_free(std::uint32_t id) const {
    const ValueView v = value(id);
    int longer = 0;
    for (int i = 0; i < v.rank(); ++i) longer += v.dim(i) != 1;
    return v.rank() >= 0 && longer <= 1;
  }

  std::uint32_t own_value(DType dtype) {
    program_.own_values.push_back(dtype);
    return graph_->value_count + static_cast<std::uint32_t>(program_.own_values.size() - 1);
  }

  void add_reorder(std::uint32_t node, std::uint32_t from, std::uint32_t to, Layout layout) {
    program_.steps.push_back({std::make_unique<Reorder>(layout), "Reorder", {node}, {from}, {to}});
  }

  /// The value in that layout, copied by a step before the one being added where it is not there yet.
  std::uint32_t in_layout(std::uint32_t id, Layout layout, std::uint32_t node) {
    if ((channels_last_[id] ? kChannelsLast : kPlain) == layout) return id;
    const auto [at, is_new] = copies_.try_emplace({id, layout}, 0);
    if (is_new) {
      at->second = own_value(value(id).dtype());
      add_reorder(node, id, at->second, layout);
    }
    return at->second;
  }

  /// Adds a step, its inputs in the layouts it reads.
  void add(KernelStep step) {
    CpuKernel* kernel = cpu_kernel(step);
    const std::uint32_t node = step.nodes.front();
    const LayoutRule rule = kernel && !step.outputs.empty() && step.outputs[0] != ASHLAR_NONE ? kernel->layout_rule() : LayoutRule::kPlain;
    const int rank = rule == LayoutRule::kPlain ? -1 : value(step.outputs[0]).rank();
    const auto full_rank = [&](std::uint32_t id) { return id != ASHLAR_NONE && value(id).rank() == rank; };
    const auto known = [&](std::uint32_t id) { return id == ASHLAR_NONE || value(id).rank() >= 0; };
    if (rule == LayoutRule::kReads) {
      for (std::size_t i = 1; i < step.inputs.size(); ++i)
        if (step.inputs[i] != ASHLAR_NONE) step.inputs[i] = in_layout(step.inputs[i], kPlain, node);
      program_.steps.push_back(std::move(step));
      return;
    }
    bool last = false;
    if (rank >= 3 && std::all_of(step.inputs.begin(), step.inputs.end(), known)) {
      last = rule == LayoutRule::kPrefers;
      if (rule == LayoutRule::kFollows)
        for (const std::uint32_t id : step.inputs) last = last || (full_rank(id) && channels_last_[id] && !layout_free(id));
    }
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      std::uint32_t& id = step.inputs[i];
      if (id == ASHLAR_NONE) continue;
      const bool data = rule == LayoutRule::kFollows || i == 0 || is_operand(step, i);
      const bool wants = last && data && full_rank(id) && !layout_free(id);
      id = in_layout(id, wants ? kChannelsLast : kPlain, node);
    }
    if (rule == LayoutRule::kPrefers) kernel->set_output_layout(last ? kChannelsLast : kPlain);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> leaving;
    if (last) {
      for (std::uint32_t& id : step.outputs) {
        if (id == ASHLAR_NONE) continue;
        if (stays(id)) {
          channels_last_[id] = 1;
          continue;
        }
        const std::uint32_t own = own_value(value(id).dtype());
        leaving.emplace_back(own, id);
        copies_[{id, kChannelsLast}] = own;
        id = own;
      }
    }
    program_.steps.push_back(std::move(step));
    for (const auto& [own, id] : leaving) add_reorder(node, own, id, kPlain);
  }

  /// Whether input i was added by a follower.
  bool is_operand(const KernelStep& step, std::size_t i) const {
    return i >= static_cast<std::size_t>(NodeView(graph_, step.nodes.front(), host_).input_count());
  }

  const provider::KernelTables& tables_;
  const AshlarHost* host_;
  const AshlarGraph* graph_;
  std::span<const std::uint32_t> nodes_;
  const Settings& settings_;
  Uses uses_;
  std::vector<char> claimed_, done_;
  std::vector<char> channels_last_;  ///< by value: how it is stored
  std::map<std::pair<std::uint32_t, Layout>, std::uint32_t> copies_;
  KernelProgram program_;
};

}  // namespace

KernelProgram lower(const provider::KernelTables& tables, const AshlarHost* host, const AshlarGraph* graph,
                    std::span<const std::uint32_t> nodes, const Settings& settings) {
  return Lowering(tables, host, graph, nodes, settings).run();
}

}  // namespace ashlar::cpu
