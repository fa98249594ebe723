// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <fmt/format.h>

#include <ashlar/error.h>

#include "core/reals.h"
#include "graph/graph.h"
#include "graph/nesting.h"

namespace ashlar::graph {
namespace {

constexpr std::int64_t kShownElements = 8;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\x{:02x}", byte);
    else out += c;
  }
  return out + '"';
}

/// A name as it is when nothing in it could be taken for the text's own marks, else quoted.
std::string name_text(const std::string& name) {
  for (const char c : name)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || std::strchr("\"\\(){}[],=", c)) return quoted(name);
  return name.empty() || name == "_" ? quoted(name) : name;
}

template <class T> T load(const Tensor& t, std::int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

std::string real(double value) { return fmt::format("{}", value); }
std::string real(float value) { return fmt::format("{}", value); }

std::string element(const Tensor& t, std::int64_t i) {
  switch (t.dtype()) {
    case DType::kFloat32: return real(load<float>(t, i));
    case DType::kFloat64: return real(load<double>(t, i));
    case DType::kFloat16: return real(static_cast<float>(core::half_to_double(load<std::uint16_t>(t, i))));
    case DType::kBFloat16: return real(static_cast<float>(core::bfloat16_to_double(load<std::uint16_t>(t, i))));
    case DType::kInt8: return std::to_string(load<std::int8_t>(t, i));
    case DType::kInt16: return std::to_string(load<std::int16_t>(t, i));
    case DType::kInt32: return std::to_string(load<std::int32_t>(t, i));
    case DType::kInt64: return std::to_string(load<std::int64_t>(t, i));
    case DType::kUint8: return std::to_string(load<std::uint8_t>(t, i));
    case DType::kUint16: return std::to_string(load<std::uint16_t>(t, i));
    case DType::kUint32: return std::to_string(load<std::uint32_t>(t, i));
    case DType::kUint64: return std::to_string(load<std::uint64_t>(t, i));
    case DType::kBool: return load<std::uint8_t>(t, i) ? "true" : "false";
    case DType::kString: return quoted(static_cast<const std::string*>(t.raw())[i]);
    case DType::kComplex64: return real(load<float>(t, 2 * i)) + "+" + real(load<float>(t, 2 * i + 1)) + "i";
    case DType::kComplex128: return real(load<double>(t, 2 * i)) + "+" + real(load<double>(t, 2 * i + 1)) + "i";
    default: {
      const auto width = static_cast<unsigned>(bit_width(t.dtype()));
      const auto bit = static_cast<unsigned>(i) * width;
      return fmt::format("0x{:x}", load<std::uint8_t>(t, bit / 8) >> bit % 8 & ((1u << width) - 1));
    }
  }
}

std::string elements_text(const Tensor& t) {
  if (t.element_count() > kShownElements) return "";
  if (t.shape().rank() == 0) return " = " + element(t, 0);
  std::string out = " = [";
  for (std::int64_t i = 0; i < t.element_count(); ++i) out += (i ? ", " : "") + element(t, i);
  return out + "]";
}

template <class T, class F> std::string list(const std::vector<T>& items, F text) {
  std::string out;
  for (const T& item : items) out += (out.empty() ? "" : ",") + text(item);
  return "[" + out + "]";
}

struct AttributeText {
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(float v) const {
    std::string out = real(v);
    return out.find_first_not_of("-0123456789") == std::string::npos ? out + ".0" : out;
  }
  std::string operator()(const std::string& v) const { return quoted(v); }
  std::string operator()(const Tensor& v) const { return v.type_string() + elements_text(v); }
  std::string operator()(const ValueType& v) const { return v.to_string(); }
  std::string operator()(const std::shared_ptr<Graph>&) const { return "graph"; }
  template <class T> std::string operator()(const std::vector<T>& v) const { return list(v, *this); }
};

class Printer {
 public:
  std::string take() { return std::move(out_); }

  void print(const Graph& graph, const std::string& indent, const std::string& heading, const Graph* outer, int depth) {
    if (depth > kMaxNesting) throw Error(ErrorCode::kInvalidModel, "graphs are nested more than " + std::to_string(kMaxNesting) + " deep");
    out_ += indent + heading + " (" + typed(graph, graph.inputs) + ") -> (" + typed(graph, graph.outputs) + ")";
    for (std::size_t i = 0; i < graph.captures.size(); ++i) {
      const Capture& c = graph.captures[i];
      out_ += (i ? ", " : " captures ") + value_name(graph, c.inner);
      if (outer && value_name(*outer, c.outer) != value_name(graph, c.inner)) out_ += "=" + value_name(*outer, c.outer);
    }
    out_ += "\n";
    const std::string inner = indent + "  ";
    for (const Value& v : graph.values)
      if (v.constant.defined())
        out_ += inner + "const " + name_text(v.name) + ": " + v.constant.type_string() + elements_text(v.constant) + "\n";
    for (const Node& node : graph.nodes) print(graph, node, inner, depth);
  }

 private:
  static std::string value_name(const Graph& graph, ValueId v) {
    if (v == kNone) return "_";
    return v < graph.values.size() ? name_text(graph.values[v].name) : "?" + std::to_string(v);
  }
  static std::string typed(const Graph& graph, const std::vector<ValueId>& ids) {
    std::string out;
    for (const ValueId v : ids) {
      if (!out.empty()) out += ", ";
      out += value_name(graph, v);
      if (v < graph.values.size()) out += ": " + graph.values[v].type.to_string();
    }
    return out;
  }
  void print(const Graph& graph, const Node& node, const std::string& indent, int depth) {
    out_ += indent + name_text(node.id) + " = " + node.op_name() + "@" + std::to_string(node.version) + "(";
    for (std::size_t i = 0; i < node.inputs.size(); ++i) out_ += (i ? ", " : "") + value_name(graph, node.inputs[i]);
    out_ += ")";
    for (std::size_t i = 0; i < node.captures.size(); ++i) out_ += (i ? ", " : " captures ") + value_name(graph, node.captures[i]);
    std::string attributes;
    for (const auto& [name, value] : node.attributes)
      attributes += (attributes.empty() ? "" : ", ") + name_text(name) + "=" + std::visit(AttributeText(), value);
    if (!attributes.empty()) out_ += " {" + attributes + "}";
    out_ += " -> " + typed(graph, node.outputs) + "\n";
    for (const auto& [name, body] : bodies(node)) print(*body, indent + "  ", name + ": graph " + name_text(body->name), &graph, depth + 1);
  }

  std::string out_;
};

}  // namespace

std::string to_text(const Graph& graph) {
  Printer printer;
  printer.print(graph, "", "graph " + name_text(graph.name), nullptr, 0);
  return printer.take();
}

}  // namespace ashlar::graph
