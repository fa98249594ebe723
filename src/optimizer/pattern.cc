// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>

#include "optimizer/pattern_text.h"

namespace ashlar::optimizer {
namespace {

bool commutes(const Line& line) {
  constexpr std::array<std::string_view, 7> ops = {"Add", "And", "Equal", "Max", "Min", "Mul", "Or"};
  return line.inputs.size() == 2 && line.domain.empty() && std::find(ops.begin(), ops.end(), line.op) != ops.end();
}

bool near(double a, double b, double tolerance = 1e-5) { return std::abs(a - b) <= tolerance * std::max(std::abs(b), 1e-30); }

/// What rounding to the dtype may change a number by.
double tolerance(DType dtype) { return dtype == DType::kFloat16 ? 5e-4 : dtype == DType::kBFloat16 ? 4e-3 : 1e-5; }

bool equal(const Attribute& a, const Attribute& b) {
  if (const auto* x = std::get_if<float>(&a), *y = std::get_if<float>(&b); x && y) return near(*x, *y);
  if (const auto* x = std::get_if<std::int64_t>(&a), *y = std::get_if<std::int64_t>(&b); x && y) return *x == *y;
  if (const auto* x = std::get_if<std::string>(&a), *y = std::get_if<std::string>(&b); x && y) return *x == *y;
  if (const auto* x = std::get_if<std::vector<std::int64_t>>(&a), *y = std::get_if<std::vector<std::int64_t>>(&b); x && y) return *x == *y;
  return false;
}

}  // namespace

ValueId Match::value(std::string_view name) const {
  if (const auto at = extra.find(name); at != extra.end()) return at->second;
  const auto variable = section_->find(name);
  return variable && *variable < bound_.size() && bound_[*variable] ? values_[*variable] : kNone;
}

NodeIndex Match::node(std::string_view name) const {
  const auto variable = section_->find(name);
  if (!variable) return kNone;
  for (std::size_t i = 0; i < section_->before.size(); ++i)
    for (const Operand& o : section_->before[i].outputs)
      if (o.kind == Operand::Kind::kName && o.variable == *variable) return nodes_[i];
  return kNone;
}

std::string Match::name_of(std::string_view name) const {
  const ValueId v = value(name);
  if (v == kNone) return "nothing";
  return editor.producer(v) == kNone ? editor.value(v).name : editor.id(editor.producer(v));
}

/// Finds one section at one anchor.
class Matcher {
 public:
  Matcher(Editor& editor, const Section& section, const Pattern& pattern) : editor_(editor), section_(section), pattern_(pattern) {}

  std::optional<Match> at(NodeIndex anchor) {
    Match match(editor_, section_);
    match.values_.assign(section_.variables.size(), kNone);
    match.bound_.assign(section_.variables.size(), 0);
    match.nodes_.assign(section_.before.size(), kNone);
    if (step(match, 0, anchor, 0)) return match;
    return std::nullopt;
  }
  int matched() const { return best_; }
  int total() const { return total_; }
  const std::string& reason() const { return reason_; }
  /// Whether at least all nodes of the section were found.
  bool found_all() const { return found_all_; }

 private:
  bool failed(int matched, auto&& reason) {
    if (matched <= best_) return false;
    best_ = matched;
    total_ = static_cast<int>(std::count_if(section_.before.begin(), section_.before.end(), [](const Line& l) { return !l.optional; }));
    reason_ = reason();
    return false;
  }

  std::string op_of(NodeIndex n) const { return editor_.id(n) + " (" + editor_.node(n).op_name() + ")"; }

  bool step(Match& match, std::size_t k, NodeIndex anchor, int matched) {
    if (k == section_.steps.size()) return finish(match, matched);
    const Step& s = section_.steps[k];
    const Line& line = section_.before[s.line];
    if (k == 0) return bind(match, k, anchor, matched);
    const Operand& by = (s.upwards ? line.outputs : line.inputs)[s.operand];
    const ValueId v = match.values_[by.variable];
    if (s.upwards) {
      const NodeIndex n = editor_.producer(v);
      if (n != kNone && is_op(line, n)) {
        Match attempt = match;
        if (bind(attempt, k, n, matched)) return accept(match, attempt);
      } else if (!line.optional) {
        return failed(matched,
                      [&] { return n == kNone ? editor_.value(v).name + " is not made by " + line.op : op_of(n) + " is no " + line.op; });
      }
      if (!line.optional) return false;
      Match attempt = match;
      if (assign(attempt, line.inputs[0], v) && step(attempt, k + 1, anchor, matched)) return accept(match, attempt);
      return false;
    }
    bool any = false;
    for (const Use& use : editor_.uses(v)) {
      if (use.captured() || !is_op(line, use.node) || std::find(match.nodes_.begin(), match.nodes_.end(), use.node) != match.nodes_.end())
        continue;
      any = true;
      Match attempt = match;
      if (bind(attempt, k, use.node, matched)) return accept(match, attempt);
    }
    if (line.optional) {
      if (s.operand != 0) return false;
      Match attempt = match;
      if (assign(attempt, line.outputs[0], v) && step(attempt, k + 1, anchor, matched)) return accept(match, attempt);
      return false;
    }
    if (!any)
      failed(matched, [&] {
        return "no " + line.op + " reads " + (editor_.producer(v) == kNone ? editor_.value(v).name : op_of(editor_.producer(v)));
      });
    return false;
  }
  static bool accept(Match& match, Match& found) {
    match.values_ = std::move(found.values_);
    match.bound_ = std::move(found.bound_);
    match.nodes_ = std::move(found.nodes_);
    match.attributes = std::move(found.attributes);
    match.extra = std::move(found.extra);
    return true;
  }

  bool is_op(const Line& line, NodeIndex n) const {
    const Node& node = editor_.node(n);
    return !editor_.dead(n) && node.op_type == line.op && node.domain == line.domain;
  }

  bool assign(Match& match, const Operand& o, ValueId v) const {
    if (o.kind == Operand::Kind::kAbsent) return v == kNone;
    if (v == kNone) return false;
    if (o.kind == Operand::Kind::kLiteral) {
      const auto number = editor_.scalar(v);
      return number && near(*number, o.literal, tolerance(editor_.dtype(v)));
    }
    if (match.bound_[o.variable]) return match.values_[o.variable] == v;
    if (std::isupper(static_cast<unsigned char>(section_.variables[o.variable][0])) && !editor_.constant(v)) return false;
    match.values_[o.variable] = v;
    match.bound_[o.variable] = 1;
    return true;
  }

  /// Why the operand is not that value.
  std::string mismatch(const Match& match, const Operand& o, ValueId v, NodeIndex n, const char* what) const {
    const std::string which = v == kNone                                     ? "nothing"
                              : editor_.producer(v) == kNone || *what == 'o' ? editor_.value(v).name
                                                                             : op_of(editor_.producer(v));
    std::string wanted = "left out";
    if (o.kind == Operand::Kind::kLiteral) {
      const auto number = v == kNone ? std::nullopt : editor_.scalar(v);
      return "an operand of " + op_of(n) + " is " + (number ? fmt::format("{}", static_cast<float>(*number)) : which) + ", not " +
             fmt::format("{}", o.literal);
    }
    if (o.kind == Operand::Kind::kName) wanted = match.bound_[o.variable] ? editor_.value(match.values_[o.variable]).name : "constant";
    return std::string(what) + " of " + op_of(n) + " is " + which + ", not " + wanted;
  }

  bool bind(Match& match, std::size_t k, NodeIndex n, int matched) {
    const std::size_t index = section_.steps[k].line;
    const Line& line = section_.before[index];
    const Node& node = editor_.node(n);
    if (std::find(match.nodes_.begin(), match.nodes_.end(), n) != match.nodes_.end()) return false;
    for (const auto& [name, wanted] : line.attributes) {
      const Attribute* a = node.find(name);
      if (!a || !equal(*a, wanted)) return failed(matched, [&] { return op_of(n) + " has another " + name; });
    }
    match.nodes_[index] = n;
    for (const auto& [name, bound] : line.bound_attributes)
      if (const Attribute* a = node.find(name)) match.attributes[bound] = *a;
    for (std::size_t i = 0; i < std::max(line.outputs.size(), node.outputs.size()); ++i) {
      const ValueId v = i < node.outputs.size() ? node.outputs[i] : kNone;
      const Operand o = i < line.outputs.size() ? line.outputs[i] : Operand{.kind = Operand::Kind::kAbsent};
      if (!assign(match, o, v)) return failed(matched, [&] { return mismatch(match, o, v, n, "output"); });
    }
    if (line.inputs.size() < node.inputs.size())
      return failed(matched, [&] { return op_of(n) + " has " + std::to_string(node.inputs.size()) + " inputs"; });
    const bool swaps = commutes(line) && node.inputs.size() == 2;
    int agreed = -1;
    std::string reason;  // of the order in which more operands agree
    for (int order = 0; order < (swaps ? 2 : 1); ++order) {
      Match attempt = match;
      std::size_t wrong = line.inputs.size();
      int agree = 0;
      const auto operand = [&](std::size_t i) {
        const std::size_t from = order ? 1 - i : i;
        return from < node.inputs.size() ? node.inputs[from] : kNone;
      };
      for (std::size_t i = line.inputs.size(); i-- > 0;) {
        if (assign(attempt, line.inputs[i], operand(i))) ++agree;
        else wrong = i;
      }
      if (wrong != line.inputs.size()) {
        if (agree > agreed && matched > best_) reason = mismatch(attempt, line.inputs[wrong], operand(wrong), n, "an operand");
        agreed = std::max(agreed, agree);
      } else if (const ValueId shaping = shaping_literal(line, node); shaping != kNone) {
        return failed(matched, [&] { return editor_.value(shaping).name + " may give the result of " + op_of(n) + " another rank"; });
      } else if (step(attempt, k + 1, n, matched + 1)) {
        return accept(match, attempt);
      }
    }
    return failed(matched, [&] { return reason; });
  }

  /// A constant of one element that the line matches as a literal and that may have more dimensions than what it is broadcast with.
  ValueId shaping_literal(const Line& line, const Node& node) const {
    constexpr std::array<std::string_view, 13> ops = {"Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max",
                                                      "Min", "Mul", "Pow",   "Sub",     "Where"};
    if (!line.domain.empty() || std::find(ops.begin(), ops.end(), line.op) == ops.end()) return kNone;
    if (std::none_of(line.inputs.begin(), line.inputs.end(), [](const Operand& o) { return o.kind == Operand::Kind::kLiteral; }))
      return kNone;
    std::size_t rank = 0;  // of what is no constant of one element
    for (const ValueId v : node.inputs)
      if (v != kNone && !editor_.scalar(v)) rank = std::max(rank, editor_.rank(v).value_or(0));
    for (const ValueId v : node.inputs)
      if (v != kNone && editor_.scalar(v) && editor_.rank(v).value_or(0) > rank) return v;
    return kNone;
  }

  bool finish(Match& match, int matched) {
    found_all_ = true;
    std::vector<NodeIndex> inside;
    for (const NodeIndex n : match.nodes_)
      if (n != kNone) inside.push_back(n);
    for (std::size_t i = 0; i < section_.before.size(); ++i) {
      if (match.nodes_[i] == kNone || section_.before[i].shared) continue;
      for (const ValueId v : editor_.node(match.nodes_[i]).outputs) {
        if (v == kNone || written_after(match, v)) continue;
        const auto is_inside = [&](const Use& u) {
          return !u.captured() && std::find(inside.begin(), inside.end(), u.node) != inside.end();
        };
        if (editor_.is_output(v) || !std::all_of(editor_.uses(v).begin(), editor_.uses(v).end(), is_inside))
          return failed(matched - 1, [&] { return editor_.consumers(v, inside); }) || failed_last(matched, v, inside);
      }
    }
    match.failure.clear();
    if (pattern_.accept && !pattern_.accept(match))
      return failed(matched, [&] { return match.failure.empty() ? "a condition fails" : match.failure; });
    return true;
  }
  bool failed_last(int matched, ValueId v, const std::vector<NodeIndex>& inside) {
    // All nodes matched, one of them is read elsewhere.
    if (matched - 1 >= best_) {
      best_ = matched - 1;
      total_ = matched;
      reason_ = editor_.consumers(v, inside);
    }
    return false;
  }

  bool written_after(const Match& match, ValueId v) const {
    for (const Line& line : section_.after)
      for (const Operand& o : line.outputs)
        if (o.kind == Operand::Kind::kName && o.variable < match.bound_.size() && match.bound_[o.variable] &&
            match.values_[o.variable] == v)
          return true;
    return false;
  }

  Editor& editor_;
  const Section& section_;
  const Pattern& pattern_;
  int best_ = 0, total_ = 0;
  bool found_all_ = false;
  std::string reason_;
};

namespace {

struct Compiled {
  Pattern pattern;
  std::vector<Section> sections;
};

/// The patch that a match stands for; nothing where an output of the graph could not keep its name.
std::optional<Patch> rewrite(Match& match, const Compiled& compiled, const Section& section, const std::string& rule) {
  Editor& editor = match.editor;
  Patch patch(editor, rule);
  for (std::size_t i = 0; i < section.before.size(); ++i) {
    const Line& line = section.before[i];
    const NodeIndex n = line.outputs.empty() ? kNone : match.node(section.variables[line.outputs[0].variable]);
    if (n != kNone && !line.shared) patch.remove(n);
  }
  if (compiled.pattern.prepare) compiled.pattern.prepare(match, patch);
  for (const Line& line : section.after) {
    std::vector<ValueId> inputs, outputs;
    for (const Operand& o : line.inputs) {
      if (o.kind == Operand::Kind::kAbsent) inputs.push_back(kNone);
      else if (o.kind == Operand::Kind::kLiteral) inputs.push_back(patch.scalar("constant", editor.dtype(inputs.at(0)), o.literal));
      else inputs.push_back(match.value(section.variables[o.variable]));
    }
    if (line.alias) {
      const ValueId gone = match.value(section.variables[line.outputs[0].variable]);
      if (!editor.can_replace(gone, inputs[0])) return std::nullopt;
      patch.replace(gone, inputs[0]);
      continue;
    }
    for (const Operand& o : line.outputs) {
      if (o.kind == Operand::Kind::kAbsent) {
        outputs.push_back(kNone);
        continue;
      }
      const std::string& name = section.variables[o.variable];
      if (match.value(name) == kNone) match.set(name, patch.value(rule + "/" + (name[0] == '#' ? line.op : name)));
      outputs.push_back(match.value(name));
    }
    Attributes attributes = line.attributes;
    for (const auto& [attribute, name] : line.bound_attributes)
      if (const auto at = match.attributes.find(name); at != match.attributes.end()) attributes[attribute] = at->second;
    patch.add_writing((line.domain.empty() ? "" : line.domain + "::") + line.op, std::move(inputs), std::move(outputs),
                      std::move(attributes));
  }
  return patch;
}

struct NearMiss {
  int matched = 0, total = 0;
  std::string reason;
};

bool try_at(Editor& editor, const Compiled& compiled, const std::string& rule, NodeIndex n, NearMiss& nearest) {
  for (const Section& section : compiled.sections) {
    const Line& anchor = section.before[section.steps[0].line];
    if (editor.node(n).op_type != anchor.op || editor.node(n).domain != anchor.domain) continue;
    Matcher matcher(editor, section, compiled.pattern);
    NearMiss miss;
    if (auto match = matcher.at(n)) {
      auto patch = rewrite(*match, compiled, section, rule);
      miss.matched = miss.total = static_cast<int>(section.before.size());
      if (!patch) miss.reason = "an output of the graph would lose its name";
      else if (editor.taken(*patch, &miss.reason)) return editor.apply(std::move(*patch));
    } else if (!compiled.pattern.whole || matcher.found_all()) {
      miss = {matcher.matched(), matcher.total(), matcher.reason()};
    }
    if (miss.matched > nearest.matched) nearest = std::move(miss);
  }
  return false;
}

}  // namespace

Pass pattern_pass(std::string name, std::string summary, std::initializer_list<Pattern> patterns) {
  auto compiled = std::make_shared<std::vector<Compiled>>();
  std::unordered_set<std::string> anchors;
  for (const Pattern& p : patterns) {
    compiled->push_back({p, read_pattern(p.text)});
    for (const Section& section : compiled->back().sections) anchors.insert(section.before[section.steps[0].line].op);
  }
  Pass pass;
  pass.name = name;
  pass.summary = std::move(summary);
  pass.run = [compiled, anchors = std::move(anchors), rule = std::move(name)](Editor& editor) {
    for (NodeIndex n = 0; n < editor.node_count(); ++n) {
      if (editor.dead(n) || !anchors.contains(editor.node(n).op_type)) continue;
      NearMiss nearest;
      for (const Compiled& c : *compiled) {
        if (editor.dead(n)) break;
        if (try_at(editor, c, rule, n, nearest)) {
          nearest = {};
          break;
        }
      }
      if (!editor.dead(n) && nearest.matched >= 2)
        editor.near_miss(rule, n, nearest.matched, std::max(nearest.total, nearest.matched), nearest.reason);
    }
  };
  return pass;
}

}  // namespace ashlar::optimizer
