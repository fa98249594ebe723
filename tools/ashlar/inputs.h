// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/value.h>

#include "picture.h"

namespace ashlar::cli {

/// The grammar of `--input NAME=VALUE`, one line of help a form.
extern const char* const kValueGrammar;

struct InputRequests {
  std::vector<std::string> inputs;  ///< NAME=VALUE
  std::vector<std::string> shapes;  ///< NAME=1x3x224x224
  Normalization normalization;      ///< of pictures
};

/// Where an input's value came from, beside the value.
struct GivenInput {
  std::string name, source;
  Value value;
};

/// The values of a model's inputs. An input with a default may be left out; without any request every other one is made up from
/// random numbers, and a note on standard error says so. Throws Error: kNotFound for an unknown NAME (with the nearest), and
/// kInvalidArgument naming the input for a value that does not fit or an input that is missing.
std::vector<GivenInput> gather_inputs(const std::vector<ValueInfo>& inputs, const InputRequests& requests);

}  // namespace ashlar::cli
