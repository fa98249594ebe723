// SPDX-License-Identifier: Apache-2.0
// Products with constant weights, and arithmetic per channel that goes into the weights.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "optimizer/editor.h"

namespace ashlar::optimizer {

/// A Conv, ConvTranspose, Gemm, MatMul or ashlar::Linear whose weights are a constant of a real dtype that nobody else reads.
struct Product {
  NodeIndex node = kNone;
  const Tensor* weights = nullptr;
  std::optional<std::vector<double>>
      bias;                              ///< one for each output channel, zeros where there is none; nothing where it is no such constant
  std::int64_t inputs = 0, outputs = 0;  ///< channels
  std::int64_t groups = 1;
  bool spatial = false;  ///< channels are the second axis, else the last
};

/// Whether a node is one of those operators.
bool is_product(const Editor& editor, NodeIndex n);

/// The product that the node is; nothing, and why, for another.
std::optional<Product> product_at(const Editor& editor, NodeIndex n, std::string& reason);

/// The elements of a constant that broadcasts along the channels of a product's output or input (`count` of them), without giving it a higher rank: one,
/// or one a channel. `value` is that output or input. Nothing, and why, for another constant.
std::optional<std::vector<double>> along_channels(const Editor& editor, const Product& product, const Tensor& constant, ValueId value,
                                                  std::int64_t count, std::string& reason);

/// Every element of a constant of a real dtype.
std::optional<std::vector<double>> real_elements(const Tensor& constant);
/// A tensor of a real dtype with those elements, rounded to nearest even.
Tensor real_tensor(DType dtype, const Shape& shape, std::span<const double> elements);
bool all_finite(std::span<const double> numbers);

/// output * factor + shift, as a patch that makes the product write `last`'s output in place of both (`last` may be the product itself). `factor` and
/// `shift` have one element or one a channel; either may be empty. Without a bias that is known, both must be.
Patch scaled_after(Editor& editor, const std::string& rule, const Product& product, NodeIndex last, std::vector<double> factor,
                   std::vector<double> shift);
/// input * factor + shift likewise: the product reads `input` in place of what it reads now. `first` is the node that goes. A shift asks for a product
/// with a bias, and for no padding.
Patch scaled_before(Editor& editor, const std::string& rule, const Product& product, NodeIndex first, ValueId input,
                    std::vector<double> factor, std::vector<double> shift);

}  // namespace ashlar::optimizer
