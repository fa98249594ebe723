// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// One interval of a run. Times are nanoseconds from the run's start. Intervals of one depth on the calling thread do not overlap; those of
/// a greater depth lie inside the one that ran them (a loop's body inside the loop). What runs on a device's queue overlaps with both.
struct TraceEvent {
  std::string node;      ///< the original node's id
  std::string op;        ///< the operator; "(bind)": steps bound and laid out for a new shape; "(copy)"; "(wait)": for a device
  std::string provider;  ///< "core" for what the core itself does
  std::string kernel;    ///< with the operators that it absorbed: "Conv+Relu"; of a copy, from where to where
  std::string outputs;   ///< dtypes and shapes
  std::string queue;     ///< "example:1"; empty for the calling thread
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;  ///< on its queue: from the device's clock, 0 where the device has none
  std::int64_t issue_ns = 0;     ///< of the calling thread's time: what it took to enqueue; the duration where there is no queue
  std::uint64_t bytes = 0;       ///< bytes of the outputs
  std::uint64_t bytes_read = 0;  ///< bytes of inputs and weights
  double operations = 0;         ///< arithmetic by the operators' definitions, a multiplication with its addition as two; 0 where not known
  int depth = 0;                 ///< 0 for the main graph's steps
  std::vector<std::string> absorbed = {};  ///< further nodes that the step computes, by id
  int copy = -1;                           ///< of a "(copy)": its index in Placement::copies
};

/// What a run did, filled when a run is given one; a run that is not pays one branch a step. Not synchronised: a trace serves
/// one run at a time and is replaced by each.
struct ASHLAR_API Trace {
  std::vector<TraceEvent> events;
  std::int64_t wall_ns = 0;  ///< from entering the run to its results

  /// wall_ns less what the events of depth 0 took of the calling thread's time: what no event accounts for.
  std::int64_t unaccounted_ns() const noexcept;
  /// The costliest `top` nodes (0: all) as a text table, the rest in one row, and an unaccounted row; the times, which are the calling
  /// thread's, sum to the wall time. Where devices worked, a column has the time on their queues. GFLOP/s are operations by time.
  std::string table(int top = 0) const;
  /// {"schema": 1, "wall_ns", "unaccounted_ns", "events": [...]}.
  std::string to_json() const;
  /// The Chrome trace event format (chrome://tracing, Perfetto). Throws Error (kIo) when the file cannot be written.
  void write_chrome_json(const std::filesystem::path& file) const;
};

}  // namespace ashlar::inline v0
