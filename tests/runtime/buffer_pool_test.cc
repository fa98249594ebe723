// SPDX-License-Identifier: Apache-2.0
#include "runtime/buffer_pool.h"

#include <ashlar/error.h>
#include <gtest/gtest.h>

namespace ashlar::runtime {
namespace {

TEST(BufferPool, ReusesABufferOnlyWhenItsLastTensorIsGone) {
  BufferPool pool;
  Tensor a = pool.allocate(DType::kFloat32, {1000});
  const void* first = a.raw();
  const Tensor copy = a;
  a = Tensor();
  Tensor b = pool.allocate(DType::kFloat32, {1000});
  EXPECT_NE(b.raw(), first);
  const void* second = b.raw();
  b = Tensor();
  EXPECT_EQ(pool.allocate(DType::kInt32, {900}).raw(), second);
}

TEST(BufferPool, FreesWhatStaysIdle) {
  BufferPool pool;
  pool.allocate(DType::kUint8, {1 << 20});
  EXPECT_GE(pool.bytes(), std::size_t{1} << 20);
  for (int i = 0; i < 10; ++i) pool.end_run();
  EXPECT_EQ(pool.bytes(), 0u);
}

TEST(BufferPool, ATensorOutlivesThePool) {
  Tensor t;
  {
    BufferPool pool;
    t = pool.allocate(DType::kFloat32, {4});
  }
  t.mutable_data<float>()[3] = 1;
  EXPECT_EQ(t.data<float>()[3], 1);
}

TEST(BufferPool, RefusesWhatNoMachineHas) {
  BufferPool pool;
  EXPECT_THROW(pool.allocate(DType::kFloat32, {std::int64_t{1} << 50}), Error);
}

}  // namespace
}  // namespace ashlar::runtime
