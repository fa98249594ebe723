// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression: per batch and class, boxes in the order of their scores, each kept unless it overlaps one that was kept.
#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "kept_boxes.h"
#include "order.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

Box corners(const float* box, bool centered) {
  Box b{};
  if (centered) b = {box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2, 0};
  else b = {std::min(box[1], box[3]), std::min(box[0], box[2]), std::max(box[1], box[3]), std::max(box[0], box[2]), 0};
  b.area = (b.x1 - b.x0) * (b.y1 - b.y0);
  return b;
}

class NonMaxSuppression final : public provider::Kernel {
 public:
  explicit NonMaxSuppression(const NodeView& node) : centered_(node.integer("center_point_box", 0) != 0) {}

  void bind(BindContext& context) const override {
    const Dims boxes = context.input(0).dims(), scores = context.input(1).dims();
    check(boxes.rank() == 3 && boxes[2] == 4 && scores.rank() == 3 && scores[0] == boxes[0] && scores[2] == boxes[1],
          "boxes has the shape ", boxes, ", scores ", scores);
    check(scores[2] <= std::numeric_limits<std::uint32_t>::max(), "boxes has the shape ", boxes, ", too many to sort");
    context.set_output_unknown(0);
    context.set_workspace(static_cast<std::uint64_t>(scores[2]) * (sizeof(std::uint64_t) + sizeof(Box)));
  }

  void run(const RunContext& context) const override {
    const auto boxes = context.input(0), scores = context.input(1);
    const std::int64_t batches = scores.dim(0), classes = scores.dim(1), count = scores.dim(2);
    const std::int64_t most = scalar<std::int64_t>(context, 2).value_or(0);
    const float limit = scalar<float>(context, 3).value_or(0);
    const std::optional<float> threshold = scalar<float>(context, 4);
    auto* entries = static_cast<std::uint64_t*>(context.workspace());
    auto* all = reinterpret_cast<Box*>(entries + count);
    std::vector<std::int64_t> selected;
    for (std::int64_t b = 0; b < batches && most > 0; ++b) {
      for (std::int64_t i = 0; i < count; ++i) all[i] = corners(boxes.data<float>() + (b * count + i) * 4, centered_);
      KeptBoxes kept(all, count);
      for (std::int64_t c = 0; c < classes; ++c) {
        const float* score = scores.data<float>() + (b * classes + c) * count;
        auto* end = entries;
        for (std::int64_t i = 0; i < count; ++i)
          if (score[i] == score[i] && (!threshold || score[i] > *threshold))
            *end++ = make_entry(score[i], static_cast<std::uint32_t>(i), true);
        std::sort(entries, end, std::greater<>());
        kept.clear();
        for (const auto* entry = entries; entry != end && kept.size() < most; ++entry) {
          const std::int64_t i = place_of(*entry);
          if (kept.overlap(all[i], limit)) continue;
          kept.add(all[i]);
          selected.insert(selected.end(), {b, c, i});
        }
      }
    }
    context.set_output(0, {static_cast<std::int64_t>(selected.size()) / 3, 3});
    if (context.has_output(0)) std::copy(selected.begin(), selected.end(), context.output(0).mutable_data<std::int64_t>());
  }

 private:
  template <class T> static std::optional<T> scalar(const RunContext& context, int i) {
    if (!context.has_input(i) || context.input(i).count() == 0) return std::nullopt;
    return context.input(i).data<T>()[0];
  }
  bool centered_;
};

constexpr provider::KernelEntry kRows[] = {{"NonMaxSuppression", 10, provider::kLatest, nullptr, &provider::make<NonMaxSuppression>}};

}  // namespace

std::span<const provider::KernelEntry> detection_kernels() { return kRows; }

}  // namespace ashlar::cpu
