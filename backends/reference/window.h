// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/window.h>

#include "scalar.h"

namespace ashlar::reference {

using provider::advance;
using provider::tail;
using provider::TapRange;
using provider::Window;
using provider::WindowAttributes;

}  // namespace ashlar::reference
