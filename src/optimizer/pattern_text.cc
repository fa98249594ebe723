// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pattern_text.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace ashlar::optimizer {
namespace {

/// Reads one line of a pattern: a node, behind those that stand in its operands' places.
class LineReader {
 public:
  LineReader(const std::string& text, Section& section, std::vector<Line>& lines) : text_(text), section_(section), lines_(lines) {}

  void read() {
    Line line = marked();
    line.outputs = operands('=');
    expect('=');
    const std::string first = name();
    if (peek() == '\0') {
      line.alias = true;
      line.inputs = {named(first)};
    } else {
      call(line, first);
    }
    if (peek() != '\0') fail();
    lines_.push_back(std::move(line));
  }

 private:
  [[noreturn]] void fail() const {
    throw std::logic_error("a pattern's line cannot be read at column " + std::to_string(at_) + ": " + text_);
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail();
  }
  std::string name() {
    skip();
    const std::size_t from = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    if (at_ == from) fail();
    return text_.substr(from, at_ - from);
  }
  Operand named(const std::string& n) {
    if (n == "_") return {.kind = Operand::Kind::kAbsent};
    auto at = std::find(section_.variables.begin(), section_.variables.end(), n);
    if (at == section_.variables.end()) at = section_.variables.insert(at, n);
    return {.kind = Operand::Kind::kName, .variable = static_cast<std::size_t>(at - section_.variables.begin())};
  }
  static bool starts_number(char c) { return std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '.'; }
  double number() {
    skip();
    std::size_t length = 0;
    double out = 0;
    try {
      out = std::stod(text_.substr(at_), &length);
    } catch (const std::exception&) {
      fail();
    }
    at_ += length;
    return out;
  }
  Line marked() {
    Line line;
    line.anchor = take('!');
    line.shared = take('&');
    return line;
  }
  /// The rest of a node whose operator, or the domain of it, is read already.
  void call(Line& line, const std::string& first) {
    line.op = first;
    if (take(':')) {
      expect(':');
      line.domain = first;
      line.op = name();
    }
    line.optional = take('?');
    expect('(');
    line.inputs = operands(')');
    expect(')');
    if (!take('{')) return;
    while (!take('}')) {
      const std::string key = name();
      expect('=');
      if (take('$')) line.bound_attributes[key] = name();
      else line.attributes[key] = literal();
      take(',');
    }
  }
  Operand operand() {
    if (starts_number(peek())) return {.kind = Operand::Kind::kLiteral, .literal = number()};
    Line line = marked();
    const std::string first = name();
    if (peek() != '(' && peek() != '?' && peek() != ':') {
      if (line.anchor || line.shared) fail();
      return named(first);
    }
    call(line, first);
    line.outputs = {named('#' + std::to_string(section_.variables.size()))};
    lines_.push_back(line);
    return lines_.back().outputs[0];
  }
  std::vector<Operand> operands(char end) {
    std::vector<Operand> out;
    while (peek() != end) {
      out.push_back(operand());
      take(',');
    }
    return out;
  }
  Attribute literal() {
    if (take('"')) {
      const std::size_t from = at_;
      while (at_ < text_.size() && text_[at_] != '"') ++at_;
      const std::string value = text_.substr(from, at_ - from);
      expect('"');
      return value;
    }
    if (take('[')) {
      std::vector<std::int64_t> list;
      while (!take(']')) {
        list.push_back(static_cast<std::int64_t>(number()));
        take(',');
      }
      return list;
    }
    skip();
    const std::size_t from = at_;
    const double value = number();
    if (text_.substr(from, at_ - from).find_first_of(".e") != std::string::npos) return static_cast<float>(value);
    return static_cast<std::int64_t>(value);
  }

  const std::string& text_;
  Section& section_;
  std::vector<Line>& lines_;
  std::size_t at_ = 0;
};

/// A line with alternatives as one line for each.
std::vector<std::string> alternatives(const std::string& line) {
  std::vector<std::string> out;
  const std::string left = line.substr(0, line.find('=') + 1);
  for (std::size_t at = left.size(); at <= line.size();) {
    const std::size_t bar = std::min(line.find('|', at), line.size());
    out.push_back(left + line.substr(at, bar - at));
    at = bar + 1;
  }
  return out;
}

/// The order in which a section is matched: from the anchor along values.
void order_steps(Section& section) {
  std::vector<char> done(section.before.size(), 0), known(section.variables.size(), 0);
  const auto visit = [&](Step step) {
    done[step.line] = 1;
    const Line& line = section.before[step.line];
    for (const auto* list : {&line.outputs, &line.inputs})
      for (const Operand& o : *list)
        if (o.kind == Operand::Kind::kName) known[o.variable] = 1;
    section.steps.push_back(step);
  };
  for (std::size_t i = 0; i < section.before.size(); ++i)
    if (section.before[i].anchor) visit({i});
  if (section.steps.size() != 1) throw std::logic_error("a pattern has " + std::to_string(section.steps.size()) + " anchors");
  const auto next = [&](bool upwards) {
    for (std::size_t i = 0; i < section.before.size(); ++i) {
      if (done[i]) continue;
      const auto& list = upwards ? section.before[i].outputs : section.before[i].inputs;
      for (std::size_t k = 0; k < list.size(); ++k)
        if (list[k].kind == Operand::Kind::kName && known[list[k].variable]) {
          visit({i, upwards, k});
          return true;
        }
    }
    return false;
  };
  // What makes a value is one node; who reads it may be many: producers first.
  while (next(true) || next(false)) {}
  if (section.steps.size() != section.before.size()) throw std::logic_error("a pattern has lines that nothing joins to the anchor");
}

}  // namespace

std::optional<std::size_t> Section::find(std::string_view name) const {
  const auto at = std::find(variables.begin(), variables.end(), name);
  if (at == variables.end()) return std::nullopt;
  return static_cast<std::size_t>(at - variables.begin());
}

std::vector<Section> read_pattern(const std::string& text) {
  std::vector<std::vector<std::string>> sections;  // of each, the lines of `before`
  std::vector<std::string> after;
  std::size_t first_of_section = 0;
  bool in_after = false;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    line = line.substr(0, line.find('#'));
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    line = line.substr(first, line.find_last_not_of(" \t") - first + 1);
    if (line == "before") {
      first_of_section = sections.size();
      sections.emplace_back();
      in_after = false;
    } else if (line == "after") {
      in_after = true;
    } else if (in_after) {
      after.push_back(line);
    } else if (sections.empty()) {
      throw std::logic_error("a pattern does not begin with 'before': " + line);
    } else {
      const std::vector<std::string> ways = alternatives(line);
      std::vector<std::vector<std::string>> all;
      for (std::size_t i = first_of_section; i < sections.size(); ++i)
        for (const std::string& way : ways) {
          all.push_back(sections[i]);
          all.back().push_back(way);
        }
      sections.resize(first_of_section);
      std::move(all.begin(), all.end(), std::back_inserter(sections));
    }
  }
  if (sections.empty() || after.empty()) throw std::logic_error("a pattern needs 'before' and 'after'");
  std::vector<Section> out;
  for (const auto& before : sections) {
    Section& section = out.emplace_back();
    for (const std::string& line : before) LineReader(line, section, section.before).read();
    order_steps(section);
    for (const std::string& line : after) LineReader(line, section, section.after).read();
  }
  return out;
}

}  // namespace ashlar::optimizer
