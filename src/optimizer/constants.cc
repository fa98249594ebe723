// SPDX-License-Identifier: Apache-2.0
#include "optimizer/constants.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "core/reals.h"
#include "ops/internal.h"

namespace ashlar::optimizer {
namespace {

constexpr std::int64_t kMostCompared = 1 << 16;

template <class T> T load(const Tensor& t, std::int64_t i) {
  T element;
  std::memcpy(&element, static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
  return element;
}

template <class T> bool all(const Tensor& t, double number) {
  for (std::int64_t i = 0; i < t.element_count(); ++i)
    if (static_cast<double>(load<T>(t, i)) != number) return false;
  return true;
}

bool all_reals(const Tensor& t, double number) {
  const auto bytes = static_cast<std::size_t>(bit_width(t.dtype())) / 8;
  for (std::int64_t i = 0; i < t.element_count(); ++i)
    if (core::load_real(t.dtype(), static_cast<const char*>(t.raw()) + static_cast<std::size_t>(i) * bytes) != number) return false;
  return true;
}

}  // namespace

bool all_equal(const Tensor& t, double number) {
  if (t.element_count() > kMostCompared) return false;
  if (core::is_real(t.dtype())) return all_reals(t, number);
  switch (t.dtype()) {
    case DType::kInt8: return all<std::int8_t>(t, number);
    case DType::kInt16: return all<std::int16_t>(t, number);
    case DType::kInt32: return all<std::int32_t>(t, number);
    case DType::kInt64: return all<std::int64_t>(t, number);
    case DType::kUint8:
    case DType::kBool: return all<std::uint8_t>(t, number);
    case DType::kUint16: return all<std::uint16_t>(t, number);
    case DType::kUint32: return all<std::uint32_t>(t, number);
    case DType::kUint64: return all<std::uint64_t>(t, number);
    default: return false;
  }
}

bool all_equal(const Editor& editor, ValueId v, double number) {
  if (v == kNone) return false;
  if (const Tensor* t = editor.constant(v)) return all_equal(*t, number);
  const auto& elements = editor.facts(v).elements;
  return elements && std::all_of(elements->begin(), elements->end(),
                                 [&](const ops::DimExpr& e) { return e.value() && static_cast<double>(*e.value()) == number; });
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.raw() == b.raw()) return true;
  if (a.dtype() == DType::kString) return std::ranges::equal(a.span<std::string>(), b.span<std::string>());
  return a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

bool deterministic(const Node& node) {
  constexpr std::array<std::string_view, 6> kRandom = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                                       "RandomNormalLike", "RandomUniform", "RandomUniformLike"};
  // Of operators that only a provider knows nothing is known.
  if (!node.domain.empty()) return node.domain == "ai.onnx.ml" || ops::is_internal(node);
  // Dropout draws numbers when it trains.
  if (node.op_type == "Dropout") return node.inputs.size() < 3 || node.inputs[2] == kNone;
  return std::find(kRandom.begin(), kRandom.end(), node.op_type) == kRandom.end();
}

std::int64_t integer(const Node& node, const char* name, std::int64_t otherwise) {
  const auto* v = node.find_as<std::int64_t>(name);
  return v ? *v : otherwise;
}

std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r) return std::nullopt;
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

std::string name_of(const Editor& editor, ValueId v) {
  if (v == kNone) return "nothing";
  return editor.producer(v) == kNone ? editor.value(v).name : editor.id(editor.producer(v));
}

}  // namespace ashlar::optimizer
