// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

struct Trace;

/// What a node's kernel or a copy takes in one run, as a placement by cost reckons. Where shapes are not fixed, those of SessionOptions::expected_shapes
/// count, and 1 for what those do not say.
struct Cost {
  double nanoseconds = 0;
  double operations = 0;  ///< arithmetic; a multiplication with its addition is two
  double bytes = 0;       ///< read and written
  double launch_ns = 0;   ///< beyond both
  bool measured = false;  ///< the time is of a profile; else it follows from operations, bytes and the provider's rates
};

/// What one provider said of one node, or the session in its place.
struct Verdict {
  std::string provider;
  bool accepted = false;
  std::string code = {};    ///< why it was refused: "no_kernel_op", "no_kernel_dtype", ...; empty when accepted
  std::string reason = {};  ///< one sentence; empty when accepted
  /// The conditions under which it is accepted: "input 0, dimension 1 <= 1024". A run where one does not hold goes by a placement without.
  std::vector<std::string> guards = {};
  std::optional<Cost> cost = {};  ///< of the node on this provider, where its kernel would run it
};

/// Where one node runs.
struct NodePlacement {
  std::string node;                        ///< the original node's id
  std::string op;                          ///< `Op`, or `domain::Op`
  int opset = 0;                           ///< the operator's since_version
  std::string provider;                    ///< "core" for control flow, containers and folded constants, which no provider is asked about
  std::string kernel;                      ///< the kernel's name
  std::string outputs;                     ///< declared dtypes and shapes of the outputs
  std::vector<Verdict> verdicts;           ///< one of every enabled provider, in order of preference; none for "core"
  std::string graph = {};                  ///< the body it stands in, "If_3/then_branch"; empty for the main graph
  std::vector<std::size_t> sources = {};   ///< indices into Placement::nodes: whose outputs it reads, also from within a body
  std::optional<Cost> cost = {};           ///< on the provider where it runs; none for "core"
  std::optional<double> measured_ns = {};  ///< of one run, after Placement::add; of a node that another's kernel absorbed none
};

/// A copy of a tensor from one memory space to another.
struct BoundaryCopy {
  std::string tensor;
  std::string type;           ///< declared dtype and shape
  std::string graph;          ///< the body it happens in; empty for the main graph
  std::string producer = {};  ///< the node that gives the tensor; empty for an input of the graph or of the body, and for a weight
  std::vector<std::string> consumers = {};  ///< nodes that read it there; "(output)" for a reader outside
  std::string from = {}, to = {};           ///< memory spaces: "host", "example"
  bool once = false;                        ///< a weight, copied when the session was made; else at every run
  std::optional<std::uint64_t> bytes = {};  ///< of one copy; none where the shape is not known before a run
  std::uint64_t expected_bytes = 0;         ///< the same, where it is known; else by the shapes that costs are reckoned with
  /// Why the tensor is not where it is read.
  struct Cause {
    std::string node = {}, provider = {};  ///< whose verdict on which node; empty where no verdict forced it
    /// The verdict's code; or "graph_input", "graph_output", "body_input", "body_output" (outside, it is in host memory), "weight", "core" (the
    /// runtime's own node), "host_operand" (a kernel on the device reads it in host memory), "preference" (both providers would take the node).
    std::string code = {};
    std::string reason = {};  ///< one sentence
  };
  Cause cause = {};              ///< of the first reader
  std::vector<Cause> also = {};  ///< of other readers, where they differ: the copy goes when none is left
  double cost_ns = 0;            ///< that the placement reckoned with, of one copy

  // Of a weight, when the session was made; else after Placement::add, of all traces together.
  std::int64_t runs = 0;  ///< copies made
  std::uint64_t measured_bytes = 0;
  double measured_ns = 0;  ///< on the queue, or of the calling thread's time where the device has no clock
};

/// Every node of a session in the order of execution, the nodes of subgraphs after the node that holds them, and what is copied between them.
struct ASHLAR_API Placement {
  std::vector<NodePlacement> nodes;
  std::vector<BoundaryCopy> copies = {};
  std::string policy = "preference";  ///< or "cost"
  std::string profile = {};           ///< Profile::source of the times it was placed by
  double cost_ns = 0;                 ///< of one run, kernels and copies: the sum of the nodes' costs and of copies that are not made once
  std::int64_t traced_runs = 0;       ///< that add() was given

  /// Takes over what a run measured: times of nodes, and bytes and times of copies. The trace is of the session whose placement this is.
  void add(const Trace& trace);
  /// {"schema": 1, "policy", "profile", "cost_ns", "nodes": [...], "copies": [...], "totals": {"copies_per_run", "bytes_per_run", "copies_once",
  /// "bytes_once"}}.
  std::string to_json() const;
};

/// A table: node, operator, provider, kernel, outputs, and under it why other providers refused; then the copies, each with its cause.
ASHLAR_API std::ostream& operator<<(std::ostream& out, const Placement& placement);

/// What would change if a provider had a kernel that it lacks: the partitioner was run once more with those verdicts turned.
struct WhatIf {
  std::string provider;
  std::string op;                       ///< of the nodes
  std::string code;                     ///< of the refusals
  std::vector<std::string> nodes = {};  ///< that it refuses for lack of that kernel
  std::int64_t copies = 0;              ///< more of them in a run: below 0, copies go
  std::int64_t bytes = 0;               ///< more that a run copies
  double nanoseconds = 0;               ///< more that a run takes, as reckoned: copies, and kernels at the providers' rates
  std::int64_t moved = 0;               ///< nodes that would run elsewhere
};

/// Something that a run met which placement could not know.
struct PlacementEvent {
  std::string node, provider;
  std::string code;    ///< "capture_incompatible", "memory_budget", "dynamic_shape" (a guard did not hold)
  std::string reason;  ///< one sentence
  std::int64_t count = 1;
};

}  // namespace ashlar::inline v0
