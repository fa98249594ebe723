// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/value.h>

namespace ashlar::cli {

/// The input_J.pb files of one of ONNX's data sets, J counting the model's inputs; where there are no more files than inputs
/// without a default, J counts those. Throws Error: kNotFound for a directory that is none, kInvalidArgument for a file too
/// many or too few, and what read_onnx_value throws.
NamedValues read_data_set_inputs(const std::filesystem::path& directory, const std::vector<ValueInfo>& inputs);

struct ExpectedOutput {
  std::string name, file;
  Value value;
};

/// The output_J.pb files beside them, J counting the model's outputs; any may be absent. Throws Error (kInvalidArgument) for a
/// file beyond the last output.
std::vector<ExpectedOutput> read_data_set_outputs(const std::filesystem::path& directory, const std::vector<ValueInfo>& outputs);

}  // namespace ashlar::cli
