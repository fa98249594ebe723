// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

struct Operand {
  enum class Kind { kName, kLiteral, kAbsent };
  Kind kind = Kind::kName;
  std::size_t variable = 0;
  double literal = 0;
};

struct Line {
  bool anchor = false, shared = false, optional = false, alias = false;
  std::string op, domain;
  std::vector<Operand> outputs, inputs;
  std::map<std::string, Attribute> attributes;          ///< that must be equal, or are set
  std::map<std::string, std::string> bound_attributes;  ///< attribute and the name it gets, or is taken from
};

/// How matching reaches a line from those before it.
struct Step {
  std::size_t line = 0;
  bool upwards = true;  ///< by its output `operand`, else by its input
  std::size_t operand = 0;
};

/// One `before`, with the `after` that goes with it.
struct Section {
  std::vector<std::string> variables;
  std::vector<Line> before, after;
  std::vector<Step> steps;  ///< the anchor, then every other line
  std::optional<std::size_t> find(std::string_view name) const;
};

/// The sections of a pattern's text. Throws std::logic_error naming the line that cannot be read, or that nothing joins to the anchor.
std::vector<Section> read_pattern(const std::string& text);

}  // namespace ashlar::optimizer
