// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// One interval of a run. Times are nanoseconds from the run's start. Intervals of one depth do not overlap; those of a
/// greater depth lie inside the one that ran them (a loop's body inside the loop).
struct TraceEvent {
  std::string node;      ///< the original node's id
  std::string op;        ///< the operator; "(bind)" where steps were bound and laid out for a new shape
  std::string provider;  ///< "core" for what the core itself does
  std::string kernel;  ///< with the operators that it absorbed: "Conv+Relu"
  std::string outputs;  ///< dtypes and shapes
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::uint64_t bytes = 0;  ///< bytes of the outputs
  int depth = 0;            ///< 0 for the main graph's steps
};

/// What a run did, filled when a run is given one; a run that is not pays one branch a step. Not synchronised: a trace serves
/// one run at a time and is replaced by each.
struct ASHLAR_API Trace {
  std::vector<TraceEvent> events;
  std::int64_t wall_ns = 0;  ///< from entering the run to its results

  /// wall_ns less the events of depth 0: what no event accounts for.
  std::int64_t unaccounted_ns() const noexcept;
  /// The costliest `top` nodes (0: all) as a text table, the rest in one row, and an unaccounted row; the times sum to the wall time.
  std::string table(int top = 0) const;
  /// {"schema": 1, "wall_ns", "unaccounted_ns", "events": [...]}.
  std::string to_json() const;
  /// The Chrome trace event format (chrome://tracing, Perfetto). Throws Error (kIo) when the file cannot be written.
  void write_chrome_json(const std::filesystem::path& file) const;
};

}  // namespace ashlar::inline v0
