// SPDX-License-Identifier: Apache-2.0
// Work in child processes, so that a crash or a hang is a result like others.
#pragma once

#include <cstddef>
#include <functional>

#include "judge.h"

namespace ashlar::comparison {

inline constexpr std::size_t kBatch = 50;
inline constexpr int kLongestSeconds = 60;  ///< for one piece of work, before it counts as hung

/// judge(i) for i in [0, count) in forked children, a new one after kBatch pieces and after one that ended its process; `report` is called
/// here with each outcome in order, and ends the work by returning false. The calling process must have one thread.
void judge_apart(std::size_t count, const std::function<Outcome(std::size_t)>& judge,
                 const std::function<bool(std::size_t, const Outcome&)>& report);

/// The same for one piece of work.
Outcome judge_apart(const std::function<Outcome()>& judge);

}  // namespace ashlar::comparison
