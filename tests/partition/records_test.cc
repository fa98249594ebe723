// SPDX-License-Identifier: Apache-2.0
// What a placement keeps of verdicts, in every build.
#include <set>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "core/thread_pool.h"
#include "optimizer/pass.h"
#include "partition/host.h"
#include "partition/partition.h"
#include "session/model_impl.h"

namespace ashlar::partition {
namespace {

TEST(Records, TakeLessThan200BytesANodeAndProvider) {
  const Model model = Model::load("tests/models/digits.onnx");
  graph::Graph canonical = graph::deep_copy(*model.impl().graph);
  optimizer::optimize(
      canonical, PassOptions::none(),
      [](const auto&, auto) {
        return optimizer::Answer{0, ""};
      },
      [](const auto&) { return std::vector<Tensor>(); });
  Providers providers;
  for (const char* name : {"null", "reference"})
    providers.push_back(Provider::create(name, std::make_shared<const Host>(core::Executor{})));
  for (const bool by_cost : {false, true}) {
    Request request;
    request.by_cost = by_cost;
    const PartitionedGraph graph = partition(std::make_shared<const graph::Graph>(canonical), providers, request);
    std::size_t records = 0, bytes = 0;
    std::set<const std::string*> texts;
    for (const Assignment& a : graph.assignments)
      for (const Record& r : a.records) {
        ++records;
        bytes += sizeof(r) + r.guards.capacity() * sizeof(AshlarGuard);
        for (const SharedText& text : {r.reason, r.kernel})
          if (text && texts.insert(text.get()).second) bytes += 48 + text->capacity();  // with the block that counts its owners
      }
    EXPECT_EQ(records, 2 * graph.assignments.size());
    EXPECT_LT(bytes, 200 * records);
  }
}

}  // namespace
}  // namespace ashlar::partition
