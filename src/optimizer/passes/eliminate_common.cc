// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include <fmt/format.h>

#include "ops/facts.h"
#include "optimizer/constants.h"
#include "optimizer/pass.h"

namespace ashlar::optimizer {
namespace {

constexpr const char* kRule = "eliminate-common";
constexpr std::size_t kMostCompared = 4096;  // bytes of constants that count as one when they are equal
constexpr std::size_t kMostHashed = 64;      // bytes that tell nodes apart before they are compared

void mix(std::size_t& hash, std::size_t with) { hash = (hash ^ with) * 0x9e3779b97f4a7c15u + (hash >> 29); }

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (a.raw() == b.raw()) return a.dtype() == b.dtype() && a.shape() == b.shape();
  return a.dtype() != DType::kString && a.bytes() <= kMostCompared && same_bytes(a, b);
}

bool same(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<class T>(const T& x) {
        const T& y = *std::get_if<T>(&b);
        if constexpr (std::is_same_v<T, Tensor>) return same_tensor(x, y);
        else if constexpr (std::is_same_v<T, std::vector<Tensor>>) return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_tensor);
        else if constexpr (std::is_same_v<T, ValueType>) return x.to_string() == y.to_string();
        else return x == y;
      },
      a);
}

class Finder {
 public:
  explicit Finder(Editor& editor) : editor_(editor) {}

  void run() {
    for (const NodeIndex n : editor_.nodes()) {
      if (editor_.dead(n) || !comparable(n)) continue;
      auto& others = seen_[hash(editor_.node(n))];
      const auto equal =
          std::find_if(others.begin(), others.end(), [&](NodeIndex other) { return !editor_.dead(other) && same_node(other, n); });
      if (equal == others.end()) others.push_back(n);
      else merge(*equal, n);
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

  std::size_t hash(ValueId v) const {
    const Tensor* t = editor_.constant(v);
    if (!t) return v;
    std::size_t out = static_cast<std::size_t>(t->dtype());
    for (const std::int64_t d : t->shape()) mix(out, static_cast<std::size_t>(d));
    if (t->dtype() != DType::kString && t->bytes() <= kMostHashed)
      mix(out, std::hash<std::string_view>()({static_cast<const char*>(t->raw()), t->bytes()}));
    return out;
  }
  std::size_t hash(const Node& node) const {
    std::size_t out = std::hash<std::string>()(node.op_type), operands = 0;
    const bool any_order = commutes(node);
    for (const ValueId v : node.inputs) {
      if (any_order) operands += hash(v) * 0x9e3779b97f4a7c15u;
      else mix(operands, hash(v));
    }
    mix(out, operands);
    return out;
  }

  bool same_value(ValueId a, ValueId b) const {
    if (a == b) return true;
    const Tensor *x = editor_.constant(a), *y = editor_.constant(b);
    return x && y && same_tensor(*x, *y);
  }
  bool same_node(NodeIndex m, NodeIndex n) const {
    const Node &a = editor_.node(m), &b = editor_.node(n);
    const auto as_it_is = [&](ValueId x, ValueId y) { return same_value(x, y); };
    if (a.op_type != b.op_type || a.domain != b.domain || a.version != b.version) return false;
    if (!std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(), as_it_is) &&
        !(commutes(a) && commutes(b) && same_value(a.inputs[0], b.inputs[1]) && same_value(a.inputs[1], b.inputs[0])))
      return false;
    const auto present = [](ValueId x, ValueId y) { return (x == kNone) == (y == kNone); };
    if (!std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(), present)) return false;
    return std::equal(a.attributes.begin(), a.attributes.end(), b.attributes.begin(), b.attributes.end(),
                      [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
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
  std::unordered_map<std::size_t, std::vector<NodeIndex>> seen_;
};

}  // namespace

Pass eliminate_common() {
  return {kRule, "of nodes that compute the same from the same values one stays", [](Editor& editor) { Finder(editor).run(); }};
}

}  // namespace ashlar::optimizer
