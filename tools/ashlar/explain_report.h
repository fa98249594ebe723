// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ashlar/session.h>

#include "print.h"

namespace ashlar::cli {

/// Placement::to_json with "model", "providers", "what_if" and "events".
Json explain_json(const Session& session, const Placement& placement, const std::string& model, const std::string& environment);

/// The same with each node's "history" of rewrites, for the page.
Json explain_page_json(Json report, const Optimization& optimization);

/// "kernels worth writing", one a line, the `most` best; empty where none would change anything.
std::string what_if_text(const std::vector<WhatIf>& kernels, std::size_t most);
std::string events_text(const std::vector<PlacementEvent>& events);

/// "fuse-gelu: Div_3 (Div), Erf_4 (Erf) -> Gelu_7 (ashlar::Gelu)".
std::string rewrite_text(const Optimization::Rewrite& rewrite);

/// What changed from one saved `explain --json` to another; empty where nothing did. The JSON has the same.
struct PlacementDiff {
  std::string text;
  Json json;
  bool differs = false;
};
PlacementDiff diff_placements(const Json& before, const Json& after);

/// "1.5 ms".
std::string time_text(double nanoseconds);

}  // namespace ashlar::cli
