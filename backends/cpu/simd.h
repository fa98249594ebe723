// SPDX-License-Identifier: Apache-2.0
// Highway, as this provider uses it. A file with vector code is compiled once for each instruction set and chosen at run time:
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "kernels/NAME.cc"   // this very file
//   #include <hwy/foreach_target.h>                // before the next line
//   #include "simd.h"
//   HWY_BEFORE_NAMESPACE();
//   namespace ashlar::cpu::HWY_NAMESPACE { namespace hn = hwy::HWY_NAMESPACE; ... vector functions ... }
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE
//   namespace ashlar::cpu { HWY_EXPORT(Function); ... HWY_DYNAMIC_DISPATCH(Function)(arguments) ... }
//   #endif
//
// Compiled for: the baseline (scalar), AVX2 with FMA, and AVX-512 (HWY_DISABLED_TARGETS in the build leaves the others out).
#include <hwy/highway.h>
