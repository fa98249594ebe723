// SPDX-License-Identifier: Apache-2.0
// Values that the CPU provider stores channels-last.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/tensors.h"
#include "tests/support/text_model.h"

namespace ashlar::testing {
namespace {

class Layouts : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto names = provider_names();
    for (const char* name : {"cpu", "reference"})
      if (std::find(names.begin(), names.end(), name) == names.end()) GTEST_SKIP() << "this build has no provider '" << name << "'";
  }
  static NamedValues run(const Model& model, const std::string& provider, const Tensor& x) {
    return Session(model, {.providers = {provider}, .threads = 2, .passes = PassOptions::none()}).run({{"x", x}});
  }
  static Tensor numbers(std::initializer_list<std::int64_t> dims) {
    Tensor t = Tensor::zeros(DType::kFloat32, dims);
    for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    return t;
  }
};

/// NonZero ends a region: its output's shape is known only when it has run. What a Conv made before is read behind it.
TEST_F(Layouts, AreKeptFromOneRegionToTheNext) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[1, 2, 3, 4] x) => (float[1, 4, 3, 4] y, int64[4, N] where)
      <float[4, 2, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8}> {
      t = Conv(x, w)
      where = NonZero(x)
      r = Relu(t)
      y = Mul(r, t)
    })");
  const Tensor x = numbers({1, 2, 3, 4});
  const NamedValues expected = run(model, "reference", x), found = run(model, "cpu", x);
  for (const char* name : {"y", "where"}) EXPECT_EQ(difference(found.at(name).tensor(), expected.at(name).tensor(), 1e-6), "") << name;
}

TEST_F(Layouts, AnOperandOfLowerRankIsPlain) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[1, 2, 3, 4] x) => (float[1, 2, 3, 4] y)
      <float[2, 2, 1, 1] w = {1, 2, 3, 4}, int64[1] zero = {0}> {
      t = Conv(x, w)
      operand = Squeeze(x, zero)
      y = Add(t, operand)
    })");
  const Tensor x = numbers({1, 2, 3, 4});
  EXPECT_EQ(difference(run(model, "cpu", x).at("y").tensor(), run(model, "reference", x).at("y").tensor(), 1e-6), "");
}

/// The same convolutions on own kernels, without Winograd's, and on oneDNN.
TEST_F(Layouts, OptionsChooseWhatComputesConvolutions) {
  const Model model = text_model(R"(<ir_version: 8, opset_import: ["": 18]>
    g (float[1, 16, 20, 20] x) => (float[1, 16, 20, 20] y) <int64[4] dims = {16, 16, 3, 3}> {
      w = ConstantOfShape <value = float[1] {0.25}> (dims)
      y = Conv <pads = [1, 1, 1, 1]> (x, w)
    })");
  const Tensor x = numbers({1, 16, 20, 20});
  const auto session = [&](const std::string& provider) { return Session(model, {.providers = {provider}}).run({{"x", x}}); };
  const Tensor expected = session("reference").at("y").tensor();
  for (const char* provider : {"cpu", "cpu?winograd=off", "cpu?own_convolutions=off"})
    EXPECT_EQ(difference(session(provider).at("y").tensor(), expected, 1e-5), "") << provider;
  const Error wrong = error_of([&] { session("cpu?winograd=maybe"); });
  EXPECT_NE(std::string(wrong.what()).find("winograd is 'maybe', neither on nor off"), std::string::npos) << wrong.what();
  const Error unknown = error_of([&] { session("cpu?wingrad=off"); });
  EXPECT_NE(std::string(unknown.what()).find("own_convolutions, winograd"), std::string::npos) << unknown.what();
}

}  // namespace
}  // namespace ashlar::testing
