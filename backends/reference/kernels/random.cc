// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "convert.h"
#include "draws.h"

namespace ashlar::reference {
namespace {

class Random : public provider::Kernel {
 public:
  explicit Random(const provider::NodeView& node) : seed_(seed_of(node)) {}

 protected:
  Draws draws() const { return Draws(seed_); }

 private:
  std::optional<std::uint32_t> seed_;
};

/// RandomNormal, RandomUniform and their Like forms, which take the shape from an input.
class Fill : public Random {
 public:
  explicit Fill(const provider::NodeView& node)
      : Random(node), normal_(node.op_type().starts_with("RandomNormal")), like_(node.op_type().ends_with("Like")),
        shape_(node.integers("shape")), start_(normal_ ? node.real("mean") : node.real("low")),
        width_(normal_ ? node.real("scale", 1) : static_cast<double>(node.real("high", 1)) - node.real("low")) {}
  static provider::Verdict verdict(const provider::NodeView& node) { return require_dtype<FloatTypes>(node, node.output(0)); }
  void bind(provider::BindContext& context) const override { context.set_output(0, like_ ? context.input(0).dims() : Dims(shape_)); }
  void run(const provider::RunContext& context) const override {
    const auto y = context.output(0);
    const auto write = writer<double>(y.dtype());
    Draws from = draws();
    for (std::int64_t i = 0; i < y.count(); ++i) write(y.raw(), i, start_ + width_ * (normal_ ? from.normal() : from.uniform()));
  }

 private:
  bool normal_, like_;
  std::vector<std::int64_t> shape_;
  double start_, width_;
};

class Bernoulli : public Random {
 public:
  using Random::Random;
  static provider::Verdict verdict(const provider::NodeView& node) {
    const auto input = takes<FloatTypes>(node);
    return input.code != ASHLAR_ACCEPTED ? input : require_dtype<Join<NumericTypes, Types<bool>>>(node, node.output(0));
  }
  void bind(provider::BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    const auto read = reader<double>(x.dtype());
    const auto write = writer<double>(y.dtype());
    Draws from = draws();
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double p = read(x.raw(), i);
      provider::check(p >= 0 && p <= 1, p, " is not a probability");
      write(y.raw(), i, from.uniform() < p ? 1 : 0);
    }
  }
};

/// Indices drawn by unnormalized log-probabilities, sample_size for each row.
class Multinomial : public Random {
 public:
  explicit Multinomial(const provider::NodeView& node) : Random(node), samples_(node.integer("sample_size", 1)) {}
  static provider::Verdict verdict(const provider::NodeView& node) {
    const std::int64_t samples = node.integer("sample_size", 1);
    ASHLAR_REQUIRE(samples > 0, ASHLAR_ATTRIBUTE, "Multinomial of ", samples, " samples is not defined");
    const auto input = takes<FloatTypes>(node);
    return input.code != ASHLAR_ACCEPTED ? input : require_dtype<Types<std::int32_t, std::int64_t>>(node, node.output(0));
  }
  void bind(provider::BindContext& context) const override {
    const Dims x = context.input(0).dims();
    provider::check(x.rank() == 2 && (x[0] == 0 || x[1] > 0), "log-probabilities of shape ", x, " are not [rows, classes]");
    context.set_output(0, {x[0], samples_});
  }
  void run(const provider::RunContext& context) const override {
    const auto x = context.input(0), y = context.output(0);
    const auto read = reader<double>(x.dtype());
    const auto write = writer<std::int64_t>(y.dtype());
    const std::int64_t classes = x.dim(1);
    std::vector<double> sums(static_cast<std::size_t>(classes));
    Draws from = draws();
    for (std::int64_t row = 0; row < x.dim(0); ++row) {
      double top = read(x.raw(), row * classes), sum = 0;
      for (std::int64_t c = 1; c < classes; ++c) top = std::max(top, read(x.raw(), row * classes + c));
      for (std::int64_t c = 0; c < classes; ++c)
        sums[static_cast<std::size_t>(c)] = sum += std::exp(read(x.raw(), row * classes + c) - top);
      provider::check(sum > 0, "row ", row, " has no probabilities");
      for (std::int64_t s = 0; s < samples_; ++s) {
        const auto found = std::upper_bound(sums.begin(), sums.end(), from.uniform() * sum);
        write(y.raw(), row * samples_ + s, std::min<std::int64_t>(found - sums.begin(), classes - 1));
      }
    }
  }

 private:
  std::int64_t samples_;
};

constexpr provider::KernelEntry kRows[] = {
    {"RandomNormal", 1, provider::kLatest, &Fill::verdict, &provider::make<Fill>},
    {"RandomNormalLike", 1, provider::kLatest, &Fill::verdict, &provider::make<Fill>},
    {"RandomUniform", 1, provider::kLatest, &Fill::verdict, &provider::make<Fill>},
    {"RandomUniformLike", 1, provider::kLatest, &Fill::verdict, &provider::make<Fill>},
    {"Bernoulli", 15, provider::kLatest, &Bernoulli::verdict, &provider::make<Bernoulli>},
    {"Multinomial", 7, provider::kLatest, &Multinomial::verdict, &provider::make<Multinomial>},
};

}  // namespace

std::span<const provider::KernelEntry> random_kernels() { return kRows; }

}  // namespace ashlar::reference
