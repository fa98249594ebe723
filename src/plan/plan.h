// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/error.h>
#include <ashlar/value.h>

#include "partition/partition.h"
#include "partition/weights.h"

namespace ashlar::plan {

/// An index into a frame's values: the graph's value ids, then the values that programs keep to themselves.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = graph::kNone;

struct Plan;

/// Who runs a step.
enum class Runner : std::uint8_t {
  kProvider,  ///< the provider's step
  kCore,      ///< the core, on values: control flow, containers
  kHost,      ///< the core, while it binds: shape arithmetic
};

/// One unit of execution: a provider's step, or a node that the core runs or evaluates.
struct Step {
  Runner runner = Runner::kProvider;
  graph::NodeIndex node = 0;                  ///< the (first) node it computes
  const AshlarStep* provider_step = nullptr;  ///< null unless the runner is a provider
  std::string provider;
  std::string kernel;
  std::vector<Slot> inputs;  ///< kNoSlot where left out
  std::vector<Slot> outputs;
  std::vector<DType> input_dtypes;  ///< as the graph declares them; kUndefined where it does not
  std::vector<DType> output_dtypes;
  std::vector<Slot> last_uses;                                ///< slots, constants apart, that no later step and no output needs
  std::map<std::string, std::unique_ptr<const Plan>> bodies;  ///< of a control-flow node, by attribute name
};

/// What is known of a slot before any run.
struct SlotInfo {
  DType dtype = DType::kUndefined;  ///< as the graph or the program declares it
  std::uint32_t last_use = 0;       ///< the last step that reads it; kOutlives for an output
  bool constant = false;
  std::uint32_t constant_index = 0;  ///< into Plan::constants
};
inline constexpr std::uint32_t kOutlives = 0xffffffffu;

/// A partitioned graph, lowered: steps in order over slots. Immutable; shared by all runs of a session.
struct Plan {
  std::shared_ptr<const graph::Graph> graph;
  std::vector<std::shared_ptr<const partition::Program>> programs;
  std::vector<Step> steps;
  std::vector<SlotInfo> slots;
  std::vector<std::pair<Slot, Tensor>> constants;  ///< those that steps, bodies or outputs read, aligned for their elements
  std::size_t depth = 0;                           ///< 0 for the main graph

  const graph::Node& node(const Step& step) const { return graph->nodes[step.node]; }
};

/// Prepares the programs of every provider and orders the steps. Throws the provider's Error, naming the node.
std::unique_ptr<const Plan> lower(const partition::PartitionedGraph& graph, const partition::Providers& providers,
                                  partition::WeightStore& weights);

/// Throws Error (kInternal) unless every slot a step reads was written before and is not released yet, and outputs are written.
void verify(const Plan& plan);

/// One line a step, bodies indented.
std::string to_text(const Plan& plan);

}  // namespace ashlar::plan
