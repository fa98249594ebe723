// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/value.h>

namespace ashlar::check {

/// Whether two lists of tensors have the same names, types and bits; strings the same text.
bool same_bits(const NamedValues& a, const NamedValues& b);

}  // namespace ashlar::check
