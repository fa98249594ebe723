// SPDX-License-Identifier: Apache-2.0
// Rewrites declared as text: what a subgraph looks like before, and what it becomes.
//
//   before
//     d = Div(x, 1.41421356)            # a literal is a constant of one element, equal within 1e-5 of it
//     ! e = Erf(d)                      # the anchor, one a section: matching starts at nodes of this operator
//     s = Add(e, 1)                     # operands of Add, Mul, And, Or, Max, Min and Equal match in either order
//     m = Mul(x, s)                     # a name stands for one value wherever it is written
//     y = Mul(m, 0.5)
//   after
//     y = Gelu(x) {approximate="none"}
//
// - A name that begins with an upper-case letter is a constant. `_` is an input or output that is left out; those at the end may be omitted.
// - `y = Op?(x, ...)`: the node may be missing, then y is x.
// - `& y = Op(x)`: others may read y too; the node goes only when nobody reads it any more.
// - `{perm=[0,2,1,3], axis=-1}` must be equal; `{scale=$s}` gives the attribute a name that `after` may use.
// - An operand may be a node: `y = Mul(x, Sigmoid(x))`; the anchor may be one: `y = Mul(x, ! Sigmoid(x))`.
// - `y = Neg(x) | Mul(x, -1)`: either of them. Several `before` sections are alternatives too.
// - A value that `after` writes keeps its name; all others that `before` writes (but for `&`) may be read inside the pattern alone.
//   `y = x` in `after` lets readers of y read x.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "optimizer/pass.h"

namespace ashlar::optimizer {

struct Section;

/// A pattern that matched, for conditions the text cannot say.
class Match {
 public:
  Match(Editor& e, const Section& section) : editor(e), section_(&section) {}
  Editor& editor;

  /// The value of a name; kNone for one that is left out or not in the section.
  ValueId value(std::string_view name) const;
  /// The node that writes the name's value in the pattern; kNone where it was missing.
  NodeIndex node(std::string_view name) const;
  /// The one element of a constant.
  double scalar(std::string_view name) const { return editor.scalar(value(name)).value_or(0); }
  /// A bound attribute; `otherwise` where the node lacks it.
  template <class T> T attribute(std::string_view name, T otherwise = {}) const {
    const auto at = attributes.find(name);
    const T* v = at == attributes.end() ? nullptr : std::get_if<T>(&at->second);
    return v ? *v : otherwise;
  }
  /// Names a value or an attribute for `after`.
  void set(std::string name, ValueId v) { extra[std::move(name)] = v; }
  void set_attribute(std::string name, Attribute a) { attributes[std::move(name)] = std::move(a); }
  /// false, with the reason why the match does not count. For `return match.fail(...)`.
  bool fail(std::string reason) {
    failure = std::move(reason);
    return false;
  }
  /// "Mul_3": the node that makes the value, or the value's name.
  std::string name_of(std::string_view name) const;

  std::map<std::string, Attribute, std::less<>> attributes;
  std::map<std::string, ValueId, std::less<>> extra;
  std::string failure;

 private:
  friend class Matcher;
  const Section* section_;
  std::vector<ValueId> values_;   ///< by variable
  std::vector<char> bound_;       ///< by variable
  std::vector<NodeIndex> nodes_;  ///< by node of the section; kNone where it is missing
};

struct Pattern {
  const char* text;
  /// Whether the match counts; says why not by Match::fail.
  bool (*accept)(Match& match) = nullptr;
  /// Makes values that `after` names (Match::set), in the patch.
  void (*prepare)(Match& match, Patch& patch) = nullptr;
  /// Near misses are told only where all nodes are there: without the last ones, those in front are nothing special.
  bool whole = false;
};

/// A pass that applies patterns wherever they match, in the order given at each node. Throws std::logic_error for text that cannot be read.
Pass pattern_pass(std::string name, std::string summary, std::initializer_list<Pattern> patterns);

}  // namespace ashlar::optimizer
