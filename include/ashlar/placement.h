// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// What one provider said of one node.
struct Verdict {
  std::string provider;
  bool accepted = false;
  std::string code;    ///< why it was refused: "no_kernel_op", "no_kernel_dtype", ...; empty when accepted
  std::string reason;  ///< one sentence; empty when accepted
};

/// Where one node runs.
struct NodePlacement {
  std::string node;               ///< the original node's id
  std::string op;                 ///< `Op`, or `domain::Op`
  int opset = 0;                  ///< the operator's since_version
  std::string provider;           ///< "core" for control flow, containers and folded constants, which no provider is asked about
  std::string kernel;             ///< the kernel's name
  std::string outputs;            ///< declared dtypes and shapes of the outputs
  std::vector<Verdict> verdicts;  ///< one of every enabled provider, in order of preference; none for "core"
};

/// Every node of a session in the order of execution, the nodes of subgraphs after the node that holds them.
struct ASHLAR_API Placement {
  std::vector<NodePlacement> nodes;
  /// {"schema": 1, "nodes": [...]}.
  std::string to_json() const;
};

/// A table: node, operator, provider, kernel, outputs, and under it why other providers refused.
ASHLAR_API std::ostream& operator<<(std::ostream& out, const Placement& placement);

}  // namespace ashlar::inline v0
