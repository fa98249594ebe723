// SPDX-License-Identifier: Apache-2.0
// Small random models of one operator each, to hold what is claimed of operators against runs.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <ashlar/tensor.h>

namespace ashlar::testing {

struct OperatorSample {
  std::string text;  ///< a model
  std::map<std::string, std::int64_t> symbols;
  std::vector<Tensor> inputs;
};

/// Writes a model: inputs whose dimensions are fixed or symbolic, constants, and nodes. Some of what it draws contradicts an operator: such a
/// model cannot be loaded or run.
class SampleWriter {
 public:
  struct Size {
    std::int64_t size;
    std::string text;  ///< "3", or the symbol that stands for it
  };
  using Sizes = std::vector<Size>;

  explicit SampleWriter(std::mt19937& rng) : rng_(rng) {}

  std::int64_t below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(rng_); }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  template <class T> T pick(std::initializer_list<T> of) { return *(of.begin() + below(static_cast<std::int64_t>(of.size()))); }

  Size fixed(std::int64_t n) { return {n, std::to_string(n)}; }
  /// Fixed, or a symbol that has or gets that size.
  Size size(std::int64_t n);
  Size size() { return size(chance(6) ? 0 : chance(15) ? 1 : between(2, 5)); }
  Sizes sizes(std::int64_t rank);
  /// One that broadcasts with the other: some sizes 1, some leading ones left out.
  Sizes broadcast(const Sizes& with);

  std::string input(const std::string& dtype, const Sizes& sizes, double low = -2, double high = 2);
  /// An input whose elements are those.
  std::string input(const std::vector<std::int64_t>& elements);
  std::string constant(const std::vector<std::int64_t>& elements);
  std::string scalar(const std::string& dtype, const std::string& value);
  /// A vector of these elements: a constant, an input, or put together from dimensions of inputs.
  std::string vector(const std::vector<std::int64_t>& elements);
  /// The same of one element, without dimensions.
  std::string number(std::int64_t element);
  /// A node; its outputs, named by it.
  std::vector<std::string> node(const std::string& op, const std::vector<std::string>& inputs, const std::string& attributes = "",
                                int outputs = 1);

  OperatorSample finish() const;

 private:
  std::string unique(const std::string& prefix) { return prefix + std::to_string(names_++); }
  std::string dimension(std::int64_t element);

  std::mt19937& rng_;
  int names_ = 0;
  std::map<std::string, std::int64_t> symbols_;
  std::vector<std::pair<std::string, Sizes>> ranked_;
  std::vector<Tensor> tensors_;
  std::string inputs_, constants_, nodes_, last_;
};

/// Operators there are samples of: their names, and what writes one.
const std::map<std::string, void (*)(SampleWriter& w, const std::string& op)>& operator_samples();

}  // namespace ashlar::testing
