// SPDX-License-Identifier: Apache-2.0
// Whether what is claimed of values before a run (ops/symbolic.h) holds in one.
#pragma once

#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "optimizer/editor.h"
#include "tests/optimizer/oracle.h"
#include "tests/support/tensors.h"

namespace ashlar::testing {

/// The numbers that stand for a table's atoms in one run. An atom that is not known yet takes the first number it meets alone.
class Bindings {
 public:
  Bindings(const ops::DimTable& table, std::map<std::string, std::int64_t> symbols) : table_(table), known_(std::move(symbols)) {}

  std::optional<std::int64_t> value(const ops::DimExpr& e) const {
    std::int64_t sum = 0;
    for (const auto& term : e.terms()) {
      std::int64_t product = term.factor;
      for (const auto atom : term.atoms) {
        const auto number = atom_value(name(atom));
        if (!number) return std::nullopt;
        product *= *number;
      }
      sum += product;
    }
    return sum;
  }

  /// Whether the expression can be that number.
  bool meets(const ops::DimExpr& e, std::int64_t number) {
    if (const auto v = value(e)) return *v == number;
    const auto& terms = e.terms();
    if (terms.size() == 1 && terms[0].factor == 1 && terms[0].atoms.size() == 1 && number >= 0) known_[name(terms[0].atoms[0])] = number;
    return true;
  }

 private:
  std::string name(ops::DimExpr::Atom atom) const { return table_.to_string(ops::DimExpr::atom(atom)); }

  /// Of a name: one that is known, or "div(a,b)" and its like over such.
  std::optional<std::int64_t> atom_value(const std::string& text) const {
    if (const auto at = known_.find(text); at != known_.end()) return at->second;
    Reader reader{*this, text};
    const auto out = reader.sum();
    return reader.at == text.size() ? out : std::nullopt;
  }

  /// Reads what DimTable::to_string writes.
  struct Reader {
    const Bindings& bindings;
    const std::string& text;
    std::size_t at = 0;

    bool take(const char* what) {
      const std::string word = what;
      if (text.compare(at, word.size(), word) != 0) return false;
      at += word.size();
      return true;
    }
    std::optional<std::int64_t> sum() {
      const bool negative = take("-");
      auto out = product();
      if (out && negative) out = -*out;
      while (out) {
        const bool plus = take(" + ");
        if (!plus && !take(" - ")) break;
        const auto more = product();
        out = more ? std::optional(plus ? *out + *more : *out - *more) : std::nullopt;
      }
      return out;
    }
    std::optional<std::int64_t> product() {
      auto out = factor();
      while (out && take("*")) {
        const auto more = factor();
        out = more ? std::optional(*out * *more) : std::nullopt;
      }
      return out;
    }
    std::optional<std::int64_t> factor() {
      const std::size_t from = at;
      while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_')) ++at;
      const std::string word = text.substr(from, at - from);
      if (word.empty()) return std::nullopt;
      if (std::isdigit(static_cast<unsigned char>(word[0]))) return std::stoll(word);
      if (!take("(")) {
        const auto known = bindings.known_.find(word);
        return known == bindings.known_.end() ? std::nullopt : std::optional(known->second);
      }
      const auto a = sum();
      if (!a || !take(",")) return std::nullopt;
      const auto b = sum();
      if (!b || !take(")")) return std::nullopt;
      if (word == "mul") return *a * *b;
      if (word == "div") return *b == 0 ? std::nullopt : std::optional(*a / *b);
      if (word == "max") return std::max(*a, *b);
      if (word == "min") return std::min(*a, *b);
      if (word == "broadcast") return *a == 1 ? *b : *a;
      return std::nullopt;
    }
  };

  const ops::DimTable& table_;
  std::map<std::string, std::int64_t> known_;
};

/// What an editor claims of a value against the value: empty, or what is wrong.
inline std::string wrong_claim(const optimizer::Editor& editor, graph::ValueId v, const Tensor& found, Bindings& bindings,
                               const ops::DimTable& table) {
  const std::string name = "'" + editor.value(v).name + "' is " + found.type_string();
  if (const auto* shape = editor.shape(v)) {
    if (shape->size() != found.shape().size()) return name + ", not of rank " + std::to_string(shape->size());
    for (std::size_t i = 0; i < shape->size(); ++i)
      if (!bindings.meets((*shape)[i], found.shape()[i]))
        return name + ", and dimension " + std::to_string(i) + " is not " + table.to_string((*shape)[i]);
  }
  if (const auto& elements = editor.facts(v).elements) {
    if (static_cast<std::int64_t>(elements->size()) != found.element_count())
      return name + ", not of " + std::to_string(elements->size()) + " elements";
    for (std::size_t i = 0; i < elements->size(); ++i) {
      const auto number = whole_element(found, static_cast<std::int64_t>(i));
      if (!bindings.meets((*elements)[i], number))
        return name + ", and its element " + std::to_string(i) + ", " + std::to_string(number) + ", is not " +
               table.to_string((*elements)[i]);
    }
  }
  return "";
}

/// Runs a canonical graph and compares what the editor of it claims of each value of a node, bodies apart. Throws what the run throws.
inline std::string wrong_claims(const graph::Graph& canonical, const std::map<std::string, std::int64_t>& symbols,
                                const std::vector<Tensor>& inputs, const Oracle& oracle) {
  graph::Graph graph = graph::deep_copy(canonical);
  optimizer::Model model;
  const optimizer::Editor editor(model, graph);
  graph::Graph all = graph::deep_copy(canonical);
  all.outputs.clear();
  for (const graph::Node& node : all.nodes)
    for (const graph::ValueId v : node.outputs)
      if (v != graph::kNone && all.values[v].type.kind == ValueType::Kind::kTensor) all.outputs.push_back(v);
  const std::vector<Tensor> found = oracle.run(all, inputs);
  Bindings bindings(model.dims, symbols);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (std::string wrong = wrong_claim(editor, all.outputs[i], found[i], bindings, model.dims); !wrong.empty()) return wrong;
  return "";
}

}  // namespace ashlar::testing
