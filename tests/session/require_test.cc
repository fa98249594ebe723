// SPDX-License-Identifier: Apache-2.0
// SessionOptions::require: nodes that may not run elsewhere.
#include <ashlar/ashlar.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::text_model;

// Of the CPU's kernels, none is StringConcat's.
Model model() {
  return text_model(R"(<ir_version: 10, opset_import: ["": 21]>
    g (string[N] s, float[M] x, bool c) => (string[N] t, float[M] y, int64[1] n) {
      t = StringConcat(s, s)
      n = Shape(x)
      y = If (c) <then_branch = a () => (float[M] p) { p = Neg(x) }, else_branch = b () => (float[M] q) { q = Abs(x) }>
    })");
}

TEST(Require, ListsTheNodesThatRunElsewhere) {
  const Error e = error_of([] { Session(model(), {.providers = {"cpu", "reference"}, .require = {"cpu"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(e.message(), AllOf(HasSubstr("1 node does not run on cpu"), HasSubstr("(StringConcat) on reference, cpu (no_kernel_op): "),
                                 Not(HasSubstr("Neg"))));
  EXPECT_THAT(e.context().node, HasSubstr("StringConcat"));
}

// Also nodes of bodies, and those that the provider would have taken had it come first.
TEST(Require, CountsWhatAnotherProviderTookFirst) {
  const Error e = error_of([] { Session(model(), {.providers = {"reference", "cpu"}, .require = {"cpu"}}); });
  EXPECT_THAT(e.message(), AllOf(HasSubstr("3 nodes do not run on cpu"), HasSubstr("(Neg) on reference"), HasSubstr("(Abs) on reference"),
                                 Not(HasSubstr("(If)"))));
}

TEST(Require, IsMetByAllowedOperatorsAndByEveryRequiredProvider) {
  Session(model(), {.providers = {"cpu", "reference"}, .require = {"cpu"}, .allow_cpu_for = {"StringConcat", "Shape"}});
  Session(model(), {.providers = {"cpu", "reference"}, .require = {"cpu", "reference"}});
  EXPECT_THROW(Session(model(), {.providers = {"cpu", "reference"}, .require = {"cpu"}, .allow_cpu_for = {"Shape"}}), Error);
}

TEST(Require, ANameThatIsNoProvider) {
  const Error e = error_of([] { Session(model(), {.providers = {"cpu", "reference"}, .require = {"referense"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kNotFound);
  EXPECT_THAT(e.message(), HasSubstr("did you mean 'reference'"));
}

}  // namespace
}  // namespace ashlar
