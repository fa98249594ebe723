// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "ops/facts.h"
#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "eliminate-common";
constexpr std::size_t kMostCompared = 4096;  // bytes of constants that count as one when they are equal

std::string bytes_key(const Tensor& t) {
  std::string key = t.type_string();
  if (t.dtype() == DType::kString || t.bytes() > kMostCompared) return key + fmt::format("@{}", t.raw());
  return key + ":" + std::string(static_cast<const char*>(t.raw()), t.bytes());
}

struct AttributeKey {
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(float v) const { return fmt::format("{:a}", v); }
  std::string operator()(const std::string& v) const { return std::to_string(v.size()) + ":" + v; }
  std::string operator()(const Tensor& v) const { return bytes_key(v); }
  std::string operator()(const ValueType& v) const { return v.to_string(); }
  std::string operator()(const std::shared_ptr<Graph>& v) const { return fmt::format("{}", static_cast<const void*>(v.get())); }
  template <class T> std::string operator()(const std::vector<T>& list) const {
    std::string out = "[";
    for (const T& item : list) out += (*this)(item) + ",";
    return out + "]";
  }
};

class Finder {
 public:
  explicit Finder(Editor& editor) : editor_(editor) {}

  void run() {
    for (const NodeIndex n : editor_.nodes()) {
      if (editor_.dead(n) || !comparable(n)) continue;
      const auto [at, is_new] = first_.try_emplace(key(n), n);
      if (!is_new && !editor_.dead(at->second)) merge(at->second, n);
    }
  }

 private:
  bool comparable(NodeIndex n) const {
    const Node& node = editor_.node(n);
    return deterministic(node) && !ops::is_core_operator(editor_.graph(), node) && node.captures.empty() && graph::bodies(node).empty();
  }

  static bool commutes(const Node& node) {
    constexpr std::array<std::string_view, 8> ops = {"Add", "And", "Equal", "Max", "Min", "Mul", "Or", "Xor"};
    return node.domain.empty() && node.inputs.size() == 2 && std::find(ops.begin(), ops.end(), node.op_type) != ops.end();
  }

  /// One value for all constants that are equal.
  ValueId representative(ValueId v) {
    const Tensor* t = editor_.constant(v);
    if (!t) return v;
    const auto known = representatives_.find(v);
    if (known != representatives_.end()) return known->second;
    const ValueId same = constants_.try_emplace(bytes_key(*t), v).first->second;
    return representatives_[v] = same;
  }

  std::string key(NodeIndex n) {
    const Node& node = editor_.node(n);
    std::string out = node.op_name() + "@" + std::to_string(node.version) + "/";
    std::vector<ValueId> inputs;
    for (const ValueId v : node.inputs) inputs.push_back(v == kNone ? kNone : representative(v));
    if (commutes(node) && inputs[0] > inputs[1]) std::swap(inputs[0], inputs[1]);
    for (const ValueId v : inputs) out += std::to_string(v) + ",";
    out += "/";
    for (const ValueId v : node.outputs) out += v == kNone ? "_" : "v";
    for (const auto& [name, value] : node.attributes) out += ";" + name + "=" + std::to_string(value.index()) + std::visit(AttributeKey(), value);
    return out;
  }

  void merge(NodeIndex kept, NodeIndex gone) {
    Patch patch(editor_, kRule);
    patch.remove(gone);
    const Node &a = editor_.node(kept), &b = editor_.node(gone);
    for (std::size_t i = 0; i < b.outputs.size(); ++i) {
      if (b.outputs[i] == kNone || (editor_.uses(b.outputs[i]).empty() && !editor_.is_output(b.outputs[i]))) continue;
      if (!editor_.can_replace(b.outputs[i], a.outputs[i])) {
        editor_.near_miss(kRule, gone, 1, 2,
                          fmt::format("{} computes the same, but {} and {} are both outputs of the graph", editor_.id(kept),
                                      editor_.value(a.outputs[i]).name, editor_.value(b.outputs[i]).name));
        return;
      }
      patch.replace(b.outputs[i], a.outputs[i]);
    }
    editor_.apply(std::move(patch));
  }

  Editor& editor_;
  std::unordered_map<std::string, NodeIndex> first_;
  std::unordered_map<std::string, ValueId> constants_;
  std::unordered_map<ValueId, ValueId> representatives_;
};

}  // namespace

Pass eliminate_common() {
  return {kRule, "of nodes that compute the same from the same values one stays", [](Editor& editor) { Finder(editor).run(); }};
}

}  // namespace ashlar::optimizer
