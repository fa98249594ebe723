// SPDX-License-Identifier: Apache-2.0
// Conv and ConvTranspose. Float32 in up to three spatial dimensions is channels-last: own kernels (own_convolution.h) where the weights are
// constant and they have the shape, else oneDNN's, whose weights are packed for the implementation that it plans, once where they are constant.
// Everything else runs in plain loops: for each element of the output the taps inside the input, added up in doubles.
#include <optional>

#include "onednn.h"
#include "own_convolution.h"
#include "scalar.h"
#include "window.h"

namespace ashlar::cpu {
namespace {

using dnnl::memory;
using provider::BindContext;
using provider::check;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;
using provider::TensorView;

struct Shape {
  Window window;
  std::int64_t batch = 0, group = 1, group_inputs = 0, group_outputs = 0;
  Dims input, weight, output;
};

/// The workspace of a step, in pieces aligned to 64 bytes.
class Pieces {
 public:
  std::uint64_t add(std::uint64_t bytes) { return std::exchange(size_, size_ + (bytes + 63) / 64 * 64); }
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_ = 0;
};

/// A primitive and where its scratchpad lies.
struct Step {
  OneDnnCall call;
  std::uint64_t scratch = 0;

  Step(dnnl::primitive primitive, const memory::desc& scratchpad, Pieces& pieces)
      : call(std::move(primitive), scratchpad), scratch(pieces.add(call.workspace_bytes())) {}
  static Step reorder(const OneDnn& onednn, const memory::desc& from, const memory::desc& to, Pieces& pieces) {
    const auto pd = onednn.plan(
        "reorder", [&] { return dnnl::reorder::primitive_desc(onednn_engine(), from, onednn_engine(), to, onednn_attributes()); });
    Step step(onednn.plan("reorder", [&] { return dnnl::reorder(pd); }), pd.scratchpad_desc(), pieces);
    step.call.add(DNNL_ARG_FROM, from);
    step.call.add(DNNL_ARG_TO, to);
    return step;
  }
};

/// What a convolution of one shape needs. Without `own` and `step` it runs in loops; an operand with a reorder is used in a copy in the workspace.
struct Bound : provider::Binding {
  Shape shape;
  std::optional<OwnConvolution::Bound> own;
  std::optional<Step> step, reorder_x, reorder_w, reorder_y;
  std::uint64_t x_copy = 0, w_copy = 0, y_copy = 0;
  const void* packed = nullptr;
  std::vector<float> weight;  ///< of loops, where it is constant
  std::vector<const void*> pointers;
};

float applied(const PostOp& op, float x, float operand) {
  using Kind = PostOp::Kind;
  switch (op.kind) {
    case Kind::kAdd: return x + operand;
    case Kind::kMultiply: return x * operand;
    case Kind::kRelu: return std::max(x, 0.0f);
    case Kind::kLeakyRelu: return x < 0 ? op.alpha * x : x;
    case Kind::kClip: return std::min(std::max(x, op.alpha), op.beta);
    case Kind::kSigmoid: return 1 / (1 + std::exp(-x));
    case Kind::kSwish: return x / (1 + std::exp(-op.alpha * x));
    case Kind::kMish: return x * std::tanh(std::max(x, 0.0f) + std::log1p(std::exp(-std::fabs(x))));
    case Kind::kHardSigmoid: return std::max(0.0f, std::min(1.0f, op.alpha * x + op.beta));
    case Kind::kHardSwish: return x * std::max(0.0f, std::min(1.0f, x / 6 + 0.5f));
    case Kind::kTanh: return std::tanh(x);
    case Kind::kGelu: return x / 2 * (1 + std::erf(x * 0.70710678f));
    case Kind::kGeluTanh: return x / 2 * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    case Kind::kElu: return x < 0 ? op.alpha * std::expm1(x) : x;
  }
  return x;
}

/// The element of a tensor that broadcasts to the position [n, m, at...] of the output.
float broadcast_element(const TensorView& operand, std::int64_t n, std::int64_t m, const Dims& at) {
  const Dims dims = operand.dims(), strides = strides_in(dims, operand.layout());
  std::int64_t offset = 0;
  for (int i = 0, place = at.rank() + 2 - dims.rank(); i < dims.rank(); ++i, ++place)
    if (dims[i] != 1) offset += strides[i] * (place == 0 ? n : place == 1 ? m : at[place - 2]);
  return operand.data<float>()[offset];
}

template <bool kTransposed> class Convolution final : public CpuKernel {
 public:
  explicit Convolution(const NodeView& node)
      : host_(node.host()), attributes_(node), group_(node.integer("group", 1)), has_bias_(node.has_input(2)), onednn_(node.host()) {
    const auto x = node.input(0), w = node.input(1);
    small_ = x.dtype() == DType::kFloat32 && attributes_.below(kLimit);
    for (int i = 0; i < std::max(w.rank(), 0); ++i) planned_weight_.push_back(w.dim(i));
    for (int i = 0; i < planned_weight_.rank(); ++i) {
      const std::int64_t dim = x.rank() == w.rank() ? x.dim(i) : -1;
      planned_input_.push_back(dim > 0 ? dim : i == 0 ? 1 : kPlannedExtent);
    }
    fuses_ = small_ && w.rank() >= 3 && w.rank() <= 5 && group_ > 0 &&
             std::all_of(planned_weight_.begin(), planned_weight_.end(), [](std::int64_t d) { return d > 0 && d < kLimit; });
    if (!fuses_) return;
    constant_ = w.constant();
    planned_input_[1] = kTransposed ? planned_weight_[0] : planned_weight_[1] * group_;
  }

  void set(const Settings& settings) override { settings_ = settings; }
  LayoutRule layout_rule() const override { return LayoutRule::kPrefers; }

  bool scales_input() const override {
    return !kTransposed && settings_.own_convolutions && constant_ && constant_->has_data() && group_ == 1 && scale_ < 0 &&
           ops_.size() + 1 < RowOps::kMost && planned_weight_.product(2, planned_weight_.rank()) == 1 && planned_weight_.rank() <= 4 &&
           attributes_.slides_by_one();
  }
  void set_input_scale(int input) override { scale_ = input; }
  bool fuse(const PostOp& op) override {
    if (fuses_) ops_.push_back(op);
    return fuses_;
  }

  /// Packs constant weights for the planned shape; the shapes that come are asked to take them so.
  void set_output_layout(Layout layout) override {
    output_layout_ = layout;
    if (!constant_ || !constant_->has_data()) return;
    if (!kTransposed && settings_.own_convolutions && !own_.emplace(host_, *constant_, has_bias_, settings_.winograd).set_ops(ops_))
      own_.reset();
    if (scale_ >= 0) own_->set_scale(scale_);
    try {
      plan();
    } catch (const provider::Failure&) {
      planned_desc_ = {};  // dims that do not go together are bind's to report
    }
  }

  void bind(BindContext& context) const override {
    auto bound = std::make_unique<Bound>();
    const Shape& s = bound->shape = shape(context.input(0).dims(), context.input(1).dims());
    if (has_bias_)
      check(context.input(2).dims() == Dims{s.output[1]}, "a bias of shape ", context.input(2).dims(), " for ", s.output[1], " channels");
    context.set_output(0, s.output);
    context.set_layout(0, output_layout_);
    for (const PostOp& op : ops_)
      if (op.input >= 0)
        check(provider::broadcast(s.output, context.input(op.input).dims()) == s.output, "an operand of shape ",
              context.input(op.input).dims(), " for a convolution of shape ", s.output);
    if (const auto own = own_method(s); own && lies_last(context, s)) bound->own = own_->bind(context, *own, own_shape(s), s.output);
    else if (takes_onednn(s)) bind_onednn(context, *bound);
    else if (constant_) bound->weight = context.input(1).values<float>();
    check(scale_ < 0 || bound->own || s.output.count() == 0, "an image of shape ", s.input, " cannot be scaled on the way");
    context.set_binding(std::move(bound));
  }

  std::uint64_t shape_only() const override { return constant_ ? 1u << 1 : 0; }

  void run(const RunContext& context) const override {
    Bound& b = context.binding<Bound>();
    if (b.shape.output.count() == 0) return;
    if (b.own) return own_->run(context, *b.own);
    if (b.step) return run_onednn(context, b);
    dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() { run_loops<T>(context, b); });
  }

 private:
  using Primitive = std::conditional_t<kTransposed, dnnl::deconvolution_forward, dnnl::convolution_forward>;
  using Descriptor = typename Primitive::primitive_desc;
  static constexpr std::int64_t kLimit = 1 << 12;         ///< of attributes and weights that oneDNN is given
  static constexpr std::int64_t kImageLimit = 1ll << 29;  ///< elements of an image that oneDNN is given
  static constexpr std::int64_t kPlannedExtent = 56;

  void plan() {
    const Shape s = shape(planned_input_, planned_weight_);
    if (!takes_onednn(s)) return;
    if (const auto own = own_method(s)) {
      own_->packed(*own, own_shape(s));
      return;
    }
    std::vector<memory::desc> operands;
    for (const PostOp& op : ops_)
      if (op.input >= 0) operands.push_back(onednn_desc(planned_operand(op.operand_dims, s.output), DType::kFloat32, kChannelsLast));
    planned_desc_ = descriptor(s, any_weight(s), operands).weights_desc();
    onednn_packed(host_, onednn_, *constant_, plain_weight(s), planned_desc_);
  }

  Shape shape(const Dims& x, const Dims& w) const {
    check(x.rank() >= 3 && w.rank() == x.rank(), "a weight of shape ", w, " for an input of shape ", x);
    check(group_ >= 1 && x[1] % group_ == 0 && w[0] % group_ == 0, group_, " groups of an input of shape ", x, " and a weight of shape ",
          w);
    Shape s;
    s.batch = x[0], s.group = group_, s.group_inputs = x[1] / group_;
    s.input = x, s.weight = w;
    s.window = kTransposed ? attributes_.slide_transposed(x, tail(w, 2)) : attributes_.slide(x, tail(w, 2));
    s.group_outputs = kTransposed ? w[1] : w[0] / group_;
    std::int64_t inputs = 0;
    check(!__builtin_mul_overflow(w[1], group_, &inputs) && (kTransposed ? w[0] : inputs) == x[1], "a weight of shape ", w,
          " for an input of shape ", x, " in ", group_, " groups");
    s.output = {x[0], kTransposed ? inputs : w[0]};
    for (const std::int64_t d : s.window.output) s.output.push_back(d);
    return s;
  }

  /// Padding at the end as oneDNN states it: what makes the other side's extent exact.
  static std::int64_t end_padding(const Window& w, int d) {
    const auto& larger = kTransposed ? w.output : w.input;
    const auto& smaller = kTransposed ? w.input : w.output;
    return (smaller[d] - 1) * w.stride[d] + (w.kernel[d] - 1) * w.dilation[d] + 1 - larger[d] - w.begin[d];
  }

  bool takes_onednn(const Shape& s) const {
    if (!small_ || s.input.rank() > 5 || s.input.count() == 0 || s.output.count() == 0 || s.weight.count() == 0) return false;
    for (int d = 0; d < s.window.rank(); ++d)
      if (s.window.kernel[d] >= kLimit || s.window.begin[d] >= kLimit || end_padding(s.window, d) <= -s.window.stride[d]) return false;
    // oneDNN 3.7 (brg_conv_fwd) computes wrong rows for these.
    const int last = s.window.rank() - 1;
    if (!kTransposed && s.group == 1 && s.group_inputs == 1 && s.window.output[last] == 1 && s.window.stride[last] > 1) return false;
    return std::max({s.input.product(1, s.input.rank()), s.output.product(1, s.output.rank()), s.weight.count()}) < kImageLimit;
  }

  std::optional<OwnConvolution::Method> own_method(const Shape& s) const {
    if (!own_ || s.window.rank() > 2 || s.input.count() == 0 || s.output.count() == 0 || s.weight.count() == 0) return std::nullopt;
    return own_->method(own_shape(s), s.group);
  }
  static ConvolutionShape own_shape(const Shape& s) {
    const auto& w = s.window;
    const int last = w.rank() - 1;
    const auto first = [&](const auto& list, std::int64_t otherwise) { return last > 0 ? list[0] : otherwise; };
    return {.batch = s.batch,
            .height = first(w.input, 1),
            .width = w.input[last],
            .inputs = s.input[1],
            .kernel_height = first(w.kernel, 1),
            .kernel_width = w.kernel[last],
            .stride_height = first(w.stride, 1),
            .stride_width = w.stride[last],
            .dilation_height = first(w.dilation, 1),
            .dilation_width = w.dilation[last],
            .top = first(w.begin, 0),
            .left = w.begin[last],
            .out_height = first(w.output, 1),
            .out_width = w.output[last],
            .outputs = s.output[1]};
  }
  /// Whether the elements of all operands lie channels-last.
  bool lies_last(const BindContext& context, const Shape& s) const {
    const auto last = [](const Dims& dims, std::uint64_t layout) { return layout == kChannelsLast || layouts_agree(dims); };
    if (!last(context.input(0).dims(), context.input(0).layout()) || !last(s.output, output_layout_)) return false;
    return std::all_of(ops_.begin(), ops_.end(), [&](const PostOp& op) {
      if (op.input < 0) return true;
      const TensorView operand = context.input(op.input);
      Dims dims = operand.dims();
      const bool whole = dims.rank() == s.output.rank();
      while (dims.rank() < s.output.rank()) dims.insert(0, 1);
      return last(dims, whole ? operand.layout() : kPlain);
    });
  }

  static Dims planned_operand(const Dims& operand, const Dims& output) {
    Dims out = Dims::filled(output.rank(), 1);
    for (int i = 0, shift = output.rank() - operand.rank(); shift >= 0 && i < operand.rank(); ++i)
      if (operand[i] != 1) out[i + shift] = output[i + shift];
    return out;
  }

  static memory::dims weight_dims(const Shape& s) {
    memory::dims dims{s.group_outputs, s.group_inputs};
    if (s.group > 1) dims.insert(dims.begin(), s.group);
    dims.insert(dims.end(), s.window.kernel.begin(), s.window.kernel.end());
    return dims;
  }
  static memory::desc any_weight(const Shape& s) { return {weight_dims(s), memory::data_type::f32, memory::format_tag::any}; }
  /// The weights as ONNX has them: [outputs, group inputs, taps...], transposed [inputs, group outputs, taps...].
  static memory::desc plain_weight(const Shape& s) {
    const std::int64_t taps = s.window.kernel.count();
    memory::dims strides = kTransposed ? memory::dims{taps, s.group_outputs * taps} : memory::dims{s.group_inputs * taps, taps};
    if (s.group > 1) strides.insert(strides.begin(), s.group_outputs * s.group_inputs * taps);
    for (int d = 0; d < s.window.rank(); ++d) strides.push_back(s.window.kernel.product(d + 1, s.window.rank()));
    return {weight_dims(s), memory::data_type::f32, strides};
  }

  Descriptor descriptor(const Shape& s, const memory::desc& weight, const std::vector<memory::desc>& operands) const {
    const Window& w = s.window;
    memory::dims dilations, end;
    for (int d = 0; d < w.rank(); ++d) dilations.push_back(w.dilation[d] - 1), end.push_back(end_padding(w, d));
    const memory::desc bias = has_bias_ ? onednn_desc(Dims{s.output[1]}, DType::kFloat32) : memory::desc();
    constexpr auto kAlgorithm = kTransposed ? dnnl::algorithm::deconvolution_direct : dnnl::algorithm::convolution_direct;
    dnnl::primitive_attr attributes = onednn_attributes();
    attributes.set_post_ops(onednn_post_ops(ops_, operands));
    return onednn_.plan("convolution", [&] {
      return Descriptor(onednn_engine(), dnnl::prop_kind::forward_inference, kAlgorithm,
                        onednn_desc(s.input, DType::kFloat32, kChannelsLast), weight, bias,
                        onednn_desc(s.output, DType::kFloat32, kChannelsLast), onednn_dims(w.stride), dilations, onednn_dims(w.begin), end,
                        attributes);
    });
  }

  /// The descriptor for weights as planned where an implementation is made for them, else for those it asks for.
  Descriptor descriptor(const Shape& s, const std::vector<memory::desc>& operands) const {
    if (!planned_desc_.is_zero()) {
      try {
        Descriptor pd = descriptor(s, planned_desc_, operands);
        if (!std::string_view(pd.impl_info_str()).starts_with("ref")) return pd;
      } catch (const provider::Failure& e) {
        if (e.code() != ASHLAR_UNSUPPORTED) throw;
      }
    }
    return descriptor(s, any_weight(s), operands);
  }

  void bind_onednn(BindContext& context, Bound& b) const {
    const Shape& s = b.shape;
    const TensorView x = context.input(0), w = context.input(1);
    std::vector<memory::desc> operands;
    for (const PostOp& op : ops_) {
      if (op.input < 0) continue;
      const TensorView operand = context.input(op.input);
      Dims dims = operand.dims();
      while (dims.rank() < s.output.rank()) dims.insert(0, 1);
      operands.push_back(onednn_desc(dims, DType::kFloat32, operand.layout()));
    }
    const Descriptor pd = descriptor(s, operands);
    Pieces pieces;
    b.step.emplace(onednn_.plan("convolution", [&] { return Primitive(pd); }), pd.scratchpad_desc(), pieces);
    OneDnnCall& call = b.step->call;
    call.add(DNNL_ARG_SRC, pd.src_desc());
    call.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
    call.add(DNNL_ARG_DST, pd.dst_desc());
    if (has_bias_) call.add(DNNL_ARG_BIAS, pd.bias_desc());
    for (std::size_t i = 0, operand = 0; i < ops_.size(); ++i)
      if (ops_[i].input >= 0) call.add(DNNL_ARG_ATTR_MULTIPLE_POST_OP(static_cast<int>(i)) | DNNL_ARG_SRC_1, operands[operand++]);
    b.pointers.resize(3 + (has_bias_ ? 1u : 0u) + operands.size());

    const auto convert = [&](std::optional<Step>& step, std::uint64_t& copy, const memory::desc& from, const memory::desc& to,
                             const memory::desc& kept) {
      if (from == to) return;
      step.emplace(Step::reorder(onednn_, from, to, pieces));
      copy = pieces.add(kept.get_size());
    };
    if (x.layout() == kPlain && !layouts_agree(s.input))
      convert(b.reorder_x, b.x_copy, onednn_desc(s.input, DType::kFloat32), pd.src_desc(), pd.src_desc());
    if (output_layout_ == kPlain && !layouts_agree(s.output))
      convert(b.reorder_y, b.y_copy, pd.dst_desc(), onednn_desc(s.output, DType::kFloat32), pd.dst_desc());
    if (constant_) b.packed = onednn_packed(host_, onednn_, w, plain_weight(s), pd.weights_desc());
    else convert(b.reorder_w, b.w_copy, plain_weight(s), pd.weights_desc(), pd.weights_desc());
    context.set_workspace(pieces.size());
  }

  void run_onednn(const RunContext& context, Bound& b) const {
    auto* workspace = static_cast<std::byte*>(context.workspace());
    const void* x = context.input(0).raw();
    const void* w = b.packed;
    void* y = context.output(0).raw();
    if (b.reorder_x) {
      b.reorder_x->call.run(onednn_, {x, workspace + b.x_copy}, workspace + b.reorder_x->scratch);
      x = workspace + b.x_copy;
    }
    if (!w) w = context.input(1).raw();
    if (b.reorder_w) {
      b.reorder_w->call.run(onednn_, {w, workspace + b.w_copy}, workspace + b.reorder_w->scratch);
      w = workspace + b.w_copy;
    }
    std::size_t i = 0;
    b.pointers[i++] = x;
    b.pointers[i++] = w;
    b.pointers[i++] = b.reorder_y ? workspace + b.y_copy : y;
    if (has_bias_) b.pointers[i++] = context.input(2).raw();
    for (const PostOp& op : ops_)
      if (op.input >= 0) b.pointers[i++] = context.input(op.input).raw();
    b.step->call.run(onednn_, b.pointers, workspace + b.step->scratch);
    if (b.reorder_y) b.reorder_y->call.run(onednn_, {workspace + b.y_copy, y}, workspace + b.reorder_y->scratch);
  }

  /// The offset in an image's channel of the element that a tap reads for an output position; -1 outside.
  static std::int64_t source(const Window& w, const Dims& at, const Dims& tap, const std::int64_t* strides) {
    std::int64_t offset = 0;
    for (int d = 0; d < w.rank(); ++d) {
      std::int64_t in =
          at[d] * (kTransposed ? 1 : w.stride[d]) - (kTransposed ? -1 : 1) * w.begin[d] + (kTransposed ? -1 : 1) * tap[d] * w.dilation[d];
      if (kTransposed && (in < 0 || in % w.stride[d] != 0)) return -1;
      if (kTransposed) in /= w.stride[d];
      if (in < 0 || in >= w.input[d]) return -1;
      offset += in * strides[d];
    }
    return offset;
  }

  template <class T> void run_loops(const RunContext& context, const Bound& b) const {
    const Shape& s = b.shape;
    const TensorView input = context.input(0), output = context.output(0);
    const T* x = input.data<T>();
    const T* weight = context.input(1).data<T>();
    if constexpr (std::is_same_v<T, float>)
      if (!b.weight.empty()) weight = b.weight.data();
    const T* bias = has_bias_ ? context.input(2).data<T>() : nullptr;
    T* y = output.mutable_data<T>();
    const Dims from = strides_in(s.input, input.layout()), to = strides_in(s.output, output.layout());
    const std::int64_t taps = s.window.kernel.count(), channels = s.output[1], weight_step = taps * (kTransposed ? s.group_outputs : 1);
    const std::int64_t cost = estimate(s.window.output.count(), estimate(taps, s.group_inputs));
    context.parallel_for(s.batch * channels, grain_of(cost), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t n = i / channels, m = i % channels, g = m / s.group_outputs;
        const T* image = x + n * from[0] + g * s.group_inputs * from[1];
        const T* filter = weight + (kTransposed ? (g * s.group_inputs * s.group_outputs + m % s.group_outputs) : m * s.group_inputs) * taps;
        Dims at = Dims::filled(s.window.rank(), 0), tap = at;
        do {
          double sum = bias ? static_cast<double>(bias[m]) : 0;
          std::int64_t k = 0;
          do {
            const std::int64_t offset = source(s.window, at, tap, from.data() + 2);
            for (std::int64_t c = 0; offset >= 0 && c < s.group_inputs; ++c)
              sum += static_cast<double>(image[offset + c * from[1]]) * static_cast<double>(filter[k + c * weight_step]);
            ++k;
          } while (advance(tap, s.window.kernel));
          std::int64_t position = n * to[0] + m * to[1];
          for (int d = 0; d < at.rank(); ++d) position += at[d] * to[d + 2];
          if constexpr (std::is_same_v<T, float>)
            for (const PostOp& op : ops_)
              sum = applied(op, static_cast<float>(sum), op.input < 0 ? 0 : broadcast_element(context.input(op.input), n, m, at));
          y[position] = narrow<T>(sum);
        } while (advance(at, s.window.output));
      }
    });
  }

  const AshlarHost* host_;
  WindowAttributes attributes_;
  std::int64_t group_;
  bool has_bias_, small_ = false, fuses_ = false;
  OneDnn onednn_;
  Dims planned_input_, planned_weight_;
  std::optional<TensorView> constant_;  ///< the weights where they are constant and oneDNN takes them
  std::optional<OwnConvolution> own_;
  Settings settings_;
  int scale_ = -1;  ///< the input that multiplies the channels of input 0 first
  std::vector<PostOp> ops_;
  Layout output_layout_ = kPlain;
  memory::desc planned_desc_;  ///< of constant weights; zero while there are none
};

constexpr KernelEntry kKernels[] = {
    {"Conv", 1, provider::kLatest, &uniform<FloatTypes, 3>, &provider::make<Convolution<false>>},
    {"ConvTranspose", 1, provider::kLatest, &uniform<FloatTypes, 3>, &provider::make<Convolution<true>>},
};

}  // namespace

std::span<const KernelEntry> conv_kernels() { return kKernels; }

}  // namespace ashlar::cpu
