// SPDX-License-Identifier: Apache-2.0
// Regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax), matched against a whole text. The pattern becomes a
// program whose states are followed side by side (Thompson's construction), so that time is linear in the text, nothing
// recurses over it, and no pattern makes it backtrack. Unicode classes (\p) and \C are refused.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/provider/provider.h>

#include "text.h"

namespace ashlar::reference {

class FullMatch {
 public:
  /// Throws a Failure that says what of the pattern is wrong, not supported or too large.
  explicit FullMatch(std::string_view pattern) : pattern_(pattern) {
    const int root = alternation(0);
    need(end(), "unbalanced )");
    emit(root);
    program_.push_back({Op::kMatch, 0, 0});
    nodes_.clear();
  }

  bool operator()(std::string_view text) const {
    constexpr char32_t kNone = 0x110000;
    States now(program_.size()), then(program_.size());
    std::size_t at = 0;
    char32_t previous = kNone;
    std::size_t behind = at;
    char32_t next = text.empty() ? kNone : next_code_point(text, behind);
    follow(now, 0, previous, next);
    while (next != kNone) {
      const char32_t code = next;
      at = behind;
      next = at < text.size() ? next_code_point(text, behind) : kNone;
      previous = code;
      then.clear();
      for (const int state : now.list) {
        const Instruction& i = program_[static_cast<std::size_t>(state)];
        if (i.op == Op::kSet && sets_[static_cast<std::size_t>(i.x)].has(code)) follow(then, state + 1, previous, next);
      }
      std::swap(now, then);
      if (now.list.empty()) return false;
    }
    return now.marks[program_.size() - 1] == now.round;
  }

 private:
  static constexpr int kDepth = 100, kRepeats = 1000, kSize = 20000;
  using Ranges = std::vector<std::pair<char32_t, char32_t>>;

  struct Set {
    Ranges ranges;
    bool negated = false, fold = false;
    bool in(char32_t c) const {
      for (const auto& [first, last] : ranges)
        if (c >= first && c <= last) return true;
      return false;
    }
    bool has(char32_t c) const { return (in(c) || (fold && (in(to_case(c, true)) || in(to_case(c, false))))) != negated; }
  };
  enum class Assert { kBegin, kEnd, kLineBegin, kLineEnd, kBoundary, kNoBoundary };
  enum class Kind { kSet, kAssert, kSequence, kAlternation, kRepeat };
  struct Node {
    Kind kind;
    std::vector<int> children;
    int value = 0;         // set or assertion
    int min = 0, max = 0;  // of kRepeat; max -1: no bound
  };
  enum class Op { kSet, kAssert, kSplit, kJump, kMatch };
  struct Instruction {
    Op op;
    int x, y;
  };
  struct Flags {
    bool fold = false, dot_all = false, lines = false;
  };
  /// Program places, each at most once in a round.
  struct States {
    explicit States(std::size_t size) : marks(size, 0) {}
    std::vector<int> list;
    std::vector<std::uint64_t> marks;
    std::uint64_t round = 1;
    void clear() {
      list.clear();
      ++round;
    }
  };

  // ---- The program ----

  int here() const { return static_cast<int>(program_.size()); }
  int put(Op op, int x = 0, int y = 0) {
    need(program_.size() < kSize, "it is too large");
    program_.push_back({op, x, y});
    return here() - 1;
  }
  Instruction& at(int place) { return program_[static_cast<std::size_t>(place)]; }

  void emit(int index) {
    need(++emitted_ < 4 * kSize, "it is too large");
    const Node node = nodes_[static_cast<std::size_t>(index)];
    switch (node.kind) {
      case Kind::kSet: put(Op::kSet, node.value); return;
      case Kind::kAssert: put(Op::kAssert, node.value); return;
      case Kind::kSequence:
        for (const int child : node.children) emit(child);
        return;
      case Kind::kAlternation: return emit_alternation(node);
      case Kind::kRepeat: return emit_repeat(node);
    }
  }

  void emit_alternation(const Node& node) {
    std::vector<int> ends;
    for (std::size_t i = 0; i + 1 < node.children.size(); ++i) {
      const int split = put(Op::kSplit);
      at(split).x = here();
      emit(node.children[i]);
      ends.push_back(put(Op::kJump));
      at(split).y = here();
    }
    emit(node.children.back());
    for (const int end : ends) at(end).x = here();
  }

  void emit_repeat(const Node& node) {
    for (int i = 0; i < node.min; ++i) emit(node.children[0]);
    std::vector<int> splits;
    for (int i = node.min; i < node.max || node.max < 0; ++i) {
      splits.push_back(put(Op::kSplit));
      at(splits.back()).x = here();
      emit(node.children[0]);
      if (node.max >= 0) continue;
      put(Op::kJump, splits.back());
      break;
    }
    for (const int split : splits) at(split).y = here();
  }

  static bool holds(Assert what, char32_t previous, char32_t next) {
    const auto word = [](char32_t c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
    constexpr char32_t kNone = 0x110000;
    switch (what) {
      case Assert::kBegin: return previous == kNone;
      case Assert::kEnd: return next == kNone;
      case Assert::kLineBegin: return previous == kNone || previous == '\n';
      case Assert::kLineEnd: return next == kNone || next == '\n';
      case Assert::kBoundary: return word(previous) != word(next);
      case Assert::kNoBoundary: return word(previous) == word(next);
    }
    return false;
  }

  /// Adds `state` and what is reached from it without a code point.
  void follow(States& states, int state, char32_t previous, char32_t next) const {
    std::vector<int> open{state};
    while (!open.empty()) {
      const int s = open.back();
      open.pop_back();
      std::uint64_t& mark = states.marks[static_cast<std::size_t>(s)];
      if (mark == states.round) continue;
      mark = states.round;
      states.list.push_back(s);
      const Instruction& i = program_[static_cast<std::size_t>(s)];
      if (i.op == Op::kJump || i.op == Op::kSplit) open.push_back(i.x);
      if (i.op == Op::kSplit) open.push_back(i.y);
      if (i.op == Op::kAssert && holds(static_cast<Assert>(i.x), previous, next)) open.push_back(s + 1);
    }
  }

  // ---- The parser ----

  void need(bool condition, const char* reason) const {
    if (!condition) throw provider::Failure(ASHLAR_UNSUPPORTED, provider::concat("the pattern is not taken at byte ", at_, ": ", reason));
  }
  bool end() const { return at_ >= pattern_.size(); }
  bool take(std::string_view text) {
    if (pattern_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }
  char32_t code_point() {
    need(!end(), "it ends too early");
    return next_code_point(pattern_, at_);
  }
  int add(Node node) {
    nodes_.push_back(std::move(node));
    return static_cast<int>(nodes_.size()) - 1;
  }
  int add_set(Ranges ranges, bool negated = false, bool fold = false) {
    sets_.push_back({std::move(ranges), negated, fold});
    return add({Kind::kSet, {}, static_cast<int>(sets_.size()) - 1});
  }
  int add_assert(Assert what) { return add({Kind::kAssert, {}, static_cast<int>(what)}); }

  int alternation(int depth) {
    need(depth < kDepth, "groups are nested too deep");
    Node node{Kind::kAlternation, {sequence(depth)}};
    while (take("|")) node.children.push_back(sequence(depth));
    return add(std::move(node));
  }

  int sequence(int depth) {
    Node node{Kind::kSequence, {}};
    while (!end() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      if (take("\\Q")) {
        while (!end() && !take("\\E")) node.children.push_back(literal(code_point()));
        continue;
      }
      const int item = atom(depth);
      if (item >= 0) node.children.push_back(repeated(item));
    }
    return add(std::move(node));
  }

  int repeated(int item) {
    Node node{Kind::kRepeat, {item}};
    if (!repetition(node)) return item;
    take("?");
    Node again{Kind::kRepeat, {}};
    need(!repetition(again), "a repetition of a repetition");
    return add(std::move(node));
  }

  bool repetition(Node& node) {
    node.max = -1;
    if (take("*")) return true;
    node.min = 1;
    if (take("+")) return true;
    node.min = 0;
    node.max = 1;
    if (take("?")) return true;
    const std::size_t start = at_;
    if (take("{") && number(node.min)) {
      node.max = node.min;
      if (take(",") && !number(node.max)) node.max = -1;
      if (take("}")) {
        need(node.min <= kRepeats && node.max <= kRepeats && (node.max < 0 || node.min <= node.max), "bad repetition counts");
        return true;
      }
    }
    at_ = start;
    return false;
  }

  bool number(int& value) {
    const std::size_t start = at_;
    for (value = 0; !end() && pattern_[at_] >= '0' && pattern_[at_] <= '9'; ++at_)
      if (value <= kRepeats) value = value * 10 + (pattern_[at_] - '0');
    return at_ != start;
  }

  int literal(char32_t code) { return add_set({{code, code}}, false, flags_.fold); }

  /// -1 for what matches nothing by itself, such as (?i).
  int atom(int depth) {
    if (take("(")) return group(depth);
    if (take("[")) return character_class();
    if (take("^")) return add_assert(flags_.lines ? Assert::kLineBegin : Assert::kBegin);
    if (take("$")) return add_assert(flags_.lines ? Assert::kLineEnd : Assert::kEnd);
    if (take(".")) return flags_.dot_all ? add_set({}, true) : add_set({{'\n', '\n'}}, true);
    need(pattern_[at_] != '*' && pattern_[at_] != '+' && pattern_[at_] != '?', "nothing to repeat");
    if (pattern_[at_] != '\\') return literal(code_point());
    if (take("\\A")) return add_assert(Assert::kBegin);
    if (take("\\z")) return add_assert(Assert::kEnd);
    if (take("\\b")) return add_assert(Assert::kBoundary);
    if (take("\\B")) return add_assert(Assert::kNoBoundary);
    ++at_;
    Ranges ranges;
    if (perl_class(ranges)) return add_set(std::move(ranges));
    return literal(escaped());
  }

  int group(int depth) {
    const Flags saved = flags_;
    if (take("?P<") || take("?<")) {
      while (!end() && pattern_[at_] != '>') ++at_;
      need(take(">"), "a group's name has no end");
    } else if (take("?")) {
      for (bool on = true; !end() && pattern_[at_] != ':' && pattern_[at_] != ')'; ++at_) {
        switch (pattern_[at_]) {
          case '-': on = false; break;
          case 'i': flags_.fold = on; break;
          case 's': flags_.dot_all = on; break;
          case 'm': flags_.lines = on; break;
          case 'U': break;
          default: need(false, "unknown group flag");
        }
      }
      if (take(")")) return -1;
      need(take(":"), "missing )");
    }
    const int inner = alternation(depth + 1);
    need(take(")"), "missing )");
    flags_ = saved;
    return inner;
  }

  static void add_except(Ranges& to, const Ranges& sorted) {
    char32_t from = 0;
    for (const auto& [first, last] : sorted) {
      if (first > from) to.emplace_back(from, first - 1);
      from = last + 1;
    }
    to.emplace_back(from, 0x10FFFF);
  }

  static void add_named(Ranges& to, const Ranges& sorted, bool negated) {
    if (negated) return add_except(to, sorted);
    to.insert(to.end(), sorted.begin(), sorted.end());
  }

  /// The d of \d, and its like, behind the backslash.
  bool perl_class(Ranges& to) {
    if (end()) return false;
    const char name = pattern_[at_];
    const bool negated = name >= 'A' && name <= 'Z';
    switch (name) {
      case 'd':
      case 'D': add_named(to, {{'0', '9'}}, negated); break;
      case 's':
      case 'S': add_named(to, {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}, negated); break;
      case 'w':
      case 'W': add_named(to, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, negated); break;
      default: return false;
    }
    ++at_;
    return true;
  }

  bool posix_class(Ranges& to) {
    static const std::pair<std::string_view, Ranges> kClasses[] = {{"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
                                                                   {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
                                                                   {"ascii", {{0, 0x7F}}},
                                                                   {"blank", {{'\t', '\t'}, {' ', ' '}}},
                                                                   {"cntrl", {{0, 0x1F}, {0x7F, 0x7F}}},
                                                                   {"digit", {{'0', '9'}}},
                                                                   {"graph", {{'!', '~'}}},
                                                                   {"lower", {{'a', 'z'}}},
                                                                   {"print", {{' ', '~'}}},
                                                                   {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
                                                                   {"space", {{'\t', '\r'}, {' ', ' '}}},
                                                                   {"upper", {{'A', 'Z'}}},
                                                                   {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
                                                                   {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}}};
    if (!take("[:")) return false;
    const bool negated = take("^");
    for (const auto& [name, ranges] : kClasses) {
      const std::size_t start = at_;
      if (take(name) && take(":]")) {
        add_named(to, ranges, negated);
        return true;
      }
      at_ = start;
    }
    need(false, "unknown character class");
    return false;
  }

  int character_class() {
    Ranges ranges;
    const bool negated = take("^");
    for (bool first = true; first || !take("]"); first = false) {
      need(!end(), "missing ]");
      if (posix_class(ranges)) continue;
      if (take("\\")) {
        if (perl_class(ranges)) continue;
        --at_;
      }
      const char32_t low = class_member();
      char32_t high = low;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        ++at_;
        high = class_member();
      }
      need(low <= high, "a range runs backwards");
      ranges.emplace_back(low, high);
    }
    return add_set(std::move(ranges), negated, flags_.fold);
  }

  char32_t class_member() { return take("\\") ? escaped() : code_point(); }

  /// The code point of an escape, behind the backslash.
  char32_t escaped() {
    const char32_t c = code_point();
    switch (c) {
      case 'a': return 7;
      case 'f': return '\f';
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'v': return '\v';
      case 'x': return take("{") ? digits(16, 8, true) : digits(16, 2, false);
      default: break;
    }
    const auto octal = [&] { return !end() && pattern_[at_] >= '0' && pattern_[at_] <= '7'; };
    if (c == '0' || (c >= '1' && c <= '7' && octal())) {
      --at_;
      return digits(8, 3, false);
    }
    need(c >= 0x80 || !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')), "unknown escape");
    return c;
  }

  char32_t digits(char32_t base, int most, bool braced) {
    char32_t value = 0;
    int count = 0;
    for (; count < most && !end(); ++count, ++at_) {
      const char c = pattern_[at_];
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
      if (static_cast<char32_t>(digit) >= base) break;
      value = value * base + static_cast<char32_t>(digit);
      need(value <= 0x10FFFF, "a code point beyond Unicode");
    }
    need(count > 0 && (!braced || take("}")) && (braced || base == 8 || count == most), "a bad number");
    return value;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  Flags flags_;
  int emitted_ = 0;
  std::vector<Node> nodes_;
  std::vector<Set> sets_;
  std::vector<Instruction> program_;
};

}  // namespace ashlar::reference
