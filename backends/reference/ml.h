// SPDX-License-Identifier: Apache-2.0
// What the classical models of ai.onnx.ml share: feature matrices, class labels, and the transforms of their scores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "packed.h"

namespace ashlar::reference {

using MlTypes = Types<float, double, std::int64_t, std::int32_t>;

/// A [N,C] or [C] tensor of features, as doubles.
struct Matrix {
  explicit Matrix(const TensorView& view) : rows(rows_of(view)), columns(view.dim(view.rank() - 1)) {
    dispatch<Join<MlTypes, Types<Float16>>>(view.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < view.count(); ++i) values.push_back(static_cast<double>(static_cast<Compute<T>>(view.data<T>()[i])));
    });
  }
  static std::int64_t rows_of(const TensorView& view) {
    provider::check(view.rank() == 1 || view.rank() == 2, "the features have the shape ", view.dims(), ", not [N,C] or [C]");
    return view.rank() == 1 ? 1 : view.dim(0);
  }
  const double* row(std::int64_t i) const { return values.data() + i * columns; }
  std::int64_t rows, columns;
  std::vector<double> values;
};

/// Refuses features of a dtype the models do not take.
inline provider::Verdict features_verdict(const provider::NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(contains<MlTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " of ", provider::dtype_name(dtype), " has no kernel");
  return provider::accept();
}

enum class PostTransform { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };

inline PostTransform post_transform_of(const std::string& name) {
  if (name == "SOFTMAX") return PostTransform::kSoftmax;
  if (name == "LOGISTIC") return PostTransform::kLogistic;
  if (name == "SOFTMAX_ZERO") return PostTransform::kSoftmaxZero;
  if (name == "PROBIT") return PostTransform::kProbit;
  provider::check(name == "NONE", "there is no post_transform ", name);
  return PostTransform::kNone;
}

inline double logistic(double x) { return 1 / (1 + std::exp(-x)); }

/// The inverse of the normal distribution function, with Winitzki's approximation of the inverse error function (constant 0.147),
/// which is what other runtimes take PROBIT to mean.
inline double probit(double p) {
  const double x = 2 * p - 1;
  const double log = std::log((1 - x) * (1 + x));
  const double v = 2 / (3.14159265358979323846 * 0.147) + 0.5 * log;
  return std::copysign(std::sqrt(2.0) * std::sqrt(-v + std::sqrt(v * v - log / 0.147)), x);
}

inline void apply(PostTransform transform, std::vector<double>& scores) {
  if (scores.empty() || transform == PostTransform::kNone) return;
  if (transform == PostTransform::kLogistic || transform == PostTransform::kProbit) {
    for (double& s : scores) s = transform == PostTransform::kLogistic ? logistic(s) : probit(s);
    return;
  }
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) {
    const bool kept_zero = transform == PostTransform::kSoftmaxZero && std::abs(s) <= 1e-7;
    s = kept_zero ? s * std::exp(-most) : std::exp(s - most);
    sum += s;
  }
  for (double& s : scores) s = sum == 0 ? 0.5 : s / sum;
}

/// The two scores of a binary model that has one: where `complement`, [1-s, s] as they are; else the transform of [-s, s].
inline std::vector<double> binary_scores(double s, bool complement, PostTransform transform) {
  std::vector<double> scores{complement ? 1 - s : -s, s};
  if (!complement) apply(transform, scores);
  return scores;
}

inline std::int64_t arg_max(const std::vector<double>& values) { return std::max_element(values.begin(), values.end()) - values.begin(); }

/// The class labels of a classifier: integers, strings, or the class numbers when it names none.
class Labels {
 public:
  Labels(std::vector<std::int64_t> integers, std::vector<std::string> strings)
      : integers_(std::move(integers)), strings_(std::move(strings)) {}
  std::int64_t size() const { return static_cast<std::int64_t>(std::max(integers_.size(), strings_.size())); }
  void write(const TensorView& out, std::int64_t i, std::int64_t label) const {
    const auto at = static_cast<std::size_t>(label);
    provider::check(label >= 0 && (size() == 0 || label < size()), "class ", label, " has no label");
    if (out.dtype() == DType::kString) {
      out.set_string(i, strings_.at(at));
    } else {
      out.mutable_data<std::int64_t>()[i] = integers_.empty() ? label : integers_[at];
    }
  }

 private:
  std::vector<std::int64_t> integers_;
  std::vector<std::string> strings_;
};

/// Refuses a classifier whose labels do not go with its first output.
inline provider::Verdict classifier_verdict(const provider::NodeView& node) {
  if (node.has_output(0)) {
    const bool strings = node.has("classlabels_strings");
    const DType dtype = node.output(0).dtype();
    ASHLAR_REQUIRE(dtype == (strings ? DType::kString : DType::kInt64), ASHLAR_NO_KERNEL_DTYPE, node.op_type(), " with labels of ",
                   provider::dtype_name(dtype), " has no kernel");
  }
  return features_verdict(node);
}

}  // namespace ashlar::reference
