// SPDX-License-Identifier: Apache-2.0
// The whole user API of Ashlar.
#pragma once

#include <ashlar/dtype.h>
#include <ashlar/environment.h>
#include <ashlar/error.h>
#include <ashlar/memory.h>
#include <ashlar/model.h>
#include <ashlar/placement.h>
#include <ashlar/profile.h>
#include <ashlar/providers.h>
#include <ashlar/session.h>
#include <ashlar/tensor.h>
#include <ashlar/trace.h>
#include <ashlar/value.h>
#include <ashlar/value_io.h>
