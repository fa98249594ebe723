// SPDX-License-Identifier: Apache-2.0
// Element types and the step from a dtype known at run time to a type known to the compiler. A kernel writes its loop as a
// lambda over T and calls dispatch<List>(dtype, lambda); its verdict asks contains<List>(dtype).
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <ashlar/dtype.h>
#include <ashlar/provider/provider.h>

#include "indexing.h"
#include "small_float.h"

namespace ashlar::reference {

template <class... Ts> struct Types {};

template <class A, class B> struct Joined;
template <class... As, class... Bs> struct Joined<Types<As...>, Types<Bs...>> { using type = Types<As..., Bs...>; };
template <class A, class B> using Join = typename Joined<A, B>::type;

using FloatTypes = Types<float, double, Float16, BFloat16>;
using SignedTypes = Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using UnsignedTypes = Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using IntTypes = Join<SignedTypes, UnsignedTypes>;
using NumericTypes = Join<FloatTypes, IntTypes>;
using ComplexTypes = Types<std::complex<float>, std::complex<double>>;
using Float8Types = Types<Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ>;
/// Bool tensors may hold any byte: a kernel that tests elements reads them as uint8_t.
using AllFixedTypes = Join<NumericTypes, Join<Types<bool>, ComplexTypes>>;

/// The dtype of an element type; the sub-byte floats are those of their unpacked form.
template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;
template <> inline constexpr DType dtype_of<Float16> = DType::kFloat16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::kBFloat16;
template <> inline constexpr DType dtype_of<Float8E4M3FN> = DType::kFloat8E4M3FN;
template <> inline constexpr DType dtype_of<Float8E4M3FNUZ> = DType::kFloat8E4M3FNUZ;
template <> inline constexpr DType dtype_of<Float8E5M2> = DType::kFloat8E5M2;
template <> inline constexpr DType dtype_of<Float8E5M2FNUZ> = DType::kFloat8E5M2FNUZ;
template <> inline constexpr DType dtype_of<Float8E8M0> = DType::kFloat8E8M0;
template <> inline constexpr DType dtype_of<Float6E2M3> = DType::kFloat6E2M3;
template <> inline constexpr DType dtype_of<Float6E3M2> = DType::kFloat6E3M2;
template <> inline constexpr DType dtype_of<Float4E2M1> = DType::kFloat4E2M1;

/// The type in which to calculate on elements of type T.
template <class T> using Compute = std::conditional_t<is_small_float<T>, float, T>;

/// The type in which to add up many elements of type T.
template <class T> using Accumulate = std::conditional_t<is_float<T>, double, T>;

/// Element i in the type to calculate in; any byte but 0 is true.
template <class T> Compute<T> load(const void* data, std::int64_t i) {
  if constexpr (std::is_same_v<T, bool>) return static_cast<const std::uint8_t*>(data)[i] != 0;
  else return static_cast<Compute<T>>(static_cast<const T*>(data)[i]);
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

/// For verdicts: refuses a node whose operand has a dtype that List lacks.
template <class List> provider::Verdict require_dtype(const provider::NodeView& node, const provider::ValueView& value) {
  ASHLAR_REQUIRE(contains<List>(value.dtype()), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(value.dtype()),
                 " has no kernel");
  return provider::accept();
}

/// A verdict that looks at the dtype of input 0 alone.
template <class List> provider::Verdict takes(const provider::NodeView& node) { return require_dtype<List>(node, node.input(0)); }

/// The parts of a verdict: that inputs [0, kInputs), as far as they are there, have one dtype, of List; that output 0 has the dtype.
template <class List, int kInputs = std::numeric_limits<int>::max()> provider::Verdict same_inputs(const provider::NodeView& node) {
  const DType dtype = node.input(0).dtype();
  for (int i = 1; i < std::min(kInputs, node.input_count()); ++i)
    ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ",
                   provider::dtype_name(dtype), " has no kernel for an input ", i, " of ", provider::dtype_name(node.input(i).dtype()));
  return takes<List>(node);
}
inline provider::Verdict gives(const provider::NodeView& node, DType dtype) {
  const DType output = node.has_output(0) ? node.output(0).dtype() : dtype;
  ASHLAR_REQUIRE(output == dtype, ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " gives ", provider::dtype_name(dtype), ", not ",
                 provider::dtype_name(output));
  return provider::accept();
}

/// A verdict: inputs [0, kInputs) and output 0 have one dtype, of List.
template <class List, int kInputs = std::numeric_limits<int>::max()> provider::Verdict uniform(const provider::NodeView& node) {
  const provider::Verdict inputs = same_inputs<List, kInputs>(node);
  return inputs.code == ASHLAR_ACCEPTED ? gives(node, node.input(0).dtype()) : inputs;
}

/// The bytes an element of a fixed-size dtype takes; 0 for strings and for types packed into less than a byte.
inline std::size_t element_size(DType dtype) {
  std::size_t size = 0;
  detail::dispatch(
      dtype, [&]<class T>() { size = sizeof(T); }, Join<AllFixedTypes, Join<Float8Types, Types<Float8E8M0, Float6E2M3, Float6E3M2>>>{});
  return size;
}

}  // namespace ashlar::reference
