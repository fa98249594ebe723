// SPDX-License-Identifier: Apache-2.0
// What the rewrites of canonicalize work with.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace ashlar::ops {

/// A version above every version that ONNX gives an operator.
inline constexpr int kAnyVersion = 1 << 20;

/// A graph being canonicalised, and the graphs around it.
struct Scope {
  graph::Graph& graph;
  const Scope* outer = nullptr;
  std::unordered_set<std::string> value_names;

  explicit Scope(graph::Graph& g, const Scope* around = nullptr);
  /// The value's constant here or, for a captured value, where it comes from; null when it is no constant.
  const Tensor* constant(graph::ValueId v) const;
};

/// One node on its way to its newest form. A rewrite changes nothing before it knows that it will succeed.
class Rewriter {
 public:
  Rewriter(Scope& scope, graph::Node& n) : node(n), scope_(scope) {}

  graph::Node& node;
  std::vector<graph::Node> before;  ///< nodes to put in front of it
  std::vector<graph::Node> after;   ///< nodes to put behind it

  bool has_input(std::size_t i) const { return i < node.inputs.size() && node.inputs[i] != graph::kNone; }
  bool has_output(std::size_t i) const { return i < node.outputs.size() && node.outputs[i] != graph::kNone; }
  /// kUndefined, or nothing, when unknown or left out.
  DType dtype(std::size_t input) const;
  std::optional<std::int64_t> rank(std::size_t input) const;
  /// The number of elements when every dimension is fixed.
  std::optional<std::int64_t> element_count(std::size_t input) const;
  /// The input's elements as numbers, when it is a constant of a number type and has at most 1024 of them.
  std::optional<std::vector<double>> numbers(std::size_t input) const;

  /// The attribute's value, or `otherwise` when it is absent. Throws Error (kInvalidModel) when it is of another type.
  template <class T> T get(const std::string& name, T otherwise = {}) const {
    const graph::Attribute* a = node.find(name);
    if (!a) return otherwise;
    const T* value = std::get_if<T>(a);
    if (!value) wrong_type(name);
    return *value;
  }
  bool has(const std::string& name) const { return node.find(name) != nullptr; }
  void erase(std::initializer_list<const char*> names) {
    for (const char* name : names) node.attributes.erase(name);
  }
  template <class T> void set(const std::string& name, T value) { node.attributes[name] = std::move(value); }

  /// A new constant named `id/suffix`.
  graph::ValueId constant(const std::string& suffix, Tensor tensor);
  graph::ValueId constant(const std::string& suffix, const std::vector<std::int64_t>& elements);
  /// Makes input `i` that value; inputs between are left out.
  void set_input(std::size_t i, graph::ValueId v);
  /// The integer-list attribute, when it is there, becomes the constant input `i` of the same name.
  void attribute_to_input(const std::string& name, std::size_t i);
  /// A new node in front of this one, and its output.
  graph::ValueId insert(const std::string& op, const std::string& suffix, std::vector<graph::ValueId> inputs,
                        std::map<std::string, graph::Attribute> attributes = {});
  /// Makes output `i` a new value, named `id/suffix`; returns it and the value it was, which a node behind this one must write.
  std::pair<graph::ValueId, graph::ValueId> divert_output(std::size_t i, const std::string& suffix, DType dtype);
  /// A new node behind this one that writes `output`.
  void append(const std::string& op, const std::string& suffix, std::vector<graph::ValueId> inputs, graph::ValueId output,
              std::map<std::string, graph::Attribute> attributes = {});

 private:
  [[noreturn]] void wrong_type(const std::string& attribute) const;
  const graph::Value* value(std::size_t input) const;
  graph::Node make(const std::string& op, const std::string& suffix, std::vector<graph::ValueId> inputs,
                   std::map<std::string, graph::Attribute> attributes) const;
  std::string unique(const std::string& suffix);
  Scope& scope_;
};

/// A scalar of a floating-point dtype, rounded to nearest even; nothing for other dtypes.
std::optional<Tensor> scalar_of(DType dtype, double value);
/// A one-dimensional int64 tensor.
Tensor int64_tensor(const std::vector<std::int64_t>& elements);

/// The newest version of the operator that is not above `limit`; nothing for one that ONNX does not know or has deprecated since.
std::optional<int> newest_version(const std::string& op, const std::string& domain, int limit = kAnyVersion);

/// Fills in the attributes that are missing and that the schema has defaults for.
void fill_defaults(graph::Node& node, int version);

}  // namespace ashlar::ops
