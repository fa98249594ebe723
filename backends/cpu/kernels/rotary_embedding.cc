// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding in float32: pairs of a head's elements turned by the angle of their place. The input may be columns of a wider product.
#include "copy.h"
#include "heads.h"
#include "scalar.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rotary_embedding.cc"
#include <hwy/foreach_target.h>

#include "simd.h"

HWY_BEFORE_NAMESPACE();
namespace ashlar::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
constexpr D kD;
constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(D()));

/// (x[k], x[half + k]), or (x[2 k], x[2 k + 1]) when interleaved, turned by the angle whose cosine and sine are cos[k] and sin[k]. y may be x.
void Rotate(bool interleaved, const float* x, const float* cos, const float* sin, std::int64_t half, float* y) {
  std::int64_t k = 0;
  if (interleaved) {
    for (; k + kLanes <= half; k += kLanes) {
      hn::Vec<D> real, imaginary;
      hn::LoadInterleaved2(kD, x + 2 * k, real, imaginary);
      const auto c = hn::LoadU(kD, cos + k), s = hn::LoadU(kD, sin + k);
      hn::StoreInterleaved2(hn::NegMulAdd(s, imaginary, hn::Mul(c, real)), hn::MulAdd(s, real, hn::Mul(c, imaginary)), kD, y + 2 * k);
    }
  } else {
    for (; k + kLanes <= half; k += kLanes) {
      const auto real = hn::LoadU(kD, x + k), imaginary = hn::LoadU(kD, x + half + k);
      const auto c = hn::LoadU(kD, cos + k), s = hn::LoadU(kD, sin + k);
      hn::StoreU(hn::NegMulAdd(s, imaginary, hn::Mul(c, real)), kD, y + k);
      hn::StoreU(hn::MulAdd(s, real, hn::Mul(c, imaginary)), kD, y + half + k);
    }
  }
  for (; k < half; ++k) {
    const std::int64_t first = interleaved ? 2 * k : k, second = interleaved ? first + 1 : first + half;
    const float real = x[first], imaginary = x[second];
    y[first] = cos[k] * real - sin[k] * imaginary;
    y[second] = sin[k] * real + cos[k] * imaginary;
  }
}

}  // namespace
}  // namespace ashlar::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ashlar::cpu {
namespace {

HWY_EXPORT(Rotate);

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

enum Input { kX, kCosines, kSines, kPositions };

class RotaryEmbedding final : public CpuKernel {
 public:
  explicit RotaryEmbedding(const NodeView& node)
      : heads_(node.integer("num_heads")), rotated_(node.integer("rotary_embedding_dim")), interleaved_(node.integer("interleaved") != 0),
        packed_(node.input(kX).rank() == 3) {}

  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(!node.has_input(kPositions) || node.input(kPositions).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE,
                   "position_ids of ", provider::dtype_name(node.input(kPositions).dtype()), " have no kernel");
    return uniform<Types<float>, kPositions>(node);
  }

  std::uint64_t in_place() const override { return columns_ ? 0 : 1; }
  bool reads_columns(int input) const override { return input == kX && packed_; }
  void set_columns(int, const Columns& columns) override { columns_ = columns; }

  void bind(BindContext& context) const override {
    const Dims dims = context.input(kX).dims(), cos = context.input(kCosines).dims();
    auto plan = std::make_unique<Plan>(HeadLayout(dims, heads_, columns_));
    const HeadLayout& x = plan->x;
    const std::int64_t rotated = rotated_ == 0 ? x.size : rotated_, half = rotated / 2;
    check(rotated >= 0 && half * 2 == rotated && rotated <= x.size, "a rotation of ", rotated, " of ", x.size, " elements");
    check(context.input(kSines).dims() == cos, "caches of the shapes ", cos, " and ", context.input(kSines).dims());
    if (context.has_input(kPositions)) {
      check(context.input(kPositions).dims() == Dims{x.batch, x.length} && cos.rank() == 2 && cos[1] == half, "position_ids of shape ",
            context.input(kPositions).dims(), " and caches of shape ", cos, " for an input of shape ", dims);
    } else {
      check(cos == Dims{x.batch, x.length, half}, "caches of shape ", cos, " for an input of shape ", dims);
    }
    plan->half = half;
    const Dims output = x.packed ? Dims{x.batch, x.length, x.heads * x.size} : dims;
    plan->y = HeadLayout(output, heads_);
    context.set_output(0, output);
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const HeadLayout& layout = plan.x;
    if (context.output(0).count() == 0) return;
    const auto x = layout.rows(context.input(kX).data<float>());
    const auto y = plan.y.rows(context.output(0).mutable_data<float>());
    const float *cos = context.input(kCosines).data<float>(), *sin = context.input(kSines).data<float>();
    const std::int64_t half = plan.half, length = layout.length, places = layout.batch * length, rest = layout.size - 2 * half;
    const std::int64_t* positions = context.has_input(kPositions) ? context.input(kPositions).data<std::int64_t>() : nullptr;
    const std::int64_t table = context.input(kCosines).dim(0);
    for (std::int64_t i = 0; positions && i < places; ++i)
      check(positions[i] >= 0 && positions[i] < table, "position ", positions[i], " in a cache of ", table);
    context.parallel_for(places, grain_of(layout.heads * layout.size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t place = begin; place < end; ++place) {
        const std::int64_t b = place / length, i = place % length, angle = (positions ? positions[place] : place) * half;
        for (std::int64_t h = 0; h < layout.heads; ++h) {
          const float* from = x.at(b, h, i);
          float* to = y.at(b, h, i);
          HWY_DYNAMIC_DISPATCH(Rotate)(interleaved_, from, cos + angle, sin + angle, half, to);
          if (rest > 0 && to != from) std::memcpy(to + 2 * half, from + 2 * half, static_cast<std::size_t>(rest) * sizeof(float));
        }
      }
    });
  }

 private:
  struct Plan : provider::Binding {
    explicit Plan(const HeadLayout& input) : x(input), y(input) {}
    HeadLayout x, y;
    std::int64_t half = 0;
  };
  std::int64_t heads_, rotated_;
  bool interleaved_, packed_;
  std::optional<Columns> columns_;
};

constexpr provider::KernelEntry kRows[] = {
    {"RotaryEmbedding", 23, provider::kLatest, &RotaryEmbedding::verdict, &provider::make<RotaryEmbedding>},
};

}  // namespace

std::span<const provider::KernelEntry> rotary_embedding_kernels() { return kRows; }

}  // namespace ashlar::cpu
#endif
