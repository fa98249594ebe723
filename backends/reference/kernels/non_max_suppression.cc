// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression: per batch and class, boxes in the order of their scores, each kept unless it overlaps one that was kept.
#include <algorithm>
#include <array>
#include <optional>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

struct Box {
  float x0, y0, x1, y1;
  float area() const { return (x1 - x0) * (y1 - y0); }
};

Box corners(const float* box, bool centered) {
  if (centered) return {box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2};
  return {std::min(box[1], box[3]), std::min(box[0], box[2]), std::max(box[1], box[3]), std::max(box[0], box[2])};
}

/// Intersection over union; 0 when one of the boxes is empty.
float overlap(const Box& a, const Box& b) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const float height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(width > 0 && height > 0)) return 0;
  const float both = width * height;
  const float either = a.area() + b.area() - both;
  return either > 0 ? both / either : 0;
}

class NonMaxSuppression final : public Kernel {
 public:
  explicit NonMaxSuppression(const NodeView& node) : centered_(node.integer("center_point_box", 0) != 0) {}

  void bind(BindContext& context) const override {
    const Dims boxes = context.input(0).dims(), scores = context.input(1).dims();
    check(boxes.rank() == 3 && boxes[2] == 4 && scores.rank() == 3 && scores[0] == boxes[0] && scores[2] == boxes[1],
          "boxes has the shape ", boxes, ", scores ", scores);
    context.set_output_unknown(0);
  }

  void run(const RunContext& context) const override {
    const TensorView boxes = context.input(0), scores = context.input(1);
    const std::int64_t batches = scores.dim(0), classes = scores.dim(1), count = scores.dim(2);
    const std::int64_t most = scalar<std::int64_t>(context, 2).value_or(0);
    const float limit = scalar<float>(context, 3).value_or(0);
    const std::optional<float> threshold = scalar<float>(context, 4);
    std::vector<std::array<std::int64_t, 3>> kept;
    for (std::int64_t b = 0; b < batches && most > 0; ++b) {
      for (std::int64_t c = 0; c < classes; ++c) {
        const float* score = scores.data<float>() + (b * classes + c) * count;
        std::vector<std::int64_t> order;
        for (std::int64_t i = 0; i < count; ++i)
          if (score[i] == score[i] && (!threshold || score[i] > *threshold)) order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) { return score[i] > score[j]; });
        std::vector<Box> chosen;
        for (const std::int64_t i : order) {
          if (static_cast<std::int64_t>(chosen.size()) == most) break;
          const Box box = corners(boxes.data<float>() + (b * count + i) * 4, centered_);
          if (std::any_of(chosen.begin(), chosen.end(), [&](const Box& other) { return overlap(box, other) > limit; })) continue;
          chosen.push_back(box);
          kept.push_back({b, c, i});
        }
      }
    }
    context.set_output(0, {static_cast<std::int64_t>(kept.size()), 3});
    if (!context.has_output(0)) return;
    auto* to = context.output(0).mutable_data<std::int64_t>();
    for (const auto& row : kept) to = std::copy(row.begin(), row.end(), to);
  }

 private:
  template <class T> static std::optional<T> scalar(const RunContext& context, int i) {
    if (!context.has_input(i) || context.input(i).count() == 0) return std::nullopt;
    return context.input(i).data<T>()[0];
  }
  bool centered_;
};

constexpr KernelEntry kTable[] = {{"NonMaxSuppression", 10, kLatest, nullptr, &make<NonMaxSuppression>}};

}  // namespace

std::span<const provider::KernelEntry> non_max_suppression_kernels() { return kTable; }

}  // namespace ashlar::reference
