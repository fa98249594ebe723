// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <ashlar/tensor.h>

namespace ashlar::cli {

/// The array of an .npy file (format versions 1 to 3, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
/// little-endian bool, integers, float16/32/64, complex64/128, bytes (S) and text (U, as UTF-8). Fortran order is transposed.
/// Throws Error (kInvalidArgument) for other dtypes, more than Shape::kMaxRank dimensions, and damaged or overlong files.
Tensor parse_npy(std::span<const std::byte> bytes);

/// The .npy form of a tensor. Dtypes NumPy lacks are widened: small floats to float32, 2- and 4-bit integers to int8 or uint8.
std::vector<std::byte> format_npy(const Tensor& tensor);

}  // namespace ashlar::cli
