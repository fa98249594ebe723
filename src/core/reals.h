// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ashlar/dtype.h>

namespace ashlar::core {

/// float16, bfloat16, float32 or float64.
bool is_real(DType dtype) noexcept;

/// The bits of a float16 (IEEE 754 binary16) as a number.
double half_to_double(std::uint16_t bits) noexcept;
/// The bits of a bfloat16 as a number.
double bfloat16_to_double(std::uint16_t bits) noexcept;
/// The nearest float16 or bfloat16, ties to even; what is too large is infinite.
std::uint16_t to_half(double value) noexcept;
std::uint16_t to_bfloat16(double value) noexcept;

/// An element at `p`, which need not be aligned, and a number as one. `dtype` is real.
double load_real(DType dtype, const void* p) noexcept;
void store_real(DType dtype, void* p, double value) noexcept;

}  // namespace ashlar::core
