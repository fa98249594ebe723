// SPDX-License-Identifier: Apache-2.0
#include "summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "elements.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

constexpr std::size_t kLeading = 8, kTop = 5, kMostBatch = 16, kMostClasses = 65536;
constexpr int kDeepest = 16;

Json number_json(Number value, DType dtype) {
  if (dtype == DType::kBool) return value != 0;
  if (is_integer(dtype)) return value < 0 ? Json(static_cast<std::int64_t>(value)) : Json(static_cast<std::uint64_t>(value));
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return static_cast<double>(value);
}

Json element_json(const Tensor& t, std::size_t i) {
  if (t.dtype() == DType::kString) return t.data<std::string>()[i];
  if (!is_complex(t.dtype())) return number_json(number_at(t, i), t.dtype());
  const std::complex<double> c = complex_at(t, i);
  return Json::array({number_json(c.real(), DType::kFloat64), number_json(c.imag(), DType::kFloat64)});
}

void add_statistics(Json& out, const Tensor& t) {
  Number low = std::numeric_limits<Number>::infinity(), high = -low, sum = 0;
  std::int64_t finite = 0, nans = 0, infinite = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(t.element_count()); ++i) {
    const Number v = number_at(t, i);
    if (std::isnan(v)) ++nans;
    else if (std::isinf(v)) ++infinite;
    if (!std::isfinite(v)) continue;
    ++finite;
    low = std::min(low, v);
    high = std::max(high, v);
    sum += v;
  }
  if (finite > 0) {
    out["min"] = number_json(low, t.dtype());
    out["max"] = number_json(high, t.dtype());
    out["mean"] = static_cast<double>(sum / static_cast<Number>(finite));
  }
  if (nans > 0) out["nan"] = nans;
  if (infinite > 0) out["infinite"] = infinite;
}

void add_top(Json& out, const Tensor& t, const std::vector<std::string>& labels) {
  std::vector<std::int64_t> dims(t.shape().begin(), t.shape().end());
  while (dims.size() > 2 && dims.back() == 1) dims.pop_back();
  if (!is_float(t.dtype()) || dims.empty() || dims.size() > 2) return;
  const auto classes = static_cast<std::size_t>(dims.back());
  const std::size_t batch = dims.size() == 2 ? static_cast<std::size_t>(dims[0]) : 1;
  if (classes < 2 || classes > kMostClasses || batch < 1 || batch > kMostBatch) return;
  Json rows = Json::array();
  for (std::size_t b = 0; b < batch; ++b) {
    std::vector<std::size_t> order(classes);
    std::iota(order.begin(), order.end(), 0);
    const auto value = [&](std::size_t c) {
      const Number v = number_at(t, b * classes + c);
      return std::isnan(v) ? -std::numeric_limits<Number>::infinity() : v;
    };
    const std::size_t shown = std::min(kTop, classes);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                      [&](std::size_t x, std::size_t y) { return value(x) != value(y) ? value(x) > value(y) : x < y; });
    Json row = Json::array();
    for (std::size_t k = 0; k < shown; ++k) {
      Json entry = {{"class", order[k]}, {"value", element_json(t, b * classes + order[k])}};
      if (labels.size() == classes) entry["label"] = labels[order[k]];
      row.push_back(std::move(entry));
    }
    rows.push_back(std::move(row));
  }
  out["top"] = std::move(rows);
}

void add_value(Json& out, const Value& value, const std::vector<std::string>& labels, int depth) {
  out["type"] = value.type_string();
  if (depth > kDeepest) return;
  const auto add_elements = [&](const std::vector<Value>& elements) {
    out["count"] = elements.size();
    Json list = Json::array();
    for (std::size_t i = 0; i < std::min(kLeading, elements.size()); ++i) {
      Json element = Json::object();
      add_value(element, elements[i], labels, depth + 1);
      list.push_back(std::move(element));
    }
    out["elements"] = std::move(list);
  };
  if (value.is_sequence()) return add_elements(value.sequence().elements);
  if (value.is_optional()) {
    std::vector<Value> held;
    if (value.optional().value) held.push_back(*value.optional().value);
    return add_elements(held);
  }
  if (value.is_map()) {
    const Tensor& keys = value.map().keys;
    out["keys"] = Json::array();
    for (std::size_t i = 0; i < std::min(kLeading, static_cast<std::size_t>(keys.element_count())); ++i)
      out["keys"].push_back(element_json(keys, i));
    return add_elements(value.map().values);
  }
  const Tensor& t = value.tensor();
  out["values"] = Json::array();
  for (std::size_t i = 0; i < std::min(kLeading, static_cast<std::size_t>(t.element_count())); ++i)
    out["values"].push_back(element_json(t, i));
  if (!t.defined() || t.dtype() == DType::kString || is_complex(t.dtype())) return;
  add_statistics(out, t);
  add_top(out, t, labels);
}

std::string plain(const Json& j) {
  if (j.is_number_float()) return fmt::format("{:.6g}", j.get<double>());
  if (j.is_array() && j.size() == 2) return fmt::format("({}, {})", plain(j[0]), plain(j[1]));
  return printable(j.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string number_text(const Json& j) { return j.is_string() ? j.get<std::string>() : plain(j); }

void add_text(std::string& out, const Json& s, const std::string& indent) {
  if (s.contains("keys")) {
    out += indent + "keys  ";
    for (const Json& k : s["keys"]) out += plain(k) + " ";
    out += '\n';
  }
  if (s.contains("elements")) {
    for (std::size_t i = 0; i < s["elements"].size(); ++i) {
      out += fmt::format("{}[{}]  {}\n", indent, i, s["elements"][i]["type"].get<std::string>());
      add_text(out, s["elements"][i], indent + "  ");
    }
    if (s["count"] > s["elements"].size()) out += fmt::format("{}... {} in all\n", indent, s["count"].get<std::size_t>());
  }
  if (s.contains("values") && !s["values"].empty()) {
    const bool strings = s["type"].get<std::string>().starts_with("string");
    out += indent + "values";
    for (const Json& v : s["values"]) out += "  " + (strings ? plain(v) : number_text(v));
    out += '\n';
  }
  std::vector<std::string> parts;
  for (const char* key : {"min", "max", "mean", "nan", "infinite"})
    if (s.contains(key)) parts.push_back(fmt::format("{} {}", key, number_text(s[key])));
  if (!parts.empty()) out += fmt::format("{}{}\n", indent, fmt::join(parts, "  "));
  if (!s.contains("top")) return;
  for (std::size_t b = 0; b < s["top"].size(); ++b) {
    if (s["top"].size() > 1) out += fmt::format("{}item {}\n", indent, b);
    std::vector<std::vector<std::string>> rows;
    for (const Json& e : s["top"][b])
      rows.push_back({fmt::format("class {}", e["class"].get<std::size_t>()), number_text(e["value"]),
                      e.contains("label") ? printable(e["label"].get<std::string>()) : ""});
    for (auto& row : rows)
      if (row.back().empty()) row.pop_back();
    out += columns(rows, indent + "  ");
  }
}

}  // namespace

Json summarize(const std::string& name, const Value& value, const std::vector<std::string>& labels) {
  Json out = {{"name", name}};
  add_value(out, value, labels, 0);
  return out;
}

std::string summary_text(const Json& summary) {
  std::string out = fmt::format("{}  {}\n", printable(summary["name"].get<std::string>()), summary["type"].get<std::string>());
  add_text(out, summary, "  ");
  return out;
}

}  // namespace ashlar::cli
