// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/provider/indexing.h>
#include <ashlar/provider/provider.h>
#include <ashlar/provider/shapes.h>

namespace ashlar::reference {

using provider::AxisView;
using provider::broadcast_strides;
using provider::checked_count;
using provider::Dims;
using provider::for_each_broadcast;
using provider::for_each_index;
using provider::strides_of;

}  // namespace ashlar::reference
