// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include <ashlar/tensor.h>

namespace ashlar::cli {

enum class Filling { kRandom, kZeros, kOnes };

/// A tensor of made-up elements. Random ones depend on the seed and the name alone: floats are standard normal (Box-Muller over
/// std::mt19937_64), integers lie in [0, 10) or up to the dtype's maximum, bools are 0 or 1, strings are digits. Throws Error:
/// kOutOfMemory when the tensor would take more than half of the machine's memory.
Tensor generate(DType dtype, const Shape& shape, Filling filling, std::uint64_t seed, std::string_view name);

}  // namespace ashlar::cli
