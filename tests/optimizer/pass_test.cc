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

TEST(Passes, RunInOrderAndAreCounted) {
  testing::Builder b = chain();
  std::string order;
  const Pass passes[] = {{"first", [&](graph::Graph&) { order += "1"; }}, {"second", [&](graph::Graph& g) {
                                                                             order += "2";
                                                                             g.outputs = {g.nodes[0].outputs[0]};
                                                                             g.nodes.pop_back();
                                                                           }}};
  const std::vector<PassReport> reports = run_passes(b.graph, passes);
  EXPECT_EQ(order, "12");
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[1].name, "second");
  EXPECT_EQ(reports[1].nodes_before, 2);
  EXPECT_EQ(reports[1].nodes_after, 1);
}

TEST(Passes, ABrokenGraphNamesThePass) {
  testing::Builder b = chain();
  const Pass passes[] = {{"breaks", [](graph::Graph& g) { g.nodes.erase(g.nodes.begin()); }}};
  try {
    run_passes(b.graph, passes);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInternal);
    EXPECT_NE(e.message().find("pass 'breaks'"), std::string::npos);
    EXPECT_EQ(e.context().node, "n1");
  }
}

}  // namespace
}  // namespace ashlar::optimizer
