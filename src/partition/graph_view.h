// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/error.h>
#include <ashlar/provider/abi.h>

#include "graph/graph.h"

namespace ashlar::partition {

/// A graph as providers see it (abi.h's AshlarGraph), bodies included. Refers to the graph, which must not change and is kept
/// alive. Immutable.
class GraphView {
 public:
  explicit GraphView(std::shared_ptr<const graph::Graph> graph);
  GraphView(const GraphView&) = delete;
  GraphView& operator=(const GraphView&) = delete;

  const AshlarGraph& abi() const noexcept { return view_; }
  const graph::Graph& graph() const noexcept { return *graph_; }
  /// What an error about a node says of it.
  ErrorContext context(std::uint32_t node, const std::string& provider) const;

 private:
  const AshlarTensor* add_tensor(const Tensor& tensor);
  void add_attribute(std::vector<AshlarAttribute>& to, const std::string& name, const graph::Attribute& attribute);
  void add_value(const graph::Value& value);

  std::shared_ptr<const graph::Graph> graph_;
  AshlarGraph view_{};
  std::vector<AshlarNode> nodes_;
  std::vector<AshlarValue> values_;
  // Deques: what is added later must not move what views point to.
  std::deque<AshlarTensor> tensors_;
  std::deque<std::vector<AshlarAttribute>> attributes_;
  std::deque<std::vector<AshlarString>> strings_;
  std::deque<std::vector<std::int64_t>> dims_;
  std::deque<std::vector<const char*>> symbols_;
  std::deque<std::unique_ptr<GraphView>> bodies_;
};

/// "float32[1,3], int64[?]": the types of a node's inputs for messages.
std::string input_types(const graph::Graph& graph, const graph::Node& node);

}  // namespace ashlar::partition
