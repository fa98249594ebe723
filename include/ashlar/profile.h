// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ashlar/export.h>

namespace ashlar::inline v0 {

struct Trace;

/// Times that runs measured, for a placement by cost (SessionOptions::profile). Nodes are known by their ids in the session that was traced: a
/// profile serves sessions of the same model with the same passes.
struct ASHLAR_API Profile {
  struct Step {
    std::vector<std::string> nodes;  ///< that the step computes; the first names it
    std::string provider;
    double nanoseconds = 0;  ///< of all runs together
    std::int64_t runs = 0;
  };
  struct Copies {
    std::string from, to;    ///< memory spaces
    double nanoseconds = 0;  ///< of all copies together
    std::uint64_t bytes = 0;
    std::int64_t count = 0;
  };
  std::string source;  ///< in reports: a file's name
  std::vector<Step> steps;
  std::vector<Copies> copies;

  /// Adds what a traced run measured.
  void add(const Trace& trace);
  /// Reads what Trace::to_json or Trace::write_chrome_json wrote, or `ashlar run --json --top`. Throws Error: kIo, and kInvalidArgument for a file that is no trace.
  static Profile load(const std::filesystem::path& file);
};

}  // namespace ashlar::inline v0
