// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "elements.h"
#include "fail.h"

namespace ashlar::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Difference mismatch(std::string reason) {
  Difference d;
  d.reason = std::move(reason);
  return d;
}

std::string index_text(const Shape& shape, std::size_t flat) {
  std::string text;
  for (std::size_t d = shape.size(); d-- > 0;) {
    const auto dim = static_cast<std::size_t>(shape[d]);
    text = std::to_string(flat % dim) + (text.empty() ? "" : "," + text);
    flat /= dim;
  }
  return "[" + text + "]";
}

struct Gap {
  double abs = 0, rel = 0, excess = -kInfinity;  // excess: how far beyond the tolerance
};

Gap gap(double difference, double magnitude, const Tolerance& t) {
  Gap g;
  g.abs = difference;
  g.rel = difference == 0 ? 0 : magnitude == 0 ? kInfinity : difference / magnitude;
  g.excess = difference - (t.atol + t.rtol * magnitude);
  return g;
}

Gap real_gap(Number a, Number e, const Tolerance& t) {
  if (a == e || (std::isnan(a) && std::isnan(e))) return {};
  if (!std::isfinite(a) || !std::isfinite(e)) return {kInfinity, kInfinity, kInfinity};
  return gap(static_cast<double>(std::fabs(a - e)), static_cast<double>(std::fabs(e)), t);
}

Gap complex_gap(std::complex<double> a, std::complex<double> e, const Tolerance& t) {
  const Gap real = real_gap(a.real(), e.real(), {0, 0});
  const Gap imaginary = real_gap(a.imag(), e.imag(), {0, 0});
  if (std::isinf(real.abs) || std::isinf(imaginary.abs)) return {kInfinity, kInfinity, kInfinity};
  if (real.abs == 0 && imaginary.abs == 0) return {};
  return gap(std::hypot(real.abs, imaginary.abs), std::abs(e), t);
}

std::optional<Difference> compare_tensors(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  if (actual.dtype() != expected.dtype() || !(actual.shape() == expected.shape()))
    return mismatch(fmt::format("is {}, expected {}", actual.type_string(), expected.type_string()));
  if (!actual.defined()) return std::nullopt;
  const DType dtype = actual.dtype();
  const bool floating = is_float(dtype), complex = is_complex(dtype), text = dtype == DType::kString;
  Tolerance used = floating || complex ? tolerance : Tolerance{0, 0};
  if (dtype == DType::kBFloat16) used.rtol = std::max(used.rtol, tolerance.least_bfloat16_rtol);
  Difference d;
  d.elements = actual.element_count();
  d.numeric = !text;
  double worst = -kInfinity;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(d.elements); ++i) {
    Gap g;
    if (text) g.excess = actual.data<std::string>()[i] == expected.data<std::string>()[i] ? -kInfinity : 1;
    else if (complex) g = complex_gap(complex_at(actual, i), complex_at(expected, i), used);
    else g = real_gap(number_at(actual, i), number_at(expected, i), used);
    d.max_abs = std::max(d.max_abs, g.abs);
    d.max_rel = std::max(d.max_rel, g.rel);
    if (!(g.excess > 0)) continue;
    ++d.differing;
    if (g.excess > worst) {
      worst = g.excess;
      worst_at = i;
    }
  }
  if (d.differing == 0) return std::nullopt;
  d.index = index_text(actual.shape(), worst_at);
  d.actual = element_text(actual, worst_at);
  d.expected = element_text(expected, worst_at);
  return d;
}

std::optional<Difference> compare_at(const Value& actual, const Value& expected, const Tolerance& tolerance, int depth);

std::optional<Difference> compare_lists(const std::vector<Value>& actual, const std::vector<Value>& expected, const Tolerance& tolerance,
                                        int depth) {
  if (actual.size() != expected.size()) return mismatch(fmt::format("has {} elements, expected {}", actual.size(), expected.size()));
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (auto d = compare_at(actual[i], expected[i], tolerance, depth + 1)) {
      d->place = fmt::format("[{}]{}", i, d->place);
      return d;
    }
  }
  return std::nullopt;
}

std::optional<Difference> compare_at(const Value& actual, const Value& expected, const Tolerance& tolerance, int depth) {
  constexpr int kDeepest = 32;
  if (depth > kDeepest) return mismatch(fmt::format("nests deeper than {}", kDeepest));
  if (actual.is_tensor() && expected.is_tensor()) return compare_tensors(actual.tensor(), expected.tensor(), tolerance);
  if (actual.is_sequence() && expected.is_sequence())
    return compare_lists(actual.sequence().elements, expected.sequence().elements, tolerance, depth);
  if (actual.is_map() && expected.is_map()) {
    auto d = compare_tensors(actual.map().keys, expected.map().keys, tolerance);
    if (d) d->place = "keys";
    return d ? d : compare_lists(actual.map().values, expected.map().values, tolerance, depth);
  }
  if (actual.is_optional() && expected.is_optional()) {
    const auto &a = actual.optional().value, &e = expected.optional().value;
    if (!a && !e) return std::nullopt;
    if (a && e) return compare_at(*a, *e, tolerance, depth + 1);
  }
  return mismatch(fmt::format("is {}, expected {}", actual.type_string(), expected.type_string()));
}

}  // namespace

std::string Difference::to_string() const {
  const std::string where = place.empty() ? "" : place + " ";
  if (!reason.empty()) return where + reason;
  std::string text = fmt::format("{}{} of {} elements differ", where, differing, elements);
  if (numeric) text += fmt::format(", max abs difference {:.6g}, max relative difference {:.6g}", max_abs, max_rel);
  return text + fmt::format(", worst at {}: {}, expected {}", index, actual, expected);
}

std::optional<Difference> compare(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  return compare_at(actual, expected, tolerance, 0);
}

}  // namespace ashlar::cli
