// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ashlar/memory.h>
#include <ashlar/value.h>

#include "plan/batch.h"
#include "plan/plan.h"
#include "runtime/region.h"

namespace ashlar::runtime {

/// What a run of the plan takes of every space of its topology, inputs being of the types given (tensors at no_data(), or undefined where
/// the shape is not known). Binds every region and runs nothing. Constants are not counted. `outputs`, where given, become tensors of the types that
/// the run's outputs have, undefined where those are not known. Throws what binding throws.
MemoryPlan predict(const plan::Plan& plan, const std::vector<Value>& inputs, std::vector<Value>* outputs = nullptr);

/// Into how many rows at once a batch had better be divided (plan::batch_rule), inputs being of the types given: as many as keep the arena in
/// the caches, where the steps do so little arithmetic for what they move that memory would bound them; 0: not at all.
std::int64_t rows_at_once(const plan::Plan& plan, const plan::BatchRule& rule, const std::vector<Value>& inputs, int threads);

/// The tensors and workspaces of a bound region in a space, largest first, at most `most`.
std::vector<SpaceMemory::Item> largest_items(const plan::Plan& plan, const Region& region, std::uint32_t space, std::size_t most);
/// The constants of a plan in a space, likewise.
std::vector<SpaceMemory::Item> largest_constants(const plan::Plan& plan, std::uint32_t space, std::size_t most);
/// "conv1_out (float32[1,64,56,56], 802816 bytes), ...".
std::string to_string(const std::vector<SpaceMemory::Item>& items);
/// Puts `more` among the `most` largest.
void merge_largest(std::vector<SpaceMemory::Item>& into, const std::vector<SpaceMemory::Item>& more, std::size_t most);

}  // namespace ashlar::runtime
