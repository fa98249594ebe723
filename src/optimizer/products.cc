// SPDX-License-Identifier: Apache-2.0
#include "optimizer/products.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/reals.h"

namespace ashlar::optimizer {
namespace {

bool is_linear(const Node& node) { return node.domain == "ashlar" && node.op_type == "Linear"; }

std::size_t bytes_of(DType dtype) { return static_cast<std::size_t>(bit_width(dtype)) / 8; }

/// How many graphs of a model have the constant: bodies have their own value of what they share.
int graphs_with(const Graph& graph, const void* data) {
  int count =
      std::any_of(graph.values.begin(), graph.values.end(), [data](const graph::Value& v) { return v.constant.raw() == data; }) ? 1 : 0;
  for (const Node& node : graph.nodes)
    if (node.op_type == "If" || node.op_type == "Loop" || node.op_type == "Scan" || node.op_type == "SequenceMap")
      for (const auto& [name, body] : graph::bodies(node)) count += graphs_with(*body, data);
  return count;
}

/// The weights seen as [groups, others, channels, inner]: the channel is group * channels + channel.
struct View {
  std::int64_t groups = 1, others = 1, channels = 1, inner = 1;
};

std::int64_t product_of(const Shape& shape, std::size_t from) {
  return std::accumulate(shape.begin() + from, shape.end(), std::int64_t{1}, std::multiplies<>());
}

bool transposed(const Node& node) {
  const auto* t = node.find_as<std::int64_t>("transB");
  return t && *t;
}

View outputs_of(const Node& node, const Product& p) {
  const Shape& s = p.weights->shape();
  if (node.op_type == "ConvTranspose") return {p.groups, s[0] / p.groups, s[1], product_of(s, 2)};
  if (p.spatial || transposed(node)) return {s[0], 1, 1, product_of(s, 1)};
  return {1, s[0], s[1], 1};
}

View inputs_of(const Node& node, const Product& p) {
  const Shape& s = p.weights->shape();
  if (node.op_type == "Conv") return {p.groups, s[0] / p.groups, s[1], product_of(s, 2)};
  if (p.spatial || !transposed(node)) return {s[0], 1, 1, product_of(s, 1)};
  return {1, s[0], s[1], 1};
}

template <class Visit> void each_run(const View& v, const Visit& visit) {
  std::int64_t at = 0;
  for (std::int64_t g = 0; g < v.groups; ++g)
    for (std::int64_t o = 0; o < v.others; ++o)
      for (std::int64_t c = 0; c < v.channels; ++c, at += v.inner) visit(g * v.channels + c, at);
}

double at_channel(const std::vector<double>& numbers, std::int64_t c) {
  return numbers[numbers.size() == 1 ? 0 : static_cast<std::size_t>(c)];
}

Tensor scaled(const Tensor& weights, const View& view, const std::vector<double>& factor) {
  const DType dtype = weights.dtype();
  const std::size_t bytes = bytes_of(dtype);
  Tensor out = weights.clone();
  char* data = static_cast<char*>(out.mutable_raw());
  each_run(view, [&](std::int64_t channel, std::int64_t at) {
    const double f = at_channel(factor, channel);
    if (dtype == DType::kFloat32) {
      float* run = out.mutable_data<float>() + at;
      for (std::int64_t i = 0; i < view.inner; ++i) run[i] = static_cast<float>(run[i] * f);
      return;
    }
    for (std::int64_t i = at; i < at + view.inner; ++i) {
      char* element = data + static_cast<std::size_t>(i) * bytes;
      core::store_real(dtype, element, core::load_real(dtype, element) * f);
    }
  });
  return out;
}

/// What computing constants takes is folding's time.
class FoldingTime {
 public:
  explicit FoldingTime(Editor& editor) : spent_(editor.model().report.folding_nanoseconds) {}
  ~FoldingTime() { spent_ += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_).count(); }
  FoldingTime(const FoldingTime&) = delete;
  FoldingTime& operator=(const FoldingTime&) = delete;

 private:
  std::int64_t& spent_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double real_attribute(const Node& node, const char* name, double otherwise) {
  const auto* v = node.find_as<float>(name);
  return v ? static_cast<double>(*v) : otherwise;
}

bool any(const std::vector<double>& numbers) {
  return std::any_of(numbers.begin(), numbers.end(), [](double d) { return d != 0; });
}

/// Writes the product anew with those weights, and with that bias or, without one, its own.
void write(Editor& editor, Patch& patch, const Product& p, ValueId input, ValueId output, ValueId weights,
           const std::optional<std::vector<double>>& bias) {
  const Node& node = editor.node(p.node);
  Attributes attributes = node.attributes;
  if (node.op_type == "Gemm") attributes["alpha"] = 1.0f;
  if (node.op_type == "Gemm" && bias) attributes["beta"] = 1.0f;
  std::vector<ValueId> inputs = {input, weights, kNone};
  if (!bias && node.inputs.size() > 2) inputs[2] = node.inputs[2];
  if (bias && (any(*bias) || (node.inputs.size() > 2 && node.inputs[2] != kNone)))
    inputs[2] = patch.constant("bias", real_tensor(p.weights->dtype(), {p.outputs}, *bias));
  if (node.op_type == "MatMul" && inputs[2] != kNone) {
    const ValueId y = patch.add_one("MatMul", {input, weights}, std::move(attributes));
    patch.add_writing("Add", {y, inputs[2]}, {output});
    return;
  }
  patch.add_writing(node.op_name(), std::move(inputs), {output}, std::move(attributes));
}

}  // namespace

std::optional<std::vector<double>> real_elements(const Tensor& constant) {
  if (!core::is_real(constant.dtype())) return std::nullopt;
  std::vector<double> out(static_cast<std::size_t>(constant.element_count()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = core::load_real(constant.dtype(), static_cast<const char*>(constant.raw()) + i * bytes_of(constant.dtype()));
  return out;
}

Tensor real_tensor(DType dtype, const Shape& shape, std::span<const double> elements) {
  Tensor out = Tensor::zeros(dtype, shape);
  char* to = static_cast<char*>(out.mutable_raw());
  for (std::size_t i = 0; i < elements.size(); ++i) core::store_real(dtype, to + i * bytes_of(dtype), elements[i]);
  return out;
}

bool all_finite(std::span<const double> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double d) { return std::isfinite(d); });
}

bool is_product(const Editor& editor, NodeIndex n) {
  if (n == kNone || editor.dead(n)) return false;
  const Node& node = editor.node(n);
  if (is_linear(node)) return true;
  return node.domain.empty() &&
         (node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type == "Gemm" || node.op_type == "MatMul");
}

std::optional<Product> product_at(const Editor& editor, NodeIndex n, std::string& reason) {
  if (!is_product(editor, n)) return std::nullopt;
  const Node& node = editor.node(n);
  const auto fail = [&](std::string why) {
    reason = std::move(why);
    return std::nullopt;
  };
  const ValueId weights = node.inputs.size() > 1 ? node.inputs[1] : kNone;
  const Tensor* tensor = editor.constant(weights);
  if (!tensor) return fail("the weights of " + editor.id(n) + " are no constant");
  if (!core::is_real(tensor->dtype())) return fail("the weights of " + editor.id(n) + " have no dtype of real numbers");
  if (editor.captured_from(weights) != kNone) return fail("the weights of " + editor.id(n) + " stand outside of this body");
  if (!editor.single_use(weights)) return fail(editor.consumers(weights, {n}));
  const Editor* root = &editor;
  while (root->outer()) root = root->outer();
  if (tensor->raw() && graphs_with(root->graph(), tensor->raw()) > 1)
    return fail("the weights of " + editor.id(n) + " are those of another graph too");
  Product p;
  p.node = n;
  p.weights = tensor;
  p.spatial = node.op_type.starts_with("Conv");
  const Shape& shape = tensor->shape();
  if (p.spatial ? shape.rank() < 3 : shape.rank() != 2)
    return fail("the weights of " + editor.id(n) + " have rank " + std::to_string(shape.rank()));
  if (p.spatial) {
    const auto* group = node.find_as<std::int64_t>("group");
    p.groups = group ? *group : 1;
    if (p.groups < 1 || shape[0] % p.groups != 0) return fail("the groups of " + editor.id(n) + " do not divide its channels");
    const bool transpose = node.op_type == "ConvTranspose";
    p.outputs = transpose ? shape[1] * p.groups : shape[0];
    p.inputs = transpose ? shape[0] : shape[1] * p.groups;
  } else {
    p.inputs = transposed(node) ? shape[1] : shape[0];
    p.outputs = transposed(node) ? shape[0] : shape[1];
  }
  const double beta = node.op_type == "Gemm" ? real_attribute(node, "beta", 1) : 1;
  if (node.inputs.size() < 3 || node.inputs[2] == kNone) {
    p.bias.emplace(static_cast<std::size_t>(p.outputs), 0.0);
  } else if (const Tensor* bias = editor.constant(node.inputs[2]); bias && core::is_real(bias->dtype())) {
    const Shape& s = bias->shape();
    const bool one = bias->element_count() == 1;
    if (one || (bias->element_count() == p.outputs && s[s.size() - 1] == p.outputs)) {
      p.bias = real_elements(*bias);
      if (one) p.bias->assign(static_cast<std::size_t>(p.outputs), p.bias->front());
      for (double& b : *p.bias) b *= beta;
    }
  }
  return p;
}

std::optional<std::vector<double>> along_channels(const Editor& editor, const Product& product, const Tensor& constant, ValueId value,
                                                  std::int64_t count, std::string& reason) {
  const auto fail = [&](std::string why) {
    reason = std::move(why);
    return std::nullopt;
  };
  const int rank = constant.shape().rank();
  const auto known = product.spatial ? std::optional(product.weights->shape().size()) : editor.rank(value);
  if (rank > 1 && !known) return fail("the rank of " + editor.value(value).name + " is not known");
  if (known && rank > static_cast<int>(*known)) return fail("the constant has a higher rank than " + editor.value(value).name);
  auto elements = real_elements(constant);
  if (!elements) return fail("the constant has no dtype of real numbers");
  if (!all_finite(*elements)) return fail("the constant has an element that is not finite");
  if (elements->size() == 1) return elements;
  const int axis = product.spatial ? rank - static_cast<int>(*known) + 1 : rank - 1;
  if (constant.element_count() != count || axis < 0 || constant.shape()[static_cast<std::size_t>(axis)] != count)
    return fail("the constant's shape " + constant.shape().to_string() + " is not one number or one for each of " + std::to_string(count) +
                " channels");
  return elements;
}

Patch scaled_after(Editor& editor, const std::string& rule, const Product& product, NodeIndex last, std::vector<double> factor,
                   std::vector<double> shift) {
  const FoldingTime time(editor);
  const Node& node = editor.node(product.node);
  Patch patch(editor, rule);
  patch.remove(product.node);
  if (last != product.node) patch.remove(last);
  const double alpha = node.op_type == "Gemm" ? real_attribute(node, "alpha", 1) : 1;
  std::optional<std::vector<double>> bias = product.bias;
  for (std::size_t c = 0; bias && c < bias->size(); ++c) {
    if (!factor.empty()) (*bias)[c] *= at_channel(factor, static_cast<std::int64_t>(c));
    if (!shift.empty()) (*bias)[c] += at_channel(shift, static_cast<std::int64_t>(c));
  }
  if (factor.empty()) factor = {1};
  ValueId weights = node.inputs[1];
  for (double& f : factor) f *= alpha;
  if (std::any_of(factor.begin(), factor.end(), [](double f) { return f != 1; }))
    weights = patch.constant("weights", scaled(*product.weights, outputs_of(node, product), factor));
  write(editor, patch, product, node.inputs[0], editor.node(last).outputs[0], weights, bias);
  return patch;
}

Patch scaled_before(Editor& editor, const std::string& rule, const Product& product, NodeIndex first, ValueId input,
                    std::vector<double> factor, std::vector<double> shift) {
  const FoldingTime time(editor);
  const Node& node = editor.node(product.node);
  Patch patch(editor, rule);
  patch.remove(first);
  patch.remove(product.node);
  const double alpha = node.op_type == "Gemm" ? real_attribute(node, "alpha", 1) : 1;
  std::optional<std::vector<double>> bias;
  ValueId weights = node.inputs[1];
  if (any(shift)) {
    bias = product.bias;
    // The sum of each output's weights times what is added to their inputs.
    const View in = inputs_of(node, product), out = outputs_of(node, product);
    std::vector<std::size_t> target(static_cast<std::size_t>(product.weights->element_count()));
    each_run(out, [&](std::int64_t channel, std::int64_t at) {
      for (std::int64_t i = at; i < at + out.inner; ++i) target[static_cast<std::size_t>(i)] = static_cast<std::size_t>(channel);
    });
    const DType dtype = product.weights->dtype();
    const char* from = static_cast<const char*>(product.weights->raw());
    each_run(in, [&](std::int64_t channel, std::int64_t at) {
      for (std::int64_t i = at; i < at + in.inner; ++i)
        (*bias)[target[static_cast<std::size_t>(i)]] +=
            alpha * at_channel(shift, channel) * core::load_real(dtype, from + static_cast<std::size_t>(i) * bytes_of(dtype));
    });
  }
  if (factor.empty()) factor = {1};
  for (double& f : factor) f *= alpha;
  if (std::any_of(factor.begin(), factor.end(), [](double f) { return f != 1; }))
    weights = patch.constant("weights", scaled(*product.weights, inputs_of(node, product), factor));
  write(editor, patch, product, input, editor.node(product.node).outputs[0], weights, bias);
  return patch;
}

}  // namespace ashlar::optimizer
