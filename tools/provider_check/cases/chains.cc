// SPDX-License-Identifier: Apache-2.0
// Chains of operators such as models have: what a provider fuses, lays out in another order, stores as a view or computes in place. Any
// value on the way may be read again later or be an output of the model.
#include <algorithm>

#include "rows.h"
#include "spatial.h"

namespace ashlar::comparison {
namespace {

using enum DType;
using Ints = std::vector<std::int64_t>;

/// A value of the chain and its shape.
struct Link {
  std::string name;
  Extents shape;
};

void maybe_expose(Draw& d, const Link& link) {
  if (d.rarely(6)) d.expose(link.name);
}

std::string scalar(Draw& d, float value) { return d.constant(Tensor::scalar<float>(value)); }

std::string activation(Draw& d, const std::string& x) {
  switch (d.below(13)) {
    case 0: return d.apply("Relu", {x});
    case 1: return d.apply("Mul", d.flip() ? Names{x, d.apply("Sigmoid", {x})} : Names{d.apply("Sigmoid", {x}), x});
    case 2:
      if (d.flip()) return d.apply("Clip", {x, scalar(d, 0), scalar(d, 6)});
      return d.apply("Clip", {x, d.operand(kFloat32, {}, {-1, 0}), d.flip() ? d.operand(kFloat32, {}, {1, 6}) : ""});
    case 3: return d.apply("HardSwish", {x});
    case 4: return d.apply("Mul", {x, d.apply("HardSigmoid", {x}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}})});
    case 5: return d.apply("LeakyRelu", {x}, {{"alpha", 0.1f}});
    case 6: return d.apply("Gelu", {x}, {{"approximate", d.flip() ? "tanh" : "none"}});
    case 7: return d.apply("Tanh", {x});
    case 8: return d.apply("Sigmoid", {x});
    case 9: return d.apply("Elu", {x}, {{"alpha", 0.5f}});
    case 10: return d.apply("Swish", {x}, {{"alpha", d.pick({1.0f, 1.702f})}});
    case 11: return d.apply("Mish", {x});
    default: {  // gelu, spelt out
      const std::string e = d.apply("Erf", {d.apply("Div", {x, scalar(d, 1.41421356f)})});
      return d.apply("Mul", {d.apply("Mul", {x, d.apply("Add", {e, scalar(d, 1)})}), scalar(d, 0.5f)});
    }
  }
}

/// One element-wise step, with an operand of one of the shapes that fusing distinguishes.
void elementwise_step(Draw& d, Link& link, const std::vector<Link>& earlier) {
  const std::uint32_t form = d.below(6);
  if (form <= 1) {
    link.name = activation(d, link.name);
    return;
  }
  std::string other;
  Extents shape = link.shape;
  if (form == 2) {
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (i != 1 || shape.size() < 3) shape[i] = i + 1 == shape.size() && shape.size() < 3 ? shape[i] : Extent{1};
    if (shape.size() > 2 && d.flip()) shape.erase(shape.begin());
  } else if (form == 3) {
    shape = d.thinned(shape);
  } else if (form == 4) {
    const auto same = std::find_if(earlier.rbegin(), earlier.rend(), [&](const Link& e) { return sizes(e.shape) == sizes(shape); });
    if (same != earlier.rend()) other = same->name;
  }
  if (other.empty()) other = d.operand(kFloat32, shape);
  Names operands = {link.name, other};
  if (d.flip()) std::swap(operands[0], operands[1]);
  link.name = d.apply(d.pick({"Add", "Mul", "Add", "Sub"}), operands);
}

void batch_norm(Draw& d, Link& link) {
  Names inputs = {link.name};
  for (const Fill& fill : {Fill{0.5, 1.5}, Fill{-1, 1}, Fill{-1, 1}, Fill{0.5, 2}})
    inputs.push_back(d.operand(kFloat32, {link.shape[1]}, fill));
  link.name = d.apply("BatchNormalization", inputs);
}

/// What the image became is read from the shape that a window of kernel 1 or 3, padded to keep it, leaves as it is.
void conv_step(Draw& d, Link& link) {
  const std::int64_t in = link.shape[1].size, k = d.pick<std::int64_t>({3, 1}), each = d.pick<std::int64_t>({1, 3, 8, 16, 17, 32});
  const bool depthwise = d.rarely(3);
  const std::int64_t out = depthwise ? in : each;
  const Ints kernel(link.shape.size() - 2, k), pads(2 * kernel.size(), k / 2);
  Extents weights = {{out}, {depthwise ? 1 : in}};
  for (const std::int64_t size : kernel) weights.push_back({size});
  Names inputs = {link.name, d.operand(kFloat32, weights, {-0.5, 0.5})};
  if (d.flip()) inputs.push_back(d.operand(kFloat32, {{out}}));
  Attributes attributes = {{"kernel_shape", kernel}, {"pads", pads}};
  if (depthwise) attributes.push_back({"group", in});
  link = {d.apply("Conv", inputs, attributes), link.shape};
  link.shape[1] = {out};
}

void pool_step(Draw& d, Link& link) {
  const Ints kernel(link.shape.size() - 2, 3), pads(2 * kernel.size(), 1);
  link.name = d.apply(d.flip() ? "AveragePool" : "MaxPool", {link.name}, {{"kernel_shape", kernel}, {"pads", pads}});
}

/// One step between convolutions that keeps [N, C, spatial...].
void image_step(Draw& d, Link& link, const std::vector<Link>& earlier) {
  switch (d.below(10)) {
    case 0: return conv_step(d, link);
    case 1: return elementwise_step(d, link, earlier);
    case 2: return batch_norm(d, link);
    case 3: return pool_step(d, link);
    case 4: {
      std::vector<Link> parts = {link};
      for (const Link& e : earlier)
        if (e.shape.size() == link.shape.size() && d.flip()) parts.push_back(e);
      std::int64_t channels = 0;
      Names names;
      for (const Link& part : parts) {
        names.push_back(part.name);
        channels += part.shape[1].size;
      }
      link.name = d.apply("Concat", names, {{"axis", 1}});
      link.shape[1] = {channels};
      return;
    }
    case 5: {
      const std::int64_t c = link.shape[1].size, first = d.between(1, c);
      const Names parts = d.apply_all("Split", {link.name, d.constant(Ints{first, c - first})}, 2, {{"axis", 1}});
      link = {parts[0], link.shape};
      link.shape[1] = {first};
      if (d.flip()) d.expose(parts[1]);
      return;
    }
    case 6: {  // squeeze and excite
      const std::string mean = d.apply("GlobalAveragePool", {link.name});
      Link gate = {mean, link.shape};
      for (std::size_t i = 2; i < gate.shape.size(); ++i) gate.shape[i] = {1};
      Extents weights = {link.shape[1], link.shape[1]};
      weights.resize(link.shape.size());
      gate.name = d.apply("Conv", {gate.name, d.operand(kFloat32, weights, {-0.5, 0.5})});
      link.name = d.apply("Mul", {link.name, d.apply(d.flip() ? "HardSigmoid" : "Sigmoid", {gate.name})});
      return;
    }
    case 7: {
      const auto rank = static_cast<std::int64_t>(link.shape.size());
      Ints there = {0}, back = {0, rank - 1};
      for (std::int64_t i = 2; i < rank; ++i) there.push_back(i), back.push_back(i - 1);
      there.push_back(1);
      const std::string last = d.apply("Transpose", {link.name}, {{"perm", there}});
      const std::string y = d.flip() ? d.apply("Softmax", {last}, {{"axis", -1}}) : activation(d, last);
      link.name = d.apply("Transpose", {y}, {{"perm", back}});
      return;
    }
    case 8: {
      Ints axes;
      for (std::size_t i = 2; i < link.shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
      const std::string mean = d.apply(d.flip() ? "ReduceMean" : "ReduceMax", {link.name, d.constant(axes)});
      link.name = d.apply("Sub", {link.name, mean});
      return;
    }
    default: link.name = d.apply("Softmax", {link.name}, {{"axis", d.flip() ? 1 : -1}}); return;
  }
}

void conv_chain(Draw& d, const Row&) {
  Link link = {"", draw_image(d, {d.pick<std::int64_t>({1, 3, 4, 8, 16, 17, 32})}, 3, 17)};
  link.name = d.input(kFloat32, link.shape);
  std::vector<Link> earlier = {link};
  const std::int64_t steps = d.between(1, 7);
  conv_step(d, link);
  for (std::int64_t i = 0; i < steps; ++i) {
    maybe_expose(d, link);
    earlier.push_back(link);
    image_step(d, link, earlier);
  }
  switch (d.below(5)) {
    case 0: break;
    case 1: link.name = d.apply("Flatten", {d.apply("GlobalAveragePool", {link.name})}); break;
    case 2: link.name = d.apply("Flatten", {link.name}); break;
    case 3: link.name = d.apply("Reshape", {link.name, d.indices({0, 0, -1})}); break;
    default: link.name = d.apply("Shape", {link.name}); break;
  }
}

/// Two convolutions of the kinds that fast kernels are made for, on images and channels that are worth it, with what follows them. A Clip behind the
/// second hides how large its sums are, so that more is allowed than for one.
void fast_conv_chain(Draw& d, const Row&) {
  const std::int64_t channels = d.pick<std::int64_t>({16, 17, 32, 40, 3});
  Link link = {"", {{d.between(1, 2)}, {channels}, d.extent(21, 5), d.extent(21, 5)}};
  link.name = d.input(kFloat32, link.shape);
  for (int i = 0; i < 2; ++i) {
    const std::int64_t in = link.shape[1].size, taps = d.pick<std::int64_t>({3, 1, 5, 3, 7}), stride = d.pick<std::int64_t>({1, 1, 2});
    const std::int64_t k = taps <= std::min(link.shape[2].size, link.shape[3].size) ? taps : 1;
    const bool depthwise = d.rarely(3);
    const std::int64_t out = depthwise ? in : d.pick<std::int64_t>({16, 19, 33, 64});
    Ints pads(4);
    for (std::int64_t& p : pads) p = d.pick<std::int64_t>({k / 2, k / 2, 0, 1}) * (k > 1);
    Extents shape = {link.shape[0], {out}};
    for (std::size_t axis = 2; axis < 4; ++axis) {
      const std::int64_t left = link.shape[axis].size + pads[axis - 2] + pads[axis] - k;
      shape.push_back(derived(left / stride + 1, {link.shape[axis]}));
    }
    const std::int64_t each = depthwise ? 1 : in;
    Names inputs = {link.name, d.constant(d.random(kFloat32, {out, each, k, k}, {-0.5, 0.5}, d.below(1000), 0))};
    if (d.flip()) inputs.push_back(d.operand(kFloat32, {{out}}));
    Attributes attributes = {{"kernel_shape", Ints{k, k}}, {"pads", pads}, {"strides", Ints{stride, stride}}};
    if (depthwise) attributes.push_back({"group", in});
    link = {d.apply("Conv", inputs, attributes), shape};
    for (std::int64_t steps = d.between(0, 2); steps > 0; --steps) elementwise_step(d, link, {});
  }
}

/// A window of any form on each side of an activation: shapes change from step to step.
void window_chain(Draw& d, const Row&) {
  const Extents image = draw_image(d, {d.pick<std::int64_t>({1, 3, 8, 17, 32})}, 3, 33);
  std::int64_t channels = 0;
  std::string x = draw_conv(d, d.flip() ? "ConvTranspose" : "Conv", d.input(kFloat32, image), image, kFloat32, channels);
  if (d.flip()) x = activation(d, x);
  if (d.flip()) d.expose(x);
  const std::string y = d.apply(d.pick({"MaxPool", "AveragePool"}), {x}, {{"kernel_shape", Ints(image.size() - 2, d.between(1, 2))}});
  if (d.flip())
    d.apply("Resize", {y, "", d.constant(d.random(kFloat32, {static_cast<std::int64_t>(image.size())}, {1, 1}, 0, 0))},
            {{"mode", "linear"}});
  else d.apply("GlobalMaxPool", {y});
}

std::string layer_norm(Draw& d, const Link& link) {
  const Extents width = {link.shape.back()};
  const std::string scale = d.operand(kFloat32, width), shift = d.operand(kFloat32, width);
  if (d.flip()) return d.apply("LayerNormalization", {link.name, scale, shift}, {{"epsilon", 0.01f}});
  const std::string axes = d.constant(Ints{-1});
  const std::string centred = d.apply("Sub", {link.name, d.apply("ReduceMean", {link.name, axes})});
  const std::string variance = d.apply("ReduceMean", {d.apply("Pow", {centred, scalar(d, 2)}), axes});
  const std::string deviation = d.apply("Sqrt", {d.apply("Add", {variance, scalar(d, 0.01f)})});
  return d.apply("Add", {d.apply("Mul", {d.apply("Div", {centred, deviation}), scale}), shift});
}

void matmul_chain(Draw& d, const Row&) {
  const Extent width = {d.extent(65).size};
  d.set_limit(std::min<std::int64_t>(d.limit() / 64, 2048));
  Link link = {"", d.shape(1, 2)};
  link.shape.push_back(width);
  link.name = d.input(kFloat32, link.shape);
  std::vector<Link> earlier = {link};
  for (std::int64_t i = d.between(1, 4); i > 0; --i) {
    const Extent next = d.flip() ? width : Extent{d.extent(65).size};
    std::string weights;
    if (d.rarely(4)) weights = d.apply("Transpose", {d.operand(kFloat32, {next, link.shape.back()}, {-0.4, 0.4})});
    else weights = d.operand(kFloat32, {link.shape.back(), next}, {-0.4, 0.4});
    if (link.shape.size() == 2 && d.flip()) link.name = d.apply("Gemm", {link.name, weights, d.flip() ? d.operand(kFloat32, {next}) : ""});
    else link.name = d.apply("MatMul", {link.name, weights});
    link.shape.back() = next;
    maybe_expose(d, link);
    for (std::int64_t more = d.between(0, 3); more > 0; --more) {
      elementwise_step(d, link, earlier);
      maybe_expose(d, link);
    }
    if (d.rarely(3)) link.name = layer_norm(d, link);
    earlier.push_back(link);
  }
}

void attention_chain(Draw& d, const Row&) {
  const std::int64_t heads = d.pick<std::int64_t>({1, 2, 3}), size = d.pick<std::int64_t>({4, 8, 16});
  const Extent batch = d.extent(3), length = d.extent(33), width = {heads * size};
  const std::string x = d.input(kFloat32, {batch, length, width});
  const auto head = [&](const Ints& perm) {
    std::string y = d.apply("MatMul", {x, d.operand(kFloat32, {width, width}, {-0.3, 0.3})});
    if (d.flip()) y = d.apply("Add", {y, d.operand(kFloat32, {width})});
    y = d.apply("Reshape", {y, d.constant(Ints{0, 0, heads, size})}, {});
    return d.apply("Transpose", {y}, {{"perm", perm}});
  };
  const bool once = d.flip();
  const std::string q = head({0, 2, 1, 3});
  const std::string k = once ? head({0, 2, 3, 1}) : d.apply("Transpose", {head({0, 2, 1, 3})}, {{"perm", Ints{0, 1, 3, 2}}});
  const std::string v = head({0, 2, 1, 3});
  std::string scores = d.apply(d.flip() ? "Div" : "Mul", {d.apply("MatMul", {q, k}), scalar(d, 0.7f)});
  if (d.flip()) scores = d.apply("Add", {scores, d.operand(kFloat32, {batch, {1}, {1}, length}, {-4, 0})});
  if (d.rarely(4)) scores = d.apply("Where", {d.operand(kBool, {length, length}), scores, scalar(d, -1e4f)});
  const std::string weights = d.apply("Softmax", {scores}, {{"axis", d.flip() ? 3 : -1}});
  if (d.rarely(4)) d.expose(weights);
  const std::string mixed = d.apply("Transpose", {d.apply("MatMul", {weights, v})}, {{"perm", Ints{0, 2, 1, 3}}});
  const std::string flat = d.apply("Reshape", {mixed, d.constant(Ints{0, 0, heads * size})});
  Link link = {d.apply("MatMul", {flat, d.operand(kFloat32, {width, width}, {-0.3, 0.3})}), {batch, length, width}};
  if (d.flip()) link.name = d.apply("Add", {link.name, x});
  if (d.flip()) link.name = layer_norm(d, link);
}

/// Views of views with work in place between them; earlier values are read again after later ones were written.
void view_chain(Draw& d, const Row&) {
  const DType type = d.pick({kFloat32, kFloat32, kInt64, kInt32});
  d.set_limit(std::min<std::int64_t>(d.limit(), 1 << 12));
  Link link = {"", d.shape(1, 4)};
  link.name = d.input(type, link.shape);
  std::vector<Link> all = {link};
  const auto rank = [&] { return static_cast<std::int64_t>(link.shape.size()); };
  for (std::int64_t i = d.between(1, 8); i > 0; --i) {
    if (d.rarely(3)) link = d.pick_of(all);
    switch (d.below(9)) {
      case 0: link.name = d.apply(d.pick({"Neg", "Abs", "Identity"}), {link.name}); break;
      case 1: {
        const Link& other = d.pick_of(all);
        const bool same = sizes(other.shape) == sizes(link.shape);
        link.name = d.apply(d.pick({"Add", "Sub"}), {link.name, same ? other.name : d.operand(type, d.thinned(link.shape))});
        break;
      }
      case 2: {
        const std::int64_t axis = d.between(0, rank());
        link.name = d.apply("Unsqueeze", {link.name, d.indices({axis})});
        link.shape.insert(link.shape.begin() + axis, Extent{1});
        break;
      }
      case 3: {
        link.name = d.apply("Reshape", {link.name, d.indices({-1})});
        link.shape = {derived(count(link.shape), link.shape)};
        break;
      }
      case 4: {
        if (link.shape.empty()) break;
        const auto axis = static_cast<std::size_t>(d.between(0, rank() - 1));
        const std::int64_t half = link.shape[axis].size / 2;
        const Names parts = d.apply_all("Split", {link.name, d.indices({half, link.shape[axis].size - half})}, 2,
                                        {{"axis", static_cast<std::int64_t>(axis)}});
        Link rest = {parts[1], link.shape};
        rest.shape[axis] = derived(link.shape[axis].size - half, {link.shape[axis]});
        all.push_back(rest);
        link.name = parts[0];
        link.shape[axis] = derived(half, {link.shape[axis]});
        break;
      }
      case 5: {
        if (link.shape.empty()) break;
        const auto axis = static_cast<std::size_t>(d.between(0, rank() - 1));
        const Extent part = derived((link.shape[axis].size + 1) / 2, {link.shape[axis]});
        link.name = d.apply("Slice", {link.name, d.indices({0}), d.indices({part.size}), d.indices({static_cast<std::int64_t>(axis)})});
        link.shape[axis] = part;
        break;
      }
      case 6: {
        if (link.shape.empty()) break;
        const auto axis = static_cast<std::size_t>(d.between(0, rank() - 1));
        Names parts = {link.name, d.flip() ? link.name : d.operand(type, link.shape)};
        if (d.flip()) std::swap(parts[0], parts[1]);
        link.name = d.apply("Concat", parts, {{"axis", static_cast<std::int64_t>(axis)}});
        link.shape[axis] = derived(2 * link.shape[axis].size, {link.shape[axis]});
        break;
      }
      case 7: {
        const Ints perm = d.axes(rank(), rank());
        link.name = d.apply("Transpose", {link.name}, {{"perm", perm}});
        const Extents old = link.shape;
        for (std::size_t k = 0; k < perm.size(); ++k) link.shape[k] = old[static_cast<std::size_t>(perm[k])];
        break;
      }
      default: {
        if (link.shape.empty()) break;
        link.name = d.apply("Gather", {link.name, d.given(Tensor::scalar<std::int64_t>(-1))}, {{"axis", 0}});
        if (link.shape[0].size == 0) return;
        link.shape.erase(link.shape.begin());
      }
    }
    all.push_back(link);
    maybe_expose(d, link);
  }
}

/// Element-wise operators alone: long runs that a provider may compute tile by tile, in place.
void elementwise_chain(Draw& d, const Row&) {
  Link link = {"", d.shape(0, 4)};
  link.name = d.input(kFloat32, link.shape, {-3, 3});
  std::vector<Link> earlier = {link};
  for (std::int64_t i = d.between(1, 8); i > 0; --i) {
    elementwise_step(d, link, earlier);
    if (d.flip()) earlier.push_back(link);
    maybe_expose(d, link);
  }
}

constexpr Row kRows[] = {
    {"conv_chain", conv_chain, Types::kFloat32, {}, "", 20, 6},
    {"fast_conv_chain", fast_conv_chain, Types::kFloat32, {}, "", 60, 6},
    {"window_chain", window_chain, Types::kFloat32, {}, "", 20, 6},
    {"matmul_chain", matmul_chain, Types::kFloat32, {}, "", 20, 6},
    {"attention_chain", attention_chain, Types::kFloat32, {}, "", 20, 6},
    {"view_chain", view_chain, Types::kFloat32, {}, "", 1, 6},
    {"elementwise_chain", elementwise_chain, Types::kFloat32, {}, "", 10, 6},
};

}  // namespace

std::span<const Row> chain_rows() { return kRows; }

}  // namespace ashlar::comparison
