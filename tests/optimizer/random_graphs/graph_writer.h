// SPDX-License-Identifier: Apache-2.0
// Writes a random model as ONNX text, with the shape and the range of every value known, so that it runs and stays within numbers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/tensor.h>

namespace ashlar::testing {

using Sizes = std::vector<std::int64_t>;

struct Known {
  std::string name;
  DType dtype = DType::kFloat32;
  Sizes sizes;
  double low = 0, high = 0;  ///< what its elements lie between
  bool exact = false;        ///< no rounding is in it: it may be compared, or cast to an integer

  std::int64_t rank() const { return static_cast<std::int64_t>(sizes.size()); }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (const std::int64_t s : sizes) n *= s;
    return n;
  }
  double bound() const { return std::max(low < 0 ? -low : low, high < 0 ? -high : high); }
  bool real() const { return dtype == DType::kFloat32; }
};

class GraphWriter {
 public:
  explicit GraphWriter(std::uint64_t seed) : rng_(static_cast<std::mt19937::result_type>(seed * 2654435761u + 17)) {}

  std::int64_t below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(rng_); }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  template <class T> T pick(std::initializer_list<T> of) { return *(of.begin() + below(static_cast<std::int64_t>(of.size()))); }
  template <class T> const T& pick(const std::vector<T>& of) {
    return of[static_cast<std::size_t>(below(static_cast<std::int64_t>(of.size())))];
  }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(rng_); }

  // Values.
  Known input(DType dtype, const Sizes& sizes, double low, double high);
  Known constant(DType dtype, const Sizes& sizes, double low, double high);
  Known constant(const std::vector<std::int64_t>& elements);
  /// A float constant of one element, in a random rank up to `rank`.
  Known number(double value, std::int64_t rank = 0);
  /// Adds a node; gives the name of its first output (`more` others are called NAME_1, ...).
  std::string node(const std::string& op, const std::vector<std::string>& operands, const std::string& attributes = "", int more = 0);
  /// The same with the operands in either order.
  std::string either(const std::string& op, const std::string& a, const std::string& b);
  /// Makes it one that later nodes may read, and notes it as not read yet.
  Known keep(Known v);
  Known keep(const std::string& name, const Known& like) { return keep({name, like.dtype, like.sizes, like.low, like.high, like.exact}); }
  /// One of those kept, by what is asked; a new input where there is none.
  template <class Wanted> Known any(Wanted wanted, const Known& otherwise) {
    std::vector<Known> fit;
    for (const Known& v : kept_)
      if (wanted(v)) fit.push_back(v);
    if (fit.empty()) return input(otherwise.dtype, otherwise.sizes, otherwise.low, otherwise.high);
    // Those made last more often.
    return fit[fit.size() - 1 - static_cast<std::size_t>(below(1 + below(static_cast<std::int64_t>(fit.size()))))];
  }
  Known any_real(std::int64_t rank_low = 0, std::int64_t rank_high = 5);
  Sizes sizes(std::int64_t rank);
  void make_output(const std::string& name);

  /// Collects nodes into a body instead; `body` calls make them. Values kept inside are forgotten afterwards.
  template <class Body> std::string inside(Body body) {
    std::swap(nodes_, outside_.emplace_back());
    const std::vector<Known> kept = kept_;
    const bool nested = std::exchange(in_body_, true);
    body();
    in_body_ = nested;
    kept_ = kept;
    std::string out = std::move(nodes_);
    nodes_ = std::move(outside_.back());
    outside_.pop_back();
    return out;
  }
  bool in_body() const { return in_body_; }
  std::string unique(const std::string& prefix) { return prefix + std::to_string(names_++); }
  int nodes_written() const { return count_; }

  static std::string list(const std::vector<std::int64_t>& list);
  static std::string with(const std::string& key, std::int64_t value) { return key + " = " + std::to_string(value); }
  static std::string with(const std::string& key, const std::vector<std::int64_t>& value) { return key + " = [" + list(value) + "]"; }
  static std::string with_real(const std::string& key, double value);

  /// The model: what was not read yet, and some of the rest, become outputs.
  std::string finish();
  std::vector<std::pair<std::string, Tensor>> inputs;

 private:
  std::string elements(const Tensor& t) const;
  std::string declare(const std::string& name, const Tensor& t);

  std::mt19937 rng_;
  int names_ = 0, count_ = 0;
  bool in_body_ = false;
  std::map<std::string, std::int64_t> symbols_;
  std::vector<Known> kept_, constants_made_;
  std::map<std::string, int> reads_;
  std::vector<std::string> outputs_;
  std::vector<std::string> outside_;
  std::string inputs_text_, constants_, nodes_;
};

/// Adds one of the things that exporters write: a chain of shape arithmetic, a block of attention, a branch.
void add_motif(GraphWriter& w);

}  // namespace ashlar::testing
