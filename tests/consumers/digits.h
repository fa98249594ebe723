// SPDX-License-Identifier: Apache-2.0
// What every consumer does with Ashlar, beside what it does with the other library.
#pragma once

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <ashlar/ashlar.h>

/// Runs the digit classifier on a blank picture and checks that the outputs are probabilities, then loads a file that is not a model
/// and catches what the library throws. Returns 0 when all of that went as it should, else 1 and says what did not.
inline int use_ashlar(const std::string& models) {
  const ashlar::Session session(ashlar::Model::load(models + "/digits.onnx"), {.providers = {"reference"}});
  const std::vector<float> blank(64, 0.0f);
  const ashlar::NamedValues outputs = session.run({{"image", ashlar::Tensor::view(blank, {1, 1, 8, 8})}});
  float sum = 0;
  for (float p : outputs.at("probabilities").tensor().span<float>()) sum += p;
  if (sum < 0.999f || sum > 1.001f) {
    std::cerr << "the probabilities sum to " << sum << '\n';
    return 1;
  }
  try {
    ashlar::Model::load(models + "/digit_3.png");
  } catch (const ashlar::Error& e) {
    if (e.code() == ashlar::ErrorCode::kInvalidModel && e.to_json().find("digit_3.png") != std::string::npos) return 0;
    std::cerr << "a picture as a model gave another error: " << e.what() << '\n';
    return 1;
  }
  std::cerr << "a picture was taken for a model\n";
  return 1;
}
