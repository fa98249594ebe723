// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/tensor.h>

namespace ashlar::graph {

class Graph;

using ValueId = std::uint32_t;                       ///< an index into Graph::values()
using NodeIndex = std::uint32_t;                     ///< an index into Graph::nodes
inline constexpr std::uint32_t kNone = 0xffffffffu;  ///< an input or output that is left out

/// An attribute's value. Strings are bytes. Graphs are shared because a Graph is copied with its nodes and bodies are immutable
/// once a stage is done.
using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>,
                               Tensor, std::vector<Tensor>, std::shared_ptr<Graph>, ValueType>;

struct Node {
  std::string id;  ///< stable and unique in the whole model: path and name ("If_3/then/Conv_2"), or Op#index where unnamed or repeated
  std::string op_type;
  std::string domain;            ///< "" is the standard domain ("ai.onnx" is normalised to "")
  int version = 0;               ///< the since_version of the schema this node's form follows
  int original_version = 0;      ///< the since_version the file asked for, before src/ops brought the node into its newest form
  std::vector<ValueId> inputs;   ///< kNone where left out; trailing absent inputs are dropped
  std::vector<ValueId> outputs;  ///< likewise
  std::map<std::string, Attribute> attributes;  ///< schema defaults are filled in by src/onnx
  std::vector<ValueId> captures;                ///< values of this graph that the node's bodies use: the union of its bodies' captures
  std::vector<std::string> origins;             ///< ids of the original nodes it came from; its own id at import

  const Attribute* find(const std::string& name) const {
    const auto i = attributes.find(name);
    return i == attributes.end() ? nullptr : &i->second;
  }
  template <class T> const T* find_as(const std::string& name) const {
    const Attribute* a = find(name);
    return a ? std::get_if<T>(a) : nullptr;
  }
  /// "Op" or "domain::Op".
  std::string op_name() const { return domain.empty() ? op_type : domain + "::" + op_type; }
};

struct Value {
  std::string name;  ///< unique in its graph; the file's name where it has one
  ValueType type;    ///< what is known: from the file and from inference
  Tensor constant;   ///< defined for an initializer; its data may be unaligned (a span of the mapped file)
};

/// A value of the enclosing graph that a body uses.
struct Capture {
  ValueId outer;  ///< in the graph that holds the node
  ValueId inner;  ///< in the body
};

/// A model's graph or the body of a control-flow node: nodes in an order of execution over numbered values.
class Graph {
 public:
  std::string name;
  std::vector<Node> nodes;
  std::deque<Value> values;     ///< adding one moves none: passes hold on to values while they add others
  std::vector<ValueId> inputs;  ///< an input that is also a constant has a default
  std::vector<ValueId> outputs;
  std::vector<Capture> captures;  ///< for a body: what it takes from around it, at any depth (an inner body's captures pass through)

  ValueId add_value(std::string value_name, ValueType type = {}, Tensor constant = {}) {
    values.push_back({std::move(value_name), std::move(type), std::move(constant)});
    return static_cast<ValueId>(values.size() - 1);
  }
};

/// The bodies of a node, by attribute name ("then_branch", "body").
std::vector<std::pair<std::string, std::shared_ptr<Graph>>> bodies(const Node& node);

/// A copy whose bodies are copies too, at every depth; constants share their storage.
Graph deep_copy(const Graph& graph);

/// Throws Error (kInvalidModel, naming the node or value) unless: ids are in range, every value has at most one definition and
/// is defined before it is used, node ids are unique, bodies' captures match their node's, and outputs are defined.
void verify(const Graph& graph);

/// The stable text form: inputs, constants (dtype, shape, no data), one line a node, bodies indented, outputs.
std::string to_text(const Graph& graph);

/// Operators and how many nodes of each, bodies included, sorted by name.
std::vector<std::pair<std::string, std::int64_t>> count_operators(const Graph& graph);

}  // namespace ashlar::graph
