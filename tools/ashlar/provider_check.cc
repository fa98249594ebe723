// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "command.h"
#include "fail.h"
#include "print.h"
#include "provider_check.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct Arguments {
  check::Options options;
  bool json = false;
};

int provider_check(const Arguments& args) {
  if (args.options.target.empty()) fail("which provider? ashlar provider-check LIB.so, or the name of one in this build");
  const check::Report report = check::check_provider(args.options, [&](const check::CheckResult& done) {
    if (args.json) return;
    fmt::print("{}", printable_lines(check::to_text(done)));
    std::fflush(stdout);
  });
  if (args.json) print_json(check::to_json(report));
  else fmt::print("{}{}\n", report.coverage.empty() ? "" : printable_lines(check::coverage_text(report)), check::summary(report));
  return report.count(check::CheckResult::kFailed) > 0 ? kCheckFailed : kFine;
}

}  // namespace

Action add_provider_check(CLI::App& app) {
  auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("provider-check", "Whether a provider library keeps to the provider border");
  command->add_option("PROVIDER", args->options.target,
                      "A provider library's path or a provider's name, with options: ./lib.so?level=2 (needed)");
  command->add_option("--cases", args->options.cases, "Random cases to compare with the reference provider (600)");
  command->add_option("--seed", args->options.seed, "What they are drawn from (1)");
  command->add_option("--only", args->options.only, "One check, by its name");
  command->add_option("--operator", args->options.operators, "Only operators that match this regular expression");
  command->add_option("--time", args->options.seconds, "Seconds after which no new case is drawn");
  command->add_flag("--json", args->json, "Print JSON");
  return [args] { return provider_check(*args); };
}

}  // namespace ashlar::cli
