// SPDX-License-Identifier: Apache-2.0
// A bound run allocates nothing: every operator new of this program counts.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

// Sanitizers have an operator new of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<bool> counting{false};
std::atomic<std::int64_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
  bytes = std::max<std::size_t>((bytes + alignment - 1) / alignment * alignment, alignment);
  if (void* p = alignment <= alignof(std::max_align_t) ? std::malloc(bytes) : std::aligned_alloc(alignment, bytes)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t a) { return counted(bytes, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t bytes, std::align_val_t a) { return counted(bytes, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace ashlar {
namespace {

std::int64_t allocations_of_bound_runs(const Session& session, std::vector<Tensor> inputs) {
  auto run = session.prepare();
  const auto once = [&] {
    for (std::size_t i = 0; i < inputs.size(); ++i) run.bind_input(i, inputs[i]);
    run();
  };
  for (int i = 0; i < 3; ++i) once();
  allocations = 0;
  counting = true;
  for (int i = 0; i < 10; ++i) once();
  counting = false;
  return allocations;
}

Tensor ramp(const Shape& shape) {
  Tensor t = Tensor::zeros(DType::kFloat32, shape);
  for (std::int64_t i = 0; i < t.element_count(); ++i) t.mutable_data<float>()[i] = 0.25f * static_cast<float>(i % 17 - 8);
  return t;
}

TEST(Allocation, IsCounted) {
  counting = true;
  allocations = 0;
  delete new int;
  counting = false;
  EXPECT_EQ(allocations, 1);
}

/// A block of a transformer as exporters write it, its shapes known only from its inputs.
TEST(Allocation, ABoundRunOfTheCpuProviderHasNone) {
  const auto names = provider_names();
  if (std::find(names.begin(), names.end(), "cpu") == names.end()) GTEST_SKIP() << "the CPU provider is not in this build";
  const Session session(testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    block (float[B, S, 8] x, float[B, S, 8] m) => (float[B, S, 8] y, float[B, K] flat)
      <float[8] g = {1, 1, 1, 1, 1, 1, 1, 1}, float[8] b = {0, 0, 0, 0, 0, 0, 0, 0}, int64[1] zero = {0}, int64[1] rest = {-1}, int64 first = {0}> {
      n = LayerNormalization(x, g, b)
      t = Transpose<perm = [0, 2, 1]>(n)
      p = MatMul(n, t)
      s = Softmax(p)
      v = MatMul(s, m)
      a = Add(v, x)
      r = Relu(a)
      e = Erf(r)
      y = Mul(e, a)
      shape = Shape(y)
      batch = Gather(shape, first)
      batch1 = Unsqueeze(batch, zero)
      target = Concat<axis = 0>(batch1, rest)
      flat = Reshape(y, target)
    })"),
                        {.providers = {"cpu"}, .threads = 2});
  EXPECT_EQ(allocations_of_bound_runs(session, {ramp({2, 5, 8}), ramp({2, 5, 8})}), 0);
}

TEST(Allocation, ABoundRunOfTheCoreHasNone) {
  const Session session(testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]>
    chain (float[N, M] x) => (float[N, M] y, float[N, M] z) { a = Neg(x) b = Add(a, x) y = Abs(b) z = Sub(b, x) })"));
  EXPECT_EQ(allocations_of_bound_runs(session, {ramp({3, 4})}), 0);
}

}  // namespace
}  // namespace ashlar

#endif
