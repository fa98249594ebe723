// SPDX-License-Identifier: Apache-2.0
// The border seen from the core's side: a provider's table called as C.
#include <cstring>

#include <ashlar/provider/provider.h>
#include <gtest/gtest.h>

#include "partition/graph_view.h"
#include "partition/host.h"
#include "partition/provider.h"
#include "tests/graph/builder.h"

extern "C" const AshlarProvider* ashlar_provider_entry_reference(const AshlarHost*, AshlarStatus*);

namespace ashlar {
namespace {

using testing::Builder;
using testing::tensor_type;

std::shared_ptr<const graph::Graph> softmax_graph(DType dtype) {
  Builder b;
  b.input("x", tensor_type(dtype, {2, 3}))
      .node("Softmax", 13, {"x"}, {"y"}, {{"axis", std::int64_t{-1}}})
      .output("y", tensor_type(dtype, {2, 3}));
  return std::make_shared<const graph::Graph>(std::move(b.graph));
}

TEST(Border, AnotherVersionIsRefusedWithBothNumbers) {
  const partition::Host services{core::Executor{}};
  AshlarHost host = services.abi();
  host.abi_version = 77;
  AshlarStatus status = provider::new_status();
  EXPECT_EQ(ashlar_provider_entry_reference(&host, &status), nullptr);
  EXPECT_NE(std::strstr(status.message, "77"), nullptr);
  EXPECT_NE(std::strstr(status.message, "version 0"), nullptr);
}

TEST(Border, ARefusalHasACodeAndASentence) {
  const auto provider = partition::Provider::create("reference", std::make_shared<const partition::Host>(core::Executor{}));
  const partition::GraphView view(softmax_graph(DType::kString));
  const auto answer = provider->verdict(view, 0);
  EXPECT_FALSE(answer.accepted());
  EXPECT_EQ(answer.code, ASHLAR_NO_KERNEL_DTYPE);
  EXPECT_NE(answer.reason.find("string"), std::string::npos);
}

TEST(Border, APreparedStepBindsAndRuns) {
  const auto provider = partition::Provider::create("reference", std::make_shared<const partition::Host>(core::Executor{}));
  const auto view = std::make_shared<const partition::GraphView>(softmax_graph(DType::kFloat32));
  ASSERT_TRUE(provider->verdict(*view, 0).accepted());
  const std::uint32_t nodes[] = {0};
  const auto program = provider->prepare(view, nodes);
  ASSERT_EQ(program->step_count(), 1u);
  const AshlarStep& step = program->step(0);

  float x[6] = {0, 0, 0, 1, 1, 1}, y[6] = {};
  const std::int64_t dims[] = {2, 3};
  AshlarTensor in{sizeof(AshlarTensor), 1, 2, 0, dims, x, 6, 24, 0, 0}, out{sizeof(AshlarTensor), 1, 2, 0, dims, y, 6, 24, 0, 0};
  const AshlarTensor* inputs[] = {&in};
  AshlarTensor* outputs[] = {&out};
  AshlarShape shape{};
  shape.rank = -2;
  shape.dtype = 1;
  std::uint64_t offsets[] = {ASHLAR_NO_OFFSET};
  AshlarBindArgs bind{sizeof(AshlarBindArgs), 1, 1, 0, inputs, &shape, offsets, 0, nullptr};
  AshlarStatus status = provider::new_status();
  ASSERT_EQ(step.bind(step.context, &bind, &status), ASHLAR_OK) << status.message;
  EXPECT_EQ(shape.rank, 2);
  EXPECT_EQ(shape.dims[1], 3);
  AshlarRunArgs run{sizeof(AshlarRunArgs), 1, 1, 0, inputs, outputs, nullptr, bind.binding, nullptr, nullptr, nullptr};
  ASSERT_EQ(step.run(step.context, &run, &status), ASHLAR_OK) << status.message;
  for (const float f : y) EXPECT_NEAR(f, 1.0f / 3, 1e-6f);
}

TEST(Border, AnExceptionBecomesAStatus) {
  AshlarStatus status = provider::new_status();
  EXPECT_EQ(provider::guarded(&status, [] { provider::check(false, "index ", 7, " is out of range"); }), ASHLAR_RUNTIME);
  EXPECT_STREQ(status.message, "index 7 is out of range");
  EXPECT_EQ(provider::guarded(&status, [] { throw std::bad_alloc(); }), ASHLAR_OUT_OF_MEMORY);
  EXPECT_EQ(provider::guarded(&status, [] { throw 3; }), ASHLAR_INTERNAL);
  EXPECT_EQ(provider::guarded(&status, [] { throw provider::Failure(ASHLAR_RUNTIME, std::string(5000, 'x')); }), ASHLAR_RUNTIME);
  EXPECT_EQ(std::strlen(status.message), sizeof(status.message) - 1);
}

TEST(Border, StringsCrossByFunction) {
  Tensor strings = Tensor::of<std::string>({2}, {"a", "b"});
  AshlarTensor t{sizeof(AshlarTensor), static_cast<int>(DType::kString), 1, 0, strings.shape().data(), strings.mutable_raw(), 2, 0, 0, 0};
  const partition::Host host{core::Executor{}};
  const provider::TensorView view(&t, &host.abi());
  view.set_string(1, std::string_view("c\0d", 3));
  EXPECT_EQ(view.string(1), std::string_view("c\0d", 3));
  EXPECT_THROW(view.set_string(2, "x"), provider::Failure);
}

}  // namespace
}  // namespace ashlar
