// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml LinearRegressor, LinearClassifier, SVMRegressor, SVMClassifier.
#include <cmath>

#include "ml.h"

namespace ashlar::reference {
namespace {

using namespace provider;

double dot(const double* x, const float* w, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += x[i] * static_cast<double>(w[i]);
  return sum;
}

void write_scores(const TensorView& out, std::int64_t row, const std::vector<double>& scores) {
  const auto n = static_cast<std::int64_t>(scores.size());
  for (std::int64_t i = 0; i < n; ++i) out.mutable_data<float>()[row * n + i] = static_cast<float>(scores[static_cast<std::size_t>(i)]);
}

/// Rows of coefficients and their intercepts.
struct Linear {
  Linear(const NodeView& node, std::int64_t row_count)
      : rows(row_count), weights(node.reals("coefficients")), biases(node.reals("intercepts")) {
    check(rows > 0 && weights.size() % static_cast<std::size_t>(rows) == 0, weights.size(), " coefficients for ", rows, " rows");
    check(biases.empty() || biases.size() == static_cast<std::size_t>(rows), biases.size(), " intercepts for ", rows, " rows");
    columns = static_cast<std::int64_t>(weights.size()) / rows;
  }
  std::vector<double> scores(const double* x) const {
    std::vector<double> out;
    for (std::int64_t r = 0; r < rows; ++r)
      out.push_back(dot(x, weights.data() + r * columns, columns) +
                    (biases.empty() ? 0.0 : static_cast<double>(biases[static_cast<std::size_t>(r)])));
    return out;
  }
  std::int64_t rows, columns;
  std::vector<float> weights, biases;
};

std::int64_t rows_with(const TensorView& features, std::int64_t columns) {
  const std::int64_t rows = Matrix::rows_of(features);
  check(features.dim(features.rank() - 1) == columns, "the features have the shape ", features.dims(), ", the model takes ", columns);
  return rows;
}

class LinearRegressor final : public Kernel {
 public:
  explicit LinearRegressor(const NodeView& node)
      : linear_(node, node.integer("targets", 1)), transform_(post_transform_of(node.text("post_transform", "NONE"))) {}
  void bind(BindContext& context) const override { context.set_output(0, {rows_with(context.input(0), linear_.columns), linear_.rows}); }
  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    for (std::int64_t r = 0; r < in.rows; ++r) {
      std::vector<double> scores = linear_.scores(in.row(r));
      apply(transform_, scores);
      write_scores(context.output(0), r, scores);
    }
  }

 private:
  Linear linear_;
  PostTransform transform_;
};

class LinearClassifier final : public Kernel {
 public:
  explicit LinearClassifier(const NodeView& node)
      : labels_(node.integers("classlabels_ints"), node.texts("classlabels_strings")), linear_(node, row_count(node, labels_.size())),
        transform_(post_transform_of(node.text("post_transform", "NONE"))), binary_(linear_.rows == 1 && labels_.size() == 2) {}

  void bind(BindContext& context) const override {
    const std::int64_t rows = rows_with(context.input(0), linear_.columns);
    context.set_output(0, {rows});
    context.set_output(1, {rows, binary_ ? 2 : linear_.rows});
  }

  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    for (std::int64_t r = 0; r < in.rows; ++r) {
      std::vector<double> scores = linear_.scores(in.row(r));
      if (binary_) scores = {-scores[0], scores[0]};
      if (context.has_output(0)) labels_.write(context.output(0), r, arg_max(scores));
      apply(transform_, scores);
      if (context.has_output(1)) write_scores(context.output(1), r, scores);
    }
  }

 private:
  /// A row for each intercept; without intercepts one for each class.
  static std::int64_t row_count(const NodeView& node, std::int64_t classes) {
    const auto biases = static_cast<std::int64_t>(node.reals("intercepts").size());
    return biases > 0 ? biases : std::max<std::int64_t>(classes, 1);
  }
  Labels labels_;
  Linear linear_;
  PostTransform transform_;
  bool binary_;
};

/// A support vector machine's kernel function and its vectors.
struct Vectors {
  Vectors(const NodeView& node, std::int64_t vector_count)
      : count(vector_count), type(node.text("kernel_type", "LINEAR")), values(node.reals("support_vectors")) {
    const std::vector<float> given = node.reals("kernel_params");
    for (std::size_t i = 0; i < 3 && i < given.size(); ++i) params[i] = given[i];
    check(type == "LINEAR" || type == "POLY" || type == "RBF" || type == "SIGMOID", "there is no kernel_type ", type);
    check(count > 0 && values.size() % static_cast<std::size_t>(count) == 0, values.size(), " elements of ", count, " support vectors");
    columns = static_cast<std::int64_t>(values.size()) / count;
  }
  double kernel(const double* x, std::int64_t vector) const {
    const float* v = values.data() + vector * columns;
    if (type == "RBF") {
      double sum = 0;
      for (std::int64_t i = 0; i < columns; ++i) sum += (x[i] - v[i]) * (x[i] - v[i]);
      return std::exp(-params[0] * sum);
    }
    const double product = dot(x, v, columns);
    if (type == "POLY") return std::pow(params[0] * product + params[1], params[2]);
    return type == "SIGMOID" ? std::tanh(params[0] * product + params[1]) : product;
  }
  std::int64_t count, columns = 0;
  std::string type;
  std::vector<float> values;
  double params[3] = {0, 0, 0};  // gamma, coef0, degree
};

Verdict svm_regressor_verdict(const NodeView& node) {
  ASHLAR_REQUIRE(node.integer("n_supports", 0) > 0, ASHLAR_ATTRIBUTE, "SVMRegressor without support vectors has no kernel");
  return features_verdict(node);
}

class SvmRegressor final : public Kernel {
 public:
  explicit SvmRegressor(const NodeView& node)
      : vectors_(node, node.integer("n_supports")), weights_(node.reals("coefficients")), rho_(node.reals("rho")),
        one_class_(node.integer("one_class", 0) != 0), transform_(post_transform_of(node.text("post_transform", "NONE"))) {
    check(static_cast<std::int64_t>(weights_.size()) == vectors_.count && !rho_.empty(), weights_.size(), " coefficients and ", rho_.size(),
          " rho for ", vectors_.count, " support vectors");
  }
  void bind(BindContext& context) const override { context.set_output(0, {rows_with(context.input(0), vectors_.columns), 1}); }
  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    for (std::int64_t r = 0; r < in.rows; ++r) {
      double sum = rho_[0];
      for (std::int64_t v = 0; v < vectors_.count; ++v)
        sum += static_cast<double>(weights_[static_cast<std::size_t>(v)]) * vectors_.kernel(in.row(r), v);
      std::vector<double> scores{one_class_ ? (sum > 0 ? 1.0 : -1.0) : sum};
      apply(transform_, scores);
      write_scores(context.output(0), r, scores);
    }
  }

 private:
  Vectors vectors_;
  std::vector<float> weights_, rho_;
  bool one_class_;
  PostTransform transform_;
};

std::int64_t total(const std::vector<std::int64_t>& counts) {
  std::int64_t sum = 0;
  for (const std::int64_t n : counts) {
    check(n >= 0 && n < INT32_MAX && sum < INT32_MAX, "vectors_per_class is not possible");
    sum += n;
  }
  return sum;
}

Verdict svm_classifier_verdict(const NodeView& node) {
  ASHLAR_REQUIRE(node.integers("vectors_per_class").size() >= 2, ASHLAR_ATTRIBUTE,
                 "SVMClassifier without support vectors of two classes has no kernel");
  ASHLAR_REQUIRE(node.reals("prob_a").empty(), ASHLAR_ATTRIBUTE, "SVMClassifier with probabilities has no kernel");
  return classifier_verdict(node);
}

/// Every pair of classes is decided by a sum over the support vectors of both; the class with most decisions wins. The scores are
/// the decisions' values.
class SvmClassifier final : public Kernel {
 public:
  explicit SvmClassifier(const NodeView& node)
      : labels_(node.integers("classlabels_ints"), node.texts("classlabels_strings")), counts_(node.integers("vectors_per_class")),
        vectors_(node, total(counts_)), weights_(node.reals("coefficients")), rho_(node.reals("rho")),
        transform_(post_transform_of(node.text("post_transform", "NONE"))) {
    const std::int64_t pairs = classes() * (classes() - 1) / 2;
    check(static_cast<std::int64_t>(weights_.size()) == (classes() - 1) * vectors_.count && static_cast<std::int64_t>(rho_.size()) == pairs,
          weights_.size(), " coefficients and ", rho_.size(), " rho for ", classes(), " classes");
    check(labels_.size() == 0 || labels_.size() == classes(), labels_.size(), " labels for ", classes(), " classes");
  }

  void bind(BindContext& context) const override {
    const std::int64_t rows = rows_with(context.input(0), vectors_.columns);
    context.set_output(0, {rows});
    context.set_output(1, {rows, classes() == 2 ? 2 : static_cast<std::int64_t>(rho_.size())});
  }

  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    for (std::int64_t r = 0; r < in.rows; ++r) {
      std::vector<double> votes(static_cast<std::size_t>(classes()), 0), scores = decide(in.row(r), votes);
      if (context.has_output(0)) labels_.write(context.output(0), r, arg_max(votes));
      if (classes() == 2) {
        scores = binary_scores(scores[0], false, transform_);
      } else {
        apply(transform_, scores);
      }
      if (context.has_output(1)) write_scores(context.output(1), r, scores);
    }
  }

 private:
  std::int64_t classes() const { return static_cast<std::int64_t>(counts_.size()); }

  std::vector<double> decide(const double* x, std::vector<double>& votes) const {
    std::vector<double> kernels, scores;
    for (std::int64_t v = 0; v < vectors_.count; ++v) kernels.push_back(vectors_.kernel(x, v));
    const auto part = [&](std::int64_t row, std::int64_t first, std::int64_t n) {
      return dot(kernels.data() + first, weights_.data() + row * vectors_.count + first, n);
    };
    std::int64_t first_i = 0;
    for (std::size_t i = 0; i < counts_.size(); first_i += counts_[i++]) {
      std::int64_t first_j = first_i + counts_[i];
      for (std::size_t j = i + 1; j < counts_.size(); first_j += counts_[j++]) {
        const double score = static_cast<double>(rho_[scores.size()]) + part(static_cast<std::int64_t>(j) - 1, first_i, counts_[i]) +
                             part(static_cast<std::int64_t>(i), first_j, counts_[j]);
        ++votes[score > 0 ? i : j];
        scores.push_back(score);
      }
    }
    return scores;
  }

  Labels labels_;
  std::vector<std::int64_t> counts_;
  Vectors vectors_;
  std::vector<float> weights_, rho_;
  PostTransform transform_;
};

constexpr const char* kMl = "ai.onnx.ml";
constexpr KernelEntry kTable[] = {
    {"LinearRegressor", 1, kLatest, &features_verdict, &make<LinearRegressor>, kMl},
    {"LinearClassifier", 1, kLatest, &classifier_verdict, &make<LinearClassifier>, kMl},
    {"SVMRegressor", 1, kLatest, &svm_regressor_verdict, &make<SvmRegressor>, kMl},
    {"SVMClassifier", 1, kLatest, &svm_classifier_verdict, &make<SvmClassifier>, kMl},
};

}  // namespace

std::span<const provider::KernelEntry> ml_linear_kernels() { return kTable; }

}  // namespace ashlar::reference
