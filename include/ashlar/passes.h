// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// Which passes rewrite a session's graph. A pass that legalises cannot be left out: without it kernels would meet forms they do not know.
struct PassOptions {
  std::vector<std::string> only = {};           ///< names of passes; empty: all of them
  std::vector<std::string> disable = {};        ///< names of passes that are left out
  std::optional<std::int64_t> stop_after = {};  ///< rewrites to apply, in the order of Optimization::rewrites; at least 0

  /// No pass but those that cannot be left out: every node reaches the providers as the model has it.
  static PassOptions none();
};
inline PassOptions PassOptions::none() { return {.only = {"legalize"}}; }

/// A pass of the optimizer.
struct PassInfo {
  std::string name;
  std::string summary;    ///< one line: what it rewrites
  bool required = false;  ///< it can be neither disabled nor left out
};

/// The passes in the order in which they run.
ASHLAR_API std::vector<PassInfo> passes();

/// What the optimizer did to a session's graph, and what it nearly did.
struct Optimization {
  /// A node as a rewrite met it or made it.
  struct NodeRef {
    std::string node;                  ///< its id
    std::string op;                    ///< "Conv", "ashlar::Linear"
    std::vector<std::string> origins;  ///< ids of the model's nodes it came from
  };
  struct Rewrite {
    std::string pass;
    std::string rule;   ///< of the pass, such as the name of a pattern
    std::string graph;  ///< the node and body it happened in ("If_3/then_branch"); empty for the main graph
    std::vector<NodeRef> before, after;
    std::vector<std::pair<std::string, std::string>> tensors;  ///< a tensor that is gone, and the one that took its place
    std::int64_t nanoseconds = 0;
  };
  /// A pattern that began to match at a node and failed a condition.
  struct NearMiss {
    std::string pass;
    std::string rule;
    std::string graph;
    NodeRef anchor;
    int matched = 0, total = 0;  ///< nodes of the pattern that matched, and all it has
    std::string reason;          ///< "Add_29 has 2 consumers (Add_33)"
  };
  struct Pass {
    std::string name;
    bool enabled = true;
    int runs = 0;
    std::int64_t rewrites = 0, near_misses = 0;
    std::int64_t nodes_before = 0, nodes_after = 0;  ///< bodies included: before the first run and after the last
    std::int64_t nanoseconds = 0;                    ///< of all runs, checks of the graph included
  };

  std::vector<Pass> passes;
  std::vector<Rewrite> rewrites;
  std::vector<NearMiss> near_misses;
  std::int64_t nodes_before = 0, nodes_after = 0;                     ///< bodies included
  std::uint64_t constant_bytes_before = 0, constant_bytes_after = 0;  ///< of initializers, bodies included
  std::int64_t nanoseconds = 0;                                       ///< of everything
  std::int64_t folding_nanoseconds = 0;                               ///< of that, the pass that computes constants

  /// Which rewrites a node took part in, as indices into rewrites, in order: those that made it of others, and those that made others of it. `node` is an
  /// id of the model or of the session.
  ASHLAR_API std::vector<std::size_t> history(const std::string& node) const;
  /// The ids that stand in a node's place after all rewrites: its own where it is still there, none where it went without a successor.
  ASHLAR_API std::vector<std::string> successors(const std::string& node) const;

  /// {"schema": 1, "nodes_before": ..., "passes": [...], "rewrites": [...], "near_misses": [...]}
  ASHLAR_API std::string to_json() const;
};

/// A table of passes, then the rewrites and the near misses.
ASHLAR_API std::ostream& operator<<(std::ostream& out, const Optimization& optimization);

}  // namespace ashlar::inline v0
