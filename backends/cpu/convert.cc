// SPDX-License-Identifier: Apache-2.0
#include "convert.h"

#include "elementwise.h"

namespace ashlar::cpu {
namespace {

using Convertible = Join<NumericTypes, Types<bool>>;

template <class From, class To> void loop(const void* from, void* to, std::int64_t n) {
  To* y = static_cast<To*>(to);
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<From, bool>) y[i] = convert<To>(static_cast<std::uint8_t>(static_cast<const std::uint8_t*>(from)[i] != 0));
    else y[i] = convert<To>(static_cast<const From*>(from)[i]);
  }
}

template <class From> Converter converter_to(DType to) {
  Converter found = nullptr;
  detail::dispatch(
      to, [&]<class To>() { found = &loop<From, To>; }, Convertible{});
  if constexpr (is_half<From>)
    if (to == DType::kFloat32) return [](const void* x, void* y, std::int64_t n) { widen(dtype_of<From>, x, static_cast<float*>(y), n); };
  if constexpr (std::is_same_v<From, float>) {
    if (to == DType::kFloat16)
      return [](const void* x, void* y, std::int64_t n) { round_to(DType::kFloat16, static_cast<const float*>(x), y, n); };
    if (to == DType::kBFloat16)
      return [](const void* x, void* y, std::int64_t n) { round_to(DType::kBFloat16, static_cast<const float*>(x), y, n); };
  }
  return found;
}

}  // namespace

Converter find_converter(DType from, DType to) {
  Converter found = nullptr;
  detail::dispatch(
      from, [&]<class From>() { found = converter_to<From>(to); }, Convertible{});
  return found;
}

}  // namespace ashlar::cpu
