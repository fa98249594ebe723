// SPDX-License-Identifier: Apache-2.0
#include "core/isa.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::core {
namespace {

constexpr std::array kNames = {"baseline", "avx2", "avx512", "amx"};

Isa read_max_isa() {
  const char* text = std::getenv("ASHLAR_MAX_ISA");
  if (!text || !*text) return Isa::kAmx;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (std::string(text) == kNames[i]) return static_cast<Isa>(i + 1);
  throw Error(ErrorCode::kInvalidArgument, "ASHLAR_MAX_ISA is '" + printable(text) + "'; it is one of baseline, avx2, avx512, amx" +
                                               suggestion(text, std::vector<std::string>(kNames.begin(), kNames.end())));
}

}  // namespace

Isa max_isa() {
  static const Isa isa = read_max_isa();
  return isa;
}

const char* to_string(Isa isa) noexcept { return kNames[static_cast<std::size_t>(isa) - 1]; }

}  // namespace ashlar::core
