// SPDX-License-Identifier: Apache-2.0
#include "core/reals.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace ashlar {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Reals, EveryNumberOfSixteenBitsComesBack) {
  for (std::uint32_t bits = 0; bits < 1 << 16; ++bits) {
    const auto b = static_cast<std::uint16_t>(bits);
    const double half = core::half_to_double(b), bfloat16 = core::bfloat16_to_double(b);
    if (!std::isnan(half)) {
      EXPECT_EQ(core::to_half(half), b);
    }
    if (!std::isnan(bfloat16)) {
      EXPECT_EQ(core::to_bfloat16(bfloat16), b);
    }
  }
}

TEST(Reals, HalvesAreThoseOfIeee754) {
  EXPECT_EQ(core::half_to_double(0x3c00), 1);
  EXPECT_EQ(core::half_to_double(0xc000), -2);
  EXPECT_EQ(core::half_to_double(0x7bff), 65504);
  EXPECT_EQ(core::half_to_double(0x0001), std::ldexp(1, -24));
  EXPECT_EQ(core::half_to_double(0xfc00), -kInfinity);
  EXPECT_TRUE(std::isnan(core::half_to_double(0x7e00)));
  EXPECT_TRUE(std::signbit(core::half_to_double(0x8000)));
}

TEST(Reals, TiesGoToEvenAndWhatIsTooLargeIsInfinite) {
  EXPECT_EQ(core::to_half(1 + std::ldexp(1, -11)), 0x3c00);
  EXPECT_EQ(core::to_half(1 + 3 * std::ldexp(1, -11)), 0x3c02);
  EXPECT_EQ(core::to_half(65519), 0x7bff);
  EXPECT_EQ(core::to_half(65520), 0x7c00);
  EXPECT_EQ(core::to_half(-1e9), 0xfc00);
  EXPECT_EQ(core::to_half(std::ldexp(1, -25)), 0x0000);
  EXPECT_EQ(core::to_half(1.5 * std::ldexp(1, -25)), 0x0001);
  EXPECT_EQ(core::to_half(std::ldexp(1, -14) * (1 - std::ldexp(1, -12))), 0x0400);  // the largest subnormal rounds up to a normal number
  EXPECT_EQ(core::to_bfloat16(1 + std::ldexp(1, -8)), 0x3f80);
  EXPECT_EQ(core::to_bfloat16(1e39), 0x7f80);
  EXPECT_TRUE(std::isnan(core::half_to_double(core::to_half(std::nan("")))));
}

TEST(Reals, ElementsNeedNotBeAligned) {
  char bytes[16] = {};
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64}) {
    EXPECT_TRUE(core::is_real(dtype));
    core::store_real(dtype, bytes + 1, -0.375);
    EXPECT_EQ(core::load_real(dtype, bytes + 1), -0.375) << to_string(dtype);
  }
  EXPECT_FALSE(core::is_real(DType::kInt64));
  EXPECT_FALSE(core::is_real(DType::kFloat8E4M3FN));
}

}  // namespace
}  // namespace ashlar
