// SPDX-License-Identifier: Apache-2.0
// What choosing among implementations goes by: costs for each class of machines, by its vectors, read off
// benchmarks/convolution_benchmark.cc and, with weights that come from memory, off whole models. A choice is a pure function of shapes, threads
// and this table; nothing is timed when a model is loaded.
#pragma once

#include <cstdint>

namespace ashlar::cpu {

struct ConvolutionCosts {
  bool own = true;                ///< own kernels are worth a choice; else they do only what oneDNN cannot
  std::int64_t few_pixels = 0;    ///< of an image: up to there own direct kernels are ahead, which fetch their weights in time
  std::int64_t few_products = 0;  ///< an element: up to there, too, where an exponential follows
  // Winograd's against direct: nanoseconds of a core at 2.6 GHz; only their proportions matter.
  double product = 0;      ///< of a multiplication and its addition
  double transform = 0;    ///< of an element of a transformed tile
  double weight_byte = 0;  ///< of a byte of weights that is read
};

/// By vector_floats(). AVX-512 and AVX2: an AMD EPYC (Zen 4), AVX2 by ASHLAR_MAX_ISA. The baseline's vectors are single floats in own kernels and
/// four in oneDNN's.
inline const ConvolutionCosts& convolution_costs(std::int64_t vector_floats) {
  static constexpr ConvolutionCosts kBaseline{.own = false};
  static constexpr ConvolutionCosts kAvx2{.few_pixels = 256, .few_products = 192, .product = 0.02, .transform = 0.2, .weight_byte = 0.05};
  static constexpr ConvolutionCosts kAvx512{
      .few_pixels = 256, .few_products = 192, .product = 0.02, .transform = 0.15, .weight_byte = 0.05};
  return vector_floats >= 16 ? kAvx512 : vector_floats >= 8 ? kAvx2 : kBaseline;
}

}  // namespace ashlar::cpu
