// SPDX-License-Identifier: Apache-2.0
// Random numbers. A node with a seed draws the same ones on every run and machine: those of numpy's RandomState (MT19937, 53-bit
// uniforms, the polar method for normals), which ONNX's reference implementation uses. Without a seed each run starts from the
// system's entropy.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>

#include <ashlar/provider/provider.h>

namespace ashlar::reference {

/// The node's seed, which is an integer of Dropout and a float of all others.
inline std::optional<std::uint32_t> seed_of(const provider::NodeView& node) {
  const AshlarAttribute* seed = node.attribute("seed");
  if (!seed) return std::nullopt;
  if (seed->type == ASHLAR_ATTR_INT) return static_cast<std::uint32_t>(seed->i);
  if (seed->f >= 0 && seed->f < 0x1p32f && seed->f == std::floor(seed->f)) return static_cast<std::uint32_t>(seed->f);
  return std::bit_cast<std::uint32_t>(seed->f);
}

class Draws {
 public:
  explicit Draws(std::optional<std::uint32_t> seed) : engine_(seed ? *seed : std::random_device()()) {}

  /// In [0, 1), in steps of 2^-53.
  double uniform() {
    const double high = static_cast<double>(engine_() >> 5), low = static_cast<double>(engine_() >> 6);
    return (high * 0x1p26 + low) * 0x1p-53;
  }

  /// Of mean 0 and deviation 1.
  double normal() {
    if (spare_) {
      const double value = *spare_;
      spare_.reset();
      return value;
    }
    double x, y, square;
    do {
      x = 2 * uniform() - 1;
      y = 2 * uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square == 0);
    const double factor = std::sqrt(-2 * std::log(square) / square);
    spare_ = factor * x;
    return factor * y;
  }

 private:
  std::mt19937 engine_;
  std::optional<double> spare_;
};

}  // namespace ashlar::reference
