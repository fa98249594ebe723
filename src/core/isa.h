// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ashlar::core {

/// Classes of x86-64 instruction sets, each with those before it; the numbers of abi.h's ASHLAR_ISA_*.
enum class Isa { kBaseline = 1, kAvx2 = 2, kAvx512 = 3, kAmx = 4 };

/// The most that kernels may use: what the environment variable ASHLAR_MAX_ISA says (baseline, avx2, avx512 or amx), everything when it is
/// not set. Throws Error (kInvalidArgument) for another word. Fixed for the process once asked for.
Isa max_isa();

const char* to_string(Isa isa) noexcept;

}  // namespace ashlar::core
