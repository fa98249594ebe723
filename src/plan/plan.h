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

#include "partition/device.h"
#include "partition/partition.h"
#include "partition/weights.h"
#include "plan/topology.h"

namespace ashlar::plan {

/// An index into a frame's values: the graph's value ids, then the values that programs keep to themselves, and copies of values in other
/// memory spaces.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = graph::kNone;

struct Plan;

/// Who runs a step.
enum class Runner : std::uint8_t {
  kProvider,  ///< the provider's step
  kCore,      ///< the core, on values: control flow, containers
  kHost,      ///< the core, while it binds: shape arithmetic
  kCopy,      ///< a device's queue: its one input to its one output, in another memory space
};

/// One unit of execution: a provider's step, a node that the core runs or evaluates, or a copy between memory spaces.
struct Step {
  Runner runner = Runner::kProvider;
  graph::NodeIndex node = 0;                  ///< the (first) node it computes; of a copy, the one that asked for it
  std::uint32_t lane = 0;                     ///< of the topology: where it runs
  const AshlarStep* provider_step = nullptr;  ///< null unless the runner is a provider
  std::string provider;
  std::string kernel;
  std::vector<Slot> inputs;       ///< kNoSlot where left out
  std::vector<Slot> bind_inputs;  ///< what bind reads instead, in host memory; empty: the inputs
  std::vector<Slot> outputs;
  std::vector<DType> input_dtypes;  ///< as the graph declares them; kUndefined where it does not
  std::vector<DType> output_dtypes;
  std::vector<Slot> last_uses;  ///< slots, constants apart, that no later step and no output needs
  /// Under which its provider took its nodes: dimension `axis` of operand `input` of the step is at most `most`.
  std::vector<AshlarGuard> guards;
  std::vector<std::uint32_t> after;                           ///< earlier steps that must be done, beyond those that gave its inputs
  std::map<std::string, std::unique_ptr<const Plan>> bodies;  ///< of a control-flow node, by attribute name
};

inline constexpr std::uint32_t kNoCopy = 0xffffffffu;

/// What is known of a slot before any run.
struct SlotInfo {
  DType dtype = DType::kUndefined;  ///< as the graph or the program declares it
  std::uint32_t space = 0;          ///< of the topology
  std::uint32_t last_use = 0;       ///< the last step that reads it; kOutlives for an output
  bool constant = false;
  std::uint32_t constant_index = 0;  ///< into Plan::constants
  Slot copy_of = kNoSlot;            ///< the slot that holds the same value elsewhere
  std::uint32_t copy = kNoCopy;      ///< of a copy: its number in the session's ledger
  std::int64_t copied_ns = 0;        ///< that the copy of a constant took
};
inline constexpr std::uint32_t kOutlives = 0xffffffffu;

/// A partitioned graph, lowered: steps in order over slots. Immutable; shared by all runs of a session.
struct Plan {
  std::shared_ptr<const graph::Graph> graph;
  std::shared_ptr<const Topology> topology;
  std::vector<std::shared_ptr<const partition::Program>> programs;
  std::vector<Step> steps;
  std::vector<SlotInfo> slots;
  /// Those that steps, bodies or outputs read, aligned for their elements. The data of one in a device's memory is the device's address.
  std::vector<std::pair<Slot, Tensor>> constants;
  std::vector<Slot> outputs;     ///< of the graph, in host memory
  std::vector<Slot> host_slots;  ///< by value of the graph: where it is in host memory, kNoSlot where it never is
  std::size_t depth = 0;         ///< 0 for the main graph

  const graph::Node& node(const Step& step) const { return graph->nodes[step.node]; }
};

/// Prepares the programs of every provider, orders the steps, and puts a copy where a value is read in another memory space than it was
/// written in: one a value and space, as soon as the value is there, and none for constants, which are copied now. Throws the provider's
/// Error, naming the node.
std::unique_ptr<const Plan> lower(const partition::PartitionedGraph& graph, const partition::Providers& providers,
                                  std::shared_ptr<const Topology> topology, partition::WeightStore& weights);

/// Throws Error (kInternal) unless every slot a step reads was written before, is not released yet and lies where the step reads it, outputs
/// are written, and every copy has a reader and is the only one of its value in its space.
void verify(const Plan& plan);

/// One line a step, bodies indented.
std::string to_text(const Plan& plan);

}  // namespace ashlar::plan
