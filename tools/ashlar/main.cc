// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ashlar/environment.h>
#include <ashlar/error.h>

#include "command.h"
#include "fail.h"
#include "suggest.h"
#include "utf8.h"

namespace ashlar::cli {
namespace {

struct Command {
  std::string name;
  Action (*add)(CLI::App&);
};

const std::vector<Command>& commands() {
  static const std::vector<Command> rows = {{"run", add_run},
                                            {"inspect", add_inspect},
                                            {"explain", add_explain},
                                            {"passes", add_passes},
                                            {"memory", add_memory},
                                            {"doctor", add_doctor},
                                            {"provider-check", add_provider_check}};
  return rows;
}

[[noreturn]] void refuse(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  const bool option = word.size() > 1 && word.front() == '-';
  const std::string name = word.substr(0, word.find('='));
  if (option) {
    for (const CLI::Option* o : app.get_options())
      for (const std::string& l : o->get_lnames()) known.push_back("--" + l);
    fail("there is no option {}{}", name, suggestion(name, known));
  }
  if (app.get_parent() != nullptr) fail("'{}' is one argument too many", word);
  for (const Command& c : commands()) known.push_back(c.name);
  fail("there is no subcommand '{}'{}", word, suggestion(word, known));
}

int dispatch(int argc, char** argv) {
  CLI::App app("Ashlar runs ONNX models and says where each node runs, and why.", "ashlar");
  app.set_version_flag("--version", std::string("ashlar ") + version());
  app.allow_extras();
  std::vector<Action> actions;
  for (const Command& c : commands()) {
    actions.push_back(c.add(app));
    app.get_subcommand(c.name)->allow_extras();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fail("{}", e.what());
  }
  if (const auto extras = app.remaining(); !extras.empty()) refuse(app, extras.front());
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const CLI::App* command = app.get_subcommand(commands()[i].name);
    if (!command->parsed()) continue;
    if (const auto extras = command->remaining(); !extras.empty()) refuse(*command, extras.front());
    return actions[i]();
  }
  fmt::print(stderr, "{}", app.help());
  return kFailed;
}

int report(const Error& error, bool json) {
  if (json) fmt::print("{}\n", error.to_json());
  else fmt::print(stderr, "ashlar: error: {}\n", printable(error.what()));
  return kFailed;
}

int guarded(int argc, char** argv) {
  const bool json = std::any_of(argv, argv + argc, [](const char* a) { return std::string_view(a) == "--json"; });
  try {
    return dispatch(argc, argv);
  } catch (const Error& e) {
    return report(e, json);
  } catch (const std::bad_alloc&) {
    return report(Error(ErrorCode::kOutOfMemory, "the memory for this cannot be had"), json);
  } catch (const std::exception& e) {
    return report(Error(ErrorCode::kInternal, e.what()), json);
  }
}

}  // namespace

void require_model(const std::string& model, const char* command) {
  if (model.empty()) fail("which model? ashlar {} MODEL", command);
}

}  // namespace ashlar::cli

int main(int argc, char** argv) {
  const int code = ashlar::cli::guarded(argc, argv);
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    std::fputs("ashlar: error: standard output cannot be written\n", stderr);
    return ashlar::cli::kFailed;
  }
  return code;
}
