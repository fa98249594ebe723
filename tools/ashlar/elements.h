// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <string>

#include <ashlar/dtype.h>
#include <ashlar/tensor.h>

namespace ashlar::cli {

/// A type that holds every value of every real dtype exactly, 64-bit integers included.
using Number = long double;
static_assert(sizeof(Number) >= 10);

bool is_float(DType dtype) noexcept;
bool is_integer(DType dtype) noexcept;
bool is_complex(DType dtype) noexcept;

/// The largest value of an integer dtype; 1 for bool.
Number integer_max(DType dtype) noexcept;
/// Whether NumPy has a dtype of its own for it.
bool numpy_has(DType dtype) noexcept;

/// Element `index` of a tensor of a real dtype (bool: 0 or 1). The index must be inside; strings and complex are not read.
Number number_at(const Tensor& tensor, std::size_t index);
/// The same for complex dtypes too.
std::complex<double> complex_at(const Tensor& tensor, std::size_t index);

/// Stores a number as ONNX's Cast does: floats to the nearest, ties to even; 8-bit and smaller floats saturate. Throws Error
/// (kInvalidArgument) for a number that an integer or bool dtype does not hold, and for NaN where the dtype has none.
void set_number(Tensor& tensor, std::size_t index, Number value);
void set_complex(Tensor& tensor, std::size_t index, std::complex<double> value);

/// The element as text: integers in full, floats to 6 significant digits, strings quoted as JSON.
std::string element_text(const Tensor& tensor, std::size_t index);

}  // namespace ashlar::cli
