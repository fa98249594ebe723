// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// What a session and one run of it take of a memory space.
struct SpaceMemory {
  /// A tensor, or the workspace of a node's kernel.
  struct Item {
    std::string name;
    std::string type;  ///< "float32[1,64,56,56]"; empty for a workspace
    std::uint64_t bytes = 0;
  };
  std::string space;  ///< "host"; "example" for the first space of a provider of that name, "example/pinned" for another
  std::uint64_t constants =
      0;  ///< bytes copied or packed there when the session was made (of the host's: packed forms, shared by the model's sessions)
  std::uint64_t arena = 0;    ///< bytes of a run's arenas: intermediate values and workspaces, laid out over each other by lifetimes
  std::uint64_t buffers = 0;  ///< bytes of what lives beside the arenas at most: outputs, what control flow reads
  std::vector<Item> largest;  ///< at most ten, largest first
  std::uint64_t peak() const noexcept { return constants + arena + buffers; }
};

/// The memory that shapes tell before any run. Weights that are read where the file was mapped are not counted.
struct ASHLAR_API MemoryPlan {
  std::vector<SpaceMemory> spaces;  ///< the host's first
  /// The node up to which it is known, where a shape behind it depends on data or on dimensions that were not given; empty: all of it is.
  std::string known_up_to;
  /// {"schema": 1, "spaces": [...], "known_up_to"}.
  std::string to_json() const;
};

/// A table.
ASHLAR_API std::ostream& operator<<(std::ostream& out, const MemoryPlan& plan);

}  // namespace ashlar::inline v0
