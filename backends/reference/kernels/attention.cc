// SPDX-License-Identifier: Apache-2.0
// Attention and RotaryEmbedding. Attention works in doubles on one head and a block of queries at a time: scores, softcap, bias, softmax,
// weighted sum of the values. A key whose bias is minus infinity takes no part; a query without keys gives zeros.
#include <cmath>
#include <limits>

#include "product.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

constexpr double kMasked = -std::numeric_limits<double>::infinity();
using MaskTypes = Join<NumericTypes, Types<bool>>;

/// A tensor [batch, heads, sequence, size], or [batch, sequence, heads * size] when packed.
struct HeadLayout {
  bool packed;
  std::int64_t batch, heads, length, size;

  HeadLayout(const Dims& dims, std::int64_t heads_if_packed) : packed(dims.rank() == 3), batch(dims[0]) {
    check(packed || dims.rank() == 4, "an operand of Attention has the shape ", dims);
    heads = packed ? heads_if_packed : dims[1];
    check(heads > 0 && (!packed || dims[2] % heads == 0), heads, " heads for an operand of shape ", dims);
    length = packed ? dims[1] : dims[2];
    size = packed ? dims[2] / heads : dims[3];
  }
  std::int64_t offset(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return (packed ? (b * length + i) * heads + h : (b * heads + h) * length + i) * size;
  }
};

enum Input { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };

class Attention : public Kernel {
 public:
  explicit Attention(const NodeView& node)
      : q_heads_(node.integer("q_num_heads")), kv_heads_(node.integer("kv_num_heads")), causal_(node.integer("is_causal") != 0),
        left_(node.integer("left_window_size", -1)), right_(node.integer("right_window_size", -1)),
        mode_(node.integer("qk_matmul_output_mode")), has_scale_(node.has("scale")), scale_(node.real("scale")),
        softcap_(node.real("softcap")) {}

  static provider::Verdict verdict(const NodeView& node) {
    for (const int i : {kQuery, kKey, kValue, kPastKey, kPastValue})
      if (node.has_input(i))
        if (const auto v = require_dtype<FloatTypes>(node, node.input(i)); v.code != ASHLAR_ACCEPTED) return v;
    ASHLAR_REQUIRE(!node.has_input(kMask) || contains<MaskTypes>(node.input(kMask).dtype()), ASHLAR_NO_KERNEL_DTYPE, "a mask of ",
                   provider::dtype_name(node.input(kMask).dtype()), " has no kernel");
    ASHLAR_REQUIRE(!node.has_input(kLengths) || node.input(kLengths).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE,
                   "nonpad_kv_seqlen is int64");
    ASHLAR_REQUIRE(node.has_input(kPastKey) == node.has_input(kPastValue), ASHLAR_ATTRIBUTE, "past_key and past_value come together");
    ASHLAR_REQUIRE(node.integer("left_window_size", -1) >= -1 && node.integer("right_window_size", -1) >= -1, ASHLAR_ATTRIBUTE,
                   "window sizes are -1 or more");
    return provider::accept();
  }

  void bind(BindContext& context) const override {
    const Shape s = shape(context);
    context.set_output(0,
                       s.q.packed ? Dims{s.q.batch, s.q.length, s.q.heads * s.v.size} : Dims{s.q.batch, s.q.heads, s.q.length, s.v.size});
    context.set_output(1, {s.k.batch, s.k.heads, s.total, s.k.size});
    context.set_output(2, {s.v.batch, s.v.heads, s.total, s.v.size});
    context.set_output(3, {s.q.batch, s.q.heads, s.q.length, s.total});
  }

  void run(const RunContext& context) const override {
    const Shape s = shape(context);
    if (s.q.length * s.v.size == 0 && s.total * (s.k.size + s.v.size) == 0 && s.q.length * s.total == 0) return;
    const std::vector<double> mask = mask_values(context);
    const Dims mask_strides = context.has_input(kMask) ? mask_steps(context.input(kMask).dims()) : Dims{0, 0, 0, 0};
    const std::vector<std::int64_t> lengths = context.has_input(kLengths) ? context.input(kLengths).indices() : std::vector<std::int64_t>();
    for (std::int64_t b = 0; b < s.q.batch; ++b) {
      const std::int64_t valid = lengths.empty() ? s.total : lengths[static_cast<std::size_t>(b)];
      const std::int64_t offset = context.has_input(kPastKey) || lengths.empty() ? s.past : valid - s.q.length;
      const auto bias = [&](std::int64_t h, std::int64_t i, std::int64_t j) {
        const std::int64_t distance = i + offset - j;
        if (j >= valid || (causal_ && distance < 0) || (left_ >= 0 && distance > left_) || (right_ >= 0 && -distance > right_))
          return kMasked;
        if (mask.empty()) return 0.0;
        const std::int64_t last = context.input(kMask).dim(context.input(kMask).rank() - 1);
        return j >= last ? kMasked : mask[static_cast<std::size_t>(b * mask_strides[0] + h * mask_strides[1] + i * mask_strides[2] + j)];
      };
      for (std::int64_t g = 0; g < s.k.heads; ++g) {
        const std::vector<double> keys = rows(context, s, s.k, kKey, kPastKey, 1, b, g),
                                  values = rows(context, s, s.v, kValue, kPastValue, 2, b, g);
        const std::int64_t share = s.q.heads / s.k.heads;
        for (std::int64_t h = g * share; h < (g + 1) * share; ++h) head(context, s, keys, values, b, h, bias);
      }
    }
  }

 private:
  static constexpr std::int64_t kBlock = 64;

  struct Shape {
    HeadLayout q, k, v;
    std::int64_t past, total;
  };

  template <class Context> Shape shape(const Context& context) const {
    const auto dims = [&](int i) { return context.input(i).dims(); };
    Shape s{{dims(kQuery), q_heads_}, {dims(kKey), kv_heads_}, {dims(kValue), kv_heads_}, 0, 0};
    check(s.q.packed == s.k.packed && s.q.packed == s.v.packed && s.k.batch == s.q.batch && s.v.batch == s.q.batch &&
              s.k.size == s.q.size && s.k.heads == s.v.heads && s.k.length == s.v.length && s.q.heads % s.k.heads == 0,
          "Attention of the shapes ", dims(kQuery), ", ", dims(kKey), " and ", dims(kValue), " with ", s.q.heads, " and ", s.k.heads,
          " heads");
    if (context.has_input(kPastKey) && context.has_input(kPastValue)) {
      const Dims key = dims(kPastKey);
      s.past = key.rank() == 4 ? key[2] : 0;
      check(key == Dims{s.k.batch, s.k.heads, s.past, s.k.size} && dims(kPastValue) == Dims{s.v.batch, s.v.heads, s.past, s.v.size},
            "past states of the shapes ", key, " and ", dims(kPastValue), " for ", dims(kKey), " and ", dims(kValue));
    }
    s.total = s.past + s.k.length;
    if (context.has_input(kMask)) {
      const Dims mask = dims(kMask), full{s.q.batch, s.q.heads, s.q.length, s.total};
      bool fits = mask.rank() >= 1 && mask.rank() <= 4 && mask[mask.rank() - 1] <= s.total;
      for (int d = 0; fits && d < mask.rank() - 1; ++d) fits = mask[d] == 1 || mask[d] == full[4 - mask.rank() + d];
      check(fits, "a mask of shape ", mask, " for scores of shape ", full);
    }
    if (context.has_input(kLengths)) {
      check(dims(kLengths) == Dims{s.q.batch}, "nonpad_kv_seqlen of shape ", dims(kLengths), " for a batch of ", s.q.batch);
    }
    return s;
  }

  static Dims mask_steps(const Dims& mask) {
    const Dims dense = strides_of(mask);
    Dims steps{0, 0, 0, 0};
    for (int d = 0; d < mask.rank(); ++d)
      if (mask[d] != 1) steps[4 - mask.rank() + d] = dense[d];
    return steps;
  }

  /// What the mask adds to the scores.
  static std::vector<double> mask_values(const RunContext& context) {
    std::vector<double> out;
    if (!context.has_input(kMask)) return out;
    const TensorView view = context.input(kMask);
    dispatch<MaskTypes>(view.dtype(), [&]<class T>() {
      if constexpr (std::is_same_v<T, bool>) {
        for (const std::uint8_t v : view.values<std::uint8_t>()) out.push_back(v ? 0 : kMasked);
      } else {
        for (std::int64_t i = 0; i < view.count(); ++i) out.push_back(static_cast<double>(view.data<T>()[i]));
      }
    });
    if (out.empty()) out.push_back(kMasked);
    return out;
  }

  /// The keys or values of a head, past ones first, as [total, size]; also writes them to the output that presents them.
  static std::vector<double> rows(const RunContext& context, const Shape& s, const HeadLayout& layout, int input, int past, int present,
                                  std::int64_t b, std::int64_t h) {
    std::vector<double> out(static_cast<std::size_t>(s.total * layout.size));
    if (s.past > 0) load_reals(context.input(past), (b * layout.heads + h) * s.past * layout.size, s.past * layout.size, out.data());
    for (std::int64_t i = 0; i < layout.length; ++i)
      load_reals(context.input(input), layout.offset(b, h, i), layout.size, out.data() + (s.past + i) * layout.size);
    if (context.has_output(present))
      store_reals(context.output(present), (b * layout.heads + h) * s.total * layout.size, s.total * layout.size, out.data());
    return out;
  }

  template <class Bias>
  void head(const RunContext& context, const Shape& s, const std::vector<double>& keys, const std::vector<double>& values, std::int64_t b,
            std::int64_t h, const Bias& bias) const {
    const std::int64_t size = s.q.size;
    const double scale = has_scale_ ? scale_ : 1 / std::sqrt(static_cast<double>(size));
    std::vector<double> scores(static_cast<std::size_t>(std::min(kBlock, s.q.length) * s.total));
    std::vector<double> queries(static_cast<std::size_t>(std::min(kBlock, s.q.length) * size));
    for (std::int64_t first = 0; first < s.q.length; first += kBlock) {
      const std::int64_t count = std::min(kBlock, s.q.length - first);
      for (std::int64_t i = 0; i < count; ++i)
        load_reals(context.input(kQuery), s.q.offset(b, h, first + i), size, queries.data() + i * size);
      multiply<double>(
          count, s.total, size, [&](std::int64_t i, std::int64_t k) { return queries[static_cast<std::size_t>(i * size + k)]; },
          [&](std::int64_t k, std::int64_t j) { return keys[static_cast<std::size_t>(j * size + k)]; },
          [&](std::int64_t i, std::int64_t j, double sum) { scores[static_cast<std::size_t>(i * s.total + j)] = sum * scale; });
      for (std::int64_t i = 0; i < count; ++i) {
        const auto expose = [&](int mode) {
          if (mode != mode_ || !context.has_output(3)) return;
          store_reals(context.output(3), ((b * s.q.heads + h) * s.q.length + first + i) * s.total, s.total, scores.data() + i * s.total);
        };
        softmax(
            scores.data() + i * s.total, s.total, [&](std::int64_t j) { return bias(h, first + i, j); }, expose);
      }
      multiply<double>(
          count, s.v.size, s.total, [&](std::int64_t i, std::int64_t k) { return scores[static_cast<std::size_t>(i * s.total + k)]; },
          [&](std::int64_t k, std::int64_t j) { return values[static_cast<std::size_t>(k * s.v.size + j)]; },
          [&](std::int64_t i, std::int64_t j, double sum) {
            const HeadLayout y = output_layout(s);
            if (context.has_output(0)) store_reals(context.output(0), y.offset(b, h, first + i) + j, 1, &sum);
          });
    }
  }

  static HeadLayout output_layout(const Shape& s) {
    HeadLayout y = s.q;
    y.size = s.v.size;
    return y;
  }

  /// Scores of one query become the weights of the keys, in place; expose(mode) is called at the stages of qk_matmul_output_mode.
  template <class Bias, class Expose> void softmax(double* scores, std::int64_t count, const Bias& bias, const Expose& expose) const {
    expose(0);
    if (softcap_ > 0)
      for (std::int64_t j = 0; j < count; ++j) scores[j] = softcap_ * std::tanh(scores[j] / softcap_);
    expose(1);
    double top = kMasked;
    for (std::int64_t j = 0; j < count; ++j) {
      const double b = bias(j);
      scores[j] = b == kMasked ? kMasked : scores[j] + b;
      top = scores[j] > top || scores[j] != scores[j] ? scores[j] : top;
    }
    expose(2);
    double sum = 0;
    for (std::int64_t j = 0; j < count; ++j) sum += scores[j] = scores[j] == kMasked ? 0 : std::exp(scores[j] - top);
    for (std::int64_t j = 0; j < count; ++j) scores[j] = sum == 0 ? 0 : scores[j] / sum;
    expose(3);
  }

  std::int64_t q_heads_, kv_heads_;
  bool causal_;
  std::int64_t left_, right_, mode_;
  bool has_scale_;
  double scale_, softcap_;
};

class RotaryEmbedding : public Kernel {
 public:
  explicit RotaryEmbedding(const NodeView& node)
      : heads_(node.integer("num_heads")), rotated_(node.integer("rotary_embedding_dim")), interleaved_(node.integer("interleaved") != 0) {}

  static provider::Verdict verdict(const NodeView& node) {
    ASHLAR_REQUIRE(!node.has_input(3) || node.input(3).dtype() == DType::kInt64, ASHLAR_NO_KERNEL_DTYPE, "position_ids are int64");
    return takes_same<FloatTypes, 1, 2>(node);
  }

  void bind(BindContext& context) const override {
    const HeadLayout x(context.input(0).dims(), heads_);
    const std::int64_t half = rotated(x) / 2;
    const Dims cos = context.input(1).dims();
    check(rotated_ >= 0 && half * 2 == rotated(x) && rotated(x) <= x.size, "a rotation of ", rotated(x), " of ", x.size, " elements");
    check(context.input(2).dims() == cos, "caches of the shapes ", cos, " and ", context.input(2).dims());
    if (context.has_input(3)) {
      check(context.input(3).dims() == Dims{x.batch, x.length} && cos.rank() == 2 && cos[1] == half, "position_ids of shape ",
            context.input(3).dims(), " and caches of shape ", cos, " for an input of shape ", context.input(0).dims());
    } else {
      check(cos == Dims{x.batch, x.length, half}, "caches of shape ", cos, " for an input of shape ", context.input(0).dims());
    }
    context.set_output(0, context.input(0).dims());
  }

  void run(const RunContext& context) const override {
    const HeadLayout x(context.input(0).dims(), heads_);
    if (context.output(0).count() == 0) return;
    const std::int64_t* positions = context.has_input(3) ? context.input(3).data<std::int64_t>() : nullptr;
    const std::int64_t table = context.input(1).dim(0);
    const std::int64_t rotated_size = rotated(x), half = rotated_size / 2;
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
      const T* from = context.input(0).data<T>();
      T* to = context.output(0).mutable_data<T>();
      for (std::int64_t b = 0; b < x.batch; ++b) {
        for (std::int64_t i = 0; i < x.length; ++i) {
          const std::int64_t position = positions ? positions[b * x.length + i] : b * x.length + i;
          check(!positions || (position >= 0 && position < table), "position ", position, " in a cache of ", table);
          const T* cos = context.input(1).data<T>() + position * half;
          const T* sin = context.input(2).data<T>() + position * half;
          for (std::int64_t h = 0; h < x.heads; ++h) {
            const std::int64_t at = x.offset(b, h, i);
            for (std::int64_t k = 0; k < half; ++k) {
              const std::int64_t first = at + (interleaved_ ? 2 * k : k), second = interleaved_ ? first + 1 : first + half;
              const double c = static_cast<double>(cos[k]), s = static_cast<double>(sin[k]);
              const double real = static_cast<double>(from[first]), imaginary = static_cast<double>(from[second]);
              to[first] = narrow<T>(c * real - s * imaginary);
              to[second] = narrow<T>(s * real + c * imaginary);
            }
            std::copy(from + at + rotated_size, from + at + x.size, to + at + rotated_size);
          }
        }
      }
    });
  }

 private:
  std::int64_t rotated(const HeadLayout& x) const { return rotated_ == 0 ? x.size : rotated_; }

  std::int64_t heads_, rotated_;
  bool interleaved_;
};

/// FlexAttention without subgraphs is Attention; with them it is expanded into its function body.
provider::Verdict flex_verdict(const NodeView& node) {
  for (const char* name : {"score_mod", "prob_mod"})
    ASHLAR_REQUIRE(!node.has(name), ASHLAR_ATTRIBUTE, "FlexAttention with a ", name, " subgraph has no kernel");
  return Attention::verdict(node);
}

constexpr KernelEntry kKernels[] = {
    {"Attention", 23, provider::kLatest, &Attention::verdict, &provider::make<Attention>},
    {"FlexAttention", 1, provider::kLatest, &flex_verdict, &provider::make<Attention>, "ai.onnx.preview"},
    {"RotaryEmbedding", 23, provider::kLatest, &RotaryEmbedding::verdict, &provider::make<RotaryEmbedding>},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return kKernels; }

}  // namespace ashlar::reference
