// SPDX-License-Identifier: Apache-2.0
// Element types, the step from a dtype known at run time to a type known to the compiler, and the loops that kernels without vector code
// share. A kernel writes its loop as a lambda over T and calls dispatch<List>(dtype, lambda); its verdict asks contains<List>(dtype).
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernel.h"

namespace ashlar::cpu {

using provider::Dims;

/// IEEE 754 binary16. Converts to float exactly and from float to nearest, ties to even.
struct Float16 {
  std::uint16_t bits;

  Float16() = default;
  explicit Float16(float value) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value), sign = all >> 16 & 0x8000u, magnitude = all & 0x7fffffffu;
    std::uint32_t code;
    if (magnitude > 0x7f800000u) code = 0x7e00u;
    else if (magnitude >= 0x47800000u) code = 0x7c00u;
    else if (magnitude >= 0x38800000u) code = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    else code = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;  // 0.5 has the lowest bit of float16
    bits = static_cast<std::uint16_t>(sign | code);
  }
  operator float() const {
    const std::uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude < 0x400u) return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
    return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  }
};

/// The upper half of a float. Converts from float to nearest, ties to even.
struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const std::uint32_t all = std::bit_cast<std::uint32_t>(value);
    const bool nan = (all & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(nan ? all >> 16 | 0x40u : (all + 0x7fffu + (all >> 16 & 1u)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

template <class T> inline constexpr bool is_half = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;
template <class T> inline constexpr bool is_float = std::is_floating_point_v<T> || is_half<T>;

template <class... Ts> struct Types {};
template <class A, class B> struct Joined;
template <class... As, class... Bs> struct Joined<Types<As...>, Types<Bs...>> { using type = Types<As..., Bs...>; };
template <class A, class B> using Join = typename Joined<A, B>::type;

using FloatTypes = Types<float, double, Float16, BFloat16>;
using IntTypes = Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using NumericTypes = Join<FloatTypes, IntTypes>;

template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;
template <> inline constexpr DType dtype_of<Float16> = DType::kFloat16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::kBFloat16;

/// The type in which to calculate on elements of type T.
template <class T> using Compute = std::conditional_t<is_half<T>, float, T>;
/// The type in which to add up many elements of type T. Integers wrap around.
template <class T> using Accumulate = std::conditional_t<is_float<T>, double, T>;
/// The type in which integers wrap without undefined behaviour; floats as they are.
template <class T> using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;

/// A number as an element of type T. Doubles reach a half precision by one rounding; a float of fewer bits than needed is made odd first.
template <class T, class W> T narrow(W value) {
  if constexpr (is_half<T>) {
    float near = static_cast<float>(value);
    if constexpr (std::is_same_v<W, double>) {
      if (static_cast<double>(near) != value && value == value) {
        if (std::fabs(static_cast<double>(near)) > std::fabs(value)) near = std::nextafter(near, 0.0f);
        near = std::bit_cast<float>(std::bit_cast<std::uint32_t>(near) | 1u);
      }
    }
    return T(near);
  } else {
    return static_cast<T>(value);
  }
}

namespace detail {
template <class... Ts> bool contains(DType dtype, Types<Ts...>) { return ((dtype == dtype_of<Ts>) || ...); }
template <class F, class... Ts> bool dispatch(DType dtype, F&& f, Types<Ts...>) {
  return ((dtype == dtype_of<Ts> && (f.template operator()<Ts>(), true)) || ...);
}
}  // namespace detail

template <class List> bool contains(DType dtype) { return detail::contains(dtype, List{}); }

/// f.operator()<T>() for the T of List whose dtype it is; a Failure that names the dtype when List has none.
template <class List, class F> void dispatch(DType dtype, F&& f) {
  if (!detail::dispatch(dtype, f, List{}))
    throw provider::Failure(ASHLAR_UNSUPPORTED, provider::concat("no kernel for elements of type ", provider::dtype_name(dtype)));
}

/// A verdict: inputs [0, kInputs) that are there, and output 0, have one dtype, of List.
template <class List, int kInputs = std::numeric_limits<int>::max()> provider::Verdict uniform(const provider::NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(contains<List>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype), " has no kernel");
  for (int i = 1; i < std::min(kInputs, node.input_count()); ++i)
    ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                   provider::dtype_name(dtype), " has no kernel for an input ", i, " of ", provider::dtype_name(node.input(i).dtype()));
  ASHLAR_REQUIRE(!node.has_output(0) || node.output(0).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " gives ",
                 provider::dtype_name(dtype), ", not ", provider::dtype_name(node.output(0).dtype()));
  return provider::accept();
}

/// `dims` seen from `axis`: [outer, dims[axis], inner].
struct AxisView {
  std::int64_t outer, size, inner;
  AxisView(const Dims& dims, int axis) : outer(dims.product(0, axis)), size(dims[axis]), inner(dims.product(axis + 1, dims.rank())) {}
};

/// The grain for RunContext::parallel_for of items that cost `cost` simple element operations each.
inline std::int64_t grain_of(std::int64_t cost) { return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, cost)); }

}  // namespace ashlar::cpu
