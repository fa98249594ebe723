// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ashlar/value.h>

#include "print.h"

namespace ashlar::cli {

/// What a value holds in brief: {"name", "type", "values": the first 8 elements, "min", "max", "mean" over its finite numbers,
/// "nan" and "infinite" counts where there are any, "top": per batch item the 5 largest classes with value and label, for float
/// outputs that look like a classifier's (one row of 2 to 65536 classes per batch item, at most 16 items)}. Sequences, optionals
/// and maps hold "elements". Numbers JSON lacks are strings.
Json summarize(const std::string& name, const Value& value, const std::vector<std::string>& labels);

/// A summary as text of a few lines.
std::string summary_text(const Json& summary);

}  // namespace ashlar::cli
