// SPDX-License-Identifier: Apache-2.0
#include "pass_options.h"

#include <charconv>

#include <CLI/CLI.hpp>

#include "fail.h"
#include "print.h"

namespace ashlar::cli {

PassOptions PassWords::parse() const {
  PassOptions options{.only = split_list(only), .disable = split_list(disable)};
  if (stop_after.empty()) return options;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(stop_after.data(), stop_after.data() + stop_after.size(), number);
  if (error != std::errc() || end != stop_after.data() + stop_after.size())
    fail("--stop-after is a number of rewrites, got '{}'", stop_after);
  options.stop_after = number;
  return options;
}

void add_pass_options(CLI::App& command, PassWords& words) {
  command.add_option("--only", words.only, "Run these passes alone, such as eliminate-dead,fuse-gelu");
  command.add_option("--disable", words.disable, "Leave these passes out");
  command.add_option("--stop-after", words.stop_after, "Apply so many rewrites and no more");
}

}  // namespace ashlar::cli
