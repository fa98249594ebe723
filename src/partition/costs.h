// SPDX-License-Identifier: Apache-2.0
// What nodes and copies take, for a placement by cost: verdicts' own figures, else the operators' definitions, the declared shapes and the
// providers' rates; and what a profile measured.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/placement.h>
#include <ashlar/profile.h>
#include <ashlar/tensor.h>

#include "graph/graph.h"
#include "ops/symbolic.h"
#include "partition/provider.h"

namespace ashlar::partition {

using Providers = std::vector<std::shared_ptr<const Provider>>;

/// Shapes in numbers: the declared ones; of an input's dimensions that are not fixed, what `expected` says, and 1 for the rest.
class ExpectedShapes {
 public:
  ExpectedShapes(const graph::Graph& graph, const std::map<std::string, Shape>& expected);
  /// Of a body, which takes values from around it.
  ExpectedShapes(const graph::Graph& body, const ExpectedShapes& around);

  /// Null where not even the rank is known.
  const Shape* of(graph::ValueId value) const { return shapes_[value] ? &*shapes_[value] : nullptr; }
  /// 0 where the shape is not known, and for what has no fixed size.
  std::uint64_t bytes_of(graph::ValueId value) const;

 private:
  void know(graph::ValueId value, const Shape& shape);
  void infer();

  const graph::Graph& graph_;
  std::map<std::string, std::int64_t> symbols_;
  std::vector<std::optional<Shape>> shapes_;
};

/// The rates of a provider, with defaults for what it does not say.
AshlarRates rates_of(const Provider& provider);
/// Whether it works in a memory of its own.
bool has_device(const Provider& provider);

class Costs {
 public:
  /// `profile` may be null: what it measured replaces the estimate, and a provider's other nodes are scaled by what its measured ones took over what
  /// was estimated. The graph, the providers and the shapes outlive this.
  Costs(const graph::Graph& graph, const Providers& providers, const ExpectedShapes& shapes, const Profile* profile);

  /// Of a node on a provider that accepts it, or would if it had the kernel (an answer without a cost).
  Cost node(graph::NodeIndex node, std::size_t provider, const AshlarCost& said = {}) const;
  std::uint64_t bytes_of(graph::ValueId value) const { return shapes_.bytes_of(value); }
  double upload_ns(std::size_t provider, std::uint64_t bytes) const;
  double download_ns(std::size_t provider, std::uint64_t bytes) const;

 private:
  void learn(const Profile& profile);
  struct Scales {
    double node = 1, upload = 1, download = 1;
  };
  const graph::Graph& graph_;
  const Providers& providers_;
  const ExpectedShapes& shapes_;
  std::vector<AshlarRates> rates_;
  std::vector<Scales> scales_;
  std::map<std::pair<graph::NodeIndex, std::size_t>, double> measured_;
};

}  // namespace ashlar::partition
