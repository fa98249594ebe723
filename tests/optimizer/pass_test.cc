// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ashlar/error.h>

#include "optimizer/pass.h"
#include "tests/graph/builder.h"

namespace ashlar::optimizer {
namespace {

testing::Builder chain() {
  testing::Builder b;
  const ValueType type = testing::tensor_type(DType::kFloat32, {4});
  b.input("x", type).node("Neg", 13, {"x"}, {"y"}).node("Neg", 13, {"y"}, {"z"}).output("z", type);
  return b;
}

/// Replaces the last node by the first one's result.
void shorten(Editor& editor) {
  if (editor.nodes().size() < 2) return;
  const NodeIndex last = editor.nodes().back();
  Patch patch(editor, "shorten");
  patch.remove(last);
  patch.replace(editor.node(last).outputs[0], editor.node(last).inputs[0]);
  editor.apply(std::move(patch));
}

TEST(Passes, RunInOrderUntilNothingChangesAndAreCounted) {
  testing::Builder b = chain();
  std::string order;
  const Pass passes[] = {{"first", "", [&](Editor&) { order += "1"; }}, {"second", "", [&](Editor& e) {
                                                                           order += "2";
                                                                           shorten(e);
                                                                         }}};
  const Optimization report = optimize(b.graph, {}, nullptr, nullptr, passes);
  EXPECT_EQ(order, "1212");
  ASSERT_GE(report.passes.size(), 3u);
  const auto second = std::find_if(report.passes.begin(), report.passes.end(), [](const auto& p) { return p.name == "second"; });
  ASSERT_NE(second, report.passes.end());
  EXPECT_EQ(second->nodes_before, 2);
  EXPECT_EQ(second->nodes_after, 1);
  EXPECT_EQ(second->rewrites, 1);
  ASSERT_EQ(report.rewrites.size(), 1u);
  EXPECT_EQ(report.rewrites[0].before[0].node, "n1");
  EXPECT_EQ(report.rewrites[0].tensors, (std::vector<std::pair<std::string, std::string>>{{"y", "z"}}));
}

TEST(Passes, CanBeLeftOut) {
  testing::Builder b = chain();
  const Pass passes[] = {{"shorten", "", shorten}};
  EXPECT_EQ(optimize(b.graph, {.disable = {"shorten"}}, nullptr, nullptr, passes).nodes_after, 2);
  EXPECT_EQ(optimize(b.graph, {.stop_after = 0}, nullptr, nullptr, passes).nodes_after, 2);
  EXPECT_EQ(optimize(b.graph, {.only = {"shorten"}, .stop_after = 1}, nullptr, nullptr, passes).nodes_after, 1);
}

Error refused(const PassOptions& options) {
  testing::Builder b = chain();
  const Pass passes[] = {{"shorten", "", shorten}};
  try {
    optimize(b.graph, options, nullptr, nullptr, passes);
  } catch (const Error& e) {
    return e;
  }
  return Error(ErrorCode::kInternal, "nothing was refused");
}

TEST(Passes, UnknownNamesNameTheNearest) {
  EXPECT_EQ(refused({.disable = {"shortan"}}).code(), ErrorCode::kNotFound);
  EXPECT_NE(refused({.only = {"shortan"}}).message().find("'shorten'"), std::string::npos);
  EXPECT_EQ(refused({.disable = {"legalize"}}).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused({.stop_after = -1}).code(), ErrorCode::kInvalidArgument);
}

TEST(Passes, ABrokenGraphNamesThePass) {
  testing::Builder b = chain();
  const Pass passes[] = {{"breaks", "", [](Editor& e) {
                            Patch patch(e, "breaks");
                            patch.remove(0);
                            e.apply(std::move(patch));
                          }}};
  try {
    optimize(b.graph, {}, nullptr, nullptr, passes);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInternal);
    EXPECT_NE(e.message().find("pass 'breaks'"), std::string::npos);
  }
}

}  // namespace
}  // namespace ashlar::optimizer
