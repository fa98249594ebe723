// SPDX-License-Identifier: Apache-2.0
// Runs a case on two sets of providers and says how they agree.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rows.h"

namespace ashlar::comparison {

struct Outcome {
  enum Kind {
    kAgrees,      ///< the same outputs, of every variant
    kBothFail,    ///< or the same error
    kRefused,     ///< one side has no kernel for it; the detail is its reason
    kDiffers,     ///< other elements, or an input that was written to
    kShape,       ///< other shapes or dtypes
    kFailsAlone,  ///< an error of one side, or two different ones
    kHidesError,  ///< outputs of data that makes the operator impossible, as the oracle says
    kCrashed,     ///< the process ended
    kHung,
  };
  Kind kind = kAgrees;
  std::string detail;
  bool failed() const { return kind >= kDiffers; }
};

/// Draws a row's case, a variant of it.
Case draw_case(const Row& row, Choices& choices, int variant = 0);

/// What two sides are compared on.
struct Sides {
  std::vector<std::string> subject, oracle;  ///< providers
  /// A planted fault, for tests of this program: what becomes of the subject's outputs.
  std::function<void(const Case&, NamedValues&)> fault = {};
};

/// Runs every variant of the case in one session of each side, the first again at the end.
Outcome judge(const Row& row, const std::vector<std::uint32_t>& choices, const Sides& sides);

/// Writes the case in the layout of the ONNX project's cases (tests/conformance): FOLDER/model.onnx, tolerance.json, and for every run
/// test_data_set_K/{input,output}_J.pb, outputs where the oracle gives any. Throws Error when a file cannot be written.
void write_case(const Row& row, const std::vector<std::uint32_t>& choices, const Sides& sides, const std::filesystem::path& folder);

/// The graph and the inputs' types of a case in a few lines.
std::string describe(const Row& row, const std::vector<std::uint32_t>& choices);

}  // namespace ashlar::comparison
