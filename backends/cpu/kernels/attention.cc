// SPDX-License-Identifier: Apache-2.0
// Attention in float32. Queries, keys and values may be columns of one wider product.
#include <cmath>

#include "copy.h"
#include "heads.h"
#include "scalar.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

using MaskTypes = Types<float, bool>;
enum Input { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };
enum Output { kResult, kPresentKey, kPresentValue, kScores };

class Attention final : public CpuKernel {
 public:
  explicit Attention(const NodeView& node)
      : host_(node.host()), q_heads_(node.integer("q_num_heads")), kv_heads_(node.integer("kv_num_heads")),
        causal_(node.integer("is_causal") != 0), left_(node.integer("left_window_size", -1)), right_(node.integer("right_window_size", -1)),
        softcap_(node.real("softcap")) {
    if (node.has("scale")) scale_ = node.real("scale");
    if (node.has_input(kPastKey) && node.has_output(kPresentKey)) growths_.push_back({sizeof(AshlarGrowth), kPastKey, kPresentKey, 2});
    if (node.has_input(kPastValue) && node.has_output(kPresentValue))
      growths_.push_back({sizeof(AshlarGrowth), kPastValue, kPresentValue, 2});
    for (int i = 0; i < 3; ++i) packed_[static_cast<std::size_t>(i)] = node.input(i).rank() == 3;
  }

  static provider::Verdict verdict(const NodeView& node) {
    for (const int i : {kQuery, kKey, kValue, kPastKey, kPastValue})
      ASHLAR_REQUIRE(!node.has_input(i) || node.input(i).dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "Attention of ",
                     provider::dtype_name(node.input(i).dtype()), " has no kernel");
    ASHLAR_REQUIRE(!node.has_input(kMask) || contains<MaskTypes>(node.input(kMask).dtype()), ASHLAR_NO_KERNEL_DTYPE, "a mask of ",
                   provider::dtype_name(node.input(kMask).dtype()), " has no kernel");
    ASHLAR_REQUIRE(!node.has_input(kLengths) || node.input(kLengths).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE,
                   "nonpad_kv_seqlen of ", provider::dtype_name(node.input(kLengths).dtype()), " has no kernel");
    ASHLAR_REQUIRE(!node.has_output(kScores), ASHLAR_ATTRIBUTE, "Attention that gives its scores (qk_matmul_output) has no kernel");
    ASHLAR_REQUIRE(node.has_input(kPastKey) == node.has_input(kPastValue), ASHLAR_ATTRIBUTE, "past_key and past_value come together");
    ASHLAR_REQUIRE(node.integer("left_window_size", -1) >= -1 && node.integer("right_window_size", -1) >= -1, ASHLAR_ATTRIBUTE,
                   "window sizes are -1 or more");
    return provider::accept();
  }

  std::vector<AshlarGrowth> growths() const override { return growths_; }

  bool reads_columns(int input) const override { return input < 3 && packed_[static_cast<std::size_t>(input)]; }
  void set_columns(int input, const Columns& columns) override { columns_[static_cast<std::size_t>(input)] = columns; }

  void bind(BindContext& context) const override {
    const auto dims = [&](int i) { return context.input(i).dims(); };
    const HeadLayout q(dims(kQuery), q_heads_, columns_[0]), k(dims(kKey), kv_heads_, columns_[1]), v(dims(kValue), kv_heads_, columns_[2]);
    check(q.packed == k.packed && q.packed == v.packed && k.batch == q.batch && v.batch == q.batch && k.size == q.size &&
              k.heads == v.heads && k.length == v.length && q.heads % k.heads == 0,
          "Attention of the shapes ", dims(kQuery), ", ", dims(kKey), " and ", dims(kValue), " with ", q.heads, " and ", k.heads, " heads");
    auto plan = std::make_unique<Plan>(q, k, v);
    std::int64_t past = 0;
    if (context.has_input(kPastKey)) {
      const Dims key = dims(kPastKey), value = dims(kPastValue);
      past = key.rank() == 4 ? key[2] : 0;
      check(key == Dims{k.batch, k.heads, past, k.size} && value == Dims{v.batch, v.heads, past, v.size}, "past states of the shapes ", key,
            " and ", value, " for ", dims(kKey), " and ", dims(kValue));
    }
    const float scale = scale_ ? *scale_ : static_cast<float>(1 / std::sqrt(static_cast<double>(q.size)));
    plan->shape = {.batch = q.batch,
                   .q_heads = q.heads,
                   .kv_heads = k.heads,
                   .queries = q.length,
                   .past = past,
                   .fresh = k.length,
                   .size = q.size,
                   .value_size = v.size,
                   .scale = scale,
                   .softcap = softcap_,
                   .causal = causal_,
                   .left = left_,
                   .right = right_};
    const std::int64_t total = plan->shape.keys();
    if (context.has_input(kMask)) plan->set_mask(dims(kMask));
    if (context.has_input(kLengths))
      check(dims(kLengths) == Dims{q.batch}, "nonpad_kv_seqlen of shape ", dims(kLengths), " for a batch of ", q.batch);
    context.set_output(kResult, q.packed ? Dims{q.batch, q.length, q.heads * v.size} : Dims{q.batch, q.heads, q.length, v.size});
    context.set_output(kPresentKey, {k.batch, k.heads, total, k.size});
    context.set_output(kPresentValue, {v.batch, v.heads, total, v.size});
    plan->attention = AttentionPlan(plan->shape, host_->threads);
    context.set_workspace(plan->attention.workspace_bytes());
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    const Plan& plan = context.binding<Plan>();
    const AttentionShape& s = plan.shape;
    const auto data = [&](int i) { return context.has_input(i) ? context.input(i).data<float>() : nullptr; };
    AttentionOperands o;
    o.q = plan.q.rows(data(kQuery));
    o.k = plan.k.rows(data(kKey));
    o.v = plan.v.rows(data(kValue));
    if (context.has_input(kPastKey)) {
      o.past_k = rows<const float>(context.input(kPastKey), s, s.past, s.size);
      o.past_v = rows<const float>(context.input(kPastValue), s, s.past, s.value_size);
    }
    HeadRows<float> present_k, present_v;
    if (context.has_output(kPresentKey)) present_k = rows<float>(context.output(kPresentKey), s, s.keys(), s.size);
    if (context.has_output(kPresentValue)) present_v = rows<float>(context.output(kPresentValue), s, s.keys(), s.value_size);
    if (present_k.data || present_v.data) join(context, s, o, present_k, present_v);
    if (present_k.data && present_v.data && s.past > 0) {
      o.k = constant(present_k);
      o.v = constant(present_v);
      o.joined = true;
    }
    if (!context.has_output(kResult)) return;
    o.y = plan.y.rows(context.output(kResult).mutable_data<float>());
    if (context.has_input(kMask)) {
      const auto mask = [&]<class T>(const T* from) {
        return HeadRows<const T>{from, plan.mask_steps[0], plan.mask_steps[1], plan.mask_steps[2]};
      };
      if (context.input(kMask).count() == 0) o.keep = mask(&kNothing), o.mask_keys = 0;
      else if (context.input(kMask).dtype() == DType::kBool) o.keep = mask(context.input(kMask).data<std::uint8_t>());
      else o.mask = mask(data(kMask));
      if (context.input(kMask).count() > 0) o.mask_keys = plan.mask_keys;
    }
    if (context.has_input(kLengths)) {
      o.lengths = context.input(kLengths).data<std::int64_t>();
      o.own_place = !context.has_input(kPastKey);
    }
    plan.attention.run(host_, o, context.workspace());
  }

 private:
  static constexpr std::uint8_t kNothing = 0;

  struct Plan : provider::Binding {
    Plan(const HeadLayout& query, const HeadLayout& key, const HeadLayout& value) : q(query), k(key), v(value), y(output(query, value)) {}
    static HeadLayout output(const HeadLayout& q, const HeadLayout& v) {
      return q.packed ? HeadLayout({q.batch, q.length, q.heads * v.size}, q.heads) : HeadLayout({q.batch, q.heads, q.length, v.size}, 0);
    }
    /// A last dimension shorter than the keys leaves out the keys behind it.
    void set_mask(const Dims& mask) {
      const Dims full{shape.batch, shape.q_heads, shape.queries, shape.keys()};
      bool fits = mask.rank() >= 1 && mask.rank() <= 4 && mask[mask.rank() - 1] <= shape.keys();
      for (int d = 0; fits && d < mask.rank() - 1; ++d) fits = mask[d] == 1 || mask[d] == full[4 - mask.rank() + d];
      check(fits, "a mask of shape ", mask, " for scores of shape ", full);
      mask_keys = mask[mask.rank() - 1];
      const Dims dense = strides_of(mask);
      std::size_t place = 4 - static_cast<std::size_t>(mask.rank());
      for (int d = 0; d < mask.rank() - 1; ++d, ++place)
        if (mask[d] != 1) mask_steps[place] = dense[d];
    }
    AttentionShape shape;
    HeadLayout q, k, v, y;
    std::array<std::int64_t, 3> mask_steps{};  ///< by batch, head, query
    std::int64_t mask_keys = 0;
    AttentionPlan attention;
  };

  /// The rows of past or present states: `places` a head, and room for more where the storage has it.
  template <class T>
  static HeadRows<T> rows(const provider::TensorView& states, const AttentionShape& s, std::int64_t places, std::int64_t size) {
    const std::int64_t head = (states.room() > 0 ? states.room() : places) * size;
    return {static_cast<T*>(states.raw()), s.kv_heads * head, head, size};
  }
  static HeadRows<const float> constant(const HeadRows<float>& rows) { return {rows.data, rows.batch, rows.head, rows.row}; }

  /// Writes the past rows, where they are not there already, and the fresh ones to the outputs that present them.
  static void join(const RunContext& context, const AttentionShape& s, const AttentionOperands& o, const HeadRows<float>& present_k,
                   const HeadRows<float>& present_v) {
    const auto grows = [](const HeadRows<const float>& past, const HeadRows<float>& present) {
      return past.data == present.data && past.head == present.head;
    };
    const bool keys_grow = grows(o.past_k, present_k), values_grow = grows(o.past_v, present_v);
    const std::int64_t heads = s.batch * s.kv_heads, places = keys_grow && values_grow ? s.fresh : s.keys();
    const std::int64_t bytes = 4 * std::max<std::int64_t>(1, places * s.size);
    context.parallel_for(2 * heads, std::max<std::int64_t>(1, 4 * kBytesPerChunk / bytes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const bool key = i < heads;
        const HeadRows<float>& present = key ? present_k : present_v;
        if (!present.data) continue;
        const std::int64_t m = i % heads, b = m / s.kv_heads, h = m % s.kv_heads, size = key ? s.size : s.value_size;
        float* const to = present.at(b, h, 0);
        if (!(key ? keys_grow : values_grow)) copy_rows(key ? o.past_k : o.past_v, b, h, s.past, size, to);
        copy_rows(key ? o.k : o.v, b, h, s.fresh, size, to + s.past * size);
      }
    });
  }
  static void copy_rows(const HeadRows<const float>& from, std::int64_t b, std::int64_t h, std::int64_t count, std::int64_t size,
                        float* to) {
    if (count * size == 0) return;
    if (from.row == size) {
      std::memcpy(to, from.at(b, h, 0), static_cast<std::size_t>(count * size) * sizeof(float));
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i * size, from.at(b, h, i), static_cast<std::size_t>(size) * sizeof(float));
  }

  const AshlarHost* host_;
  std::int64_t q_heads_, kv_heads_;
  bool causal_;
  std::int64_t left_, right_;
  std::optional<float> scale_;
  float softcap_;
  std::vector<AshlarGrowth> growths_;
  std::array<bool, 3> packed_{};
  std::array<std::optional<Columns>, 3> columns_{};
};

constexpr provider::KernelEntry kRows[] = {
    {"Attention", 23, provider::kLatest, &Attention::verdict, &provider::make<Attention>},
};

}  // namespace

std::span<const provider::KernelEntry> attention_kernels() { return kRows; }

}  // namespace ashlar::cpu
