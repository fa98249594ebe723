// SPDX-License-Identifier: Apache-2.0
// How random cases are made: a generator takes every decision from a list of choices, and builds a model and its inputs of them. A case is
// its list, so that shrinking edits lists and knows nothing of operators.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/tensor.h>
#include <ashlar/value.h>
#include <onnx/onnx_pb.h>

namespace ashlar::comparison {

/// A list of decisions, each a number below a bound, 0 the simplest. Made anew from a seed, or given; a given list that is used up goes on
/// with zeros, and a number beyond its bound becomes the largest.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed) {}
  explicit Choices(std::vector<std::uint32_t> given) : replays_(true), given_(std::move(given)) {}
  /// A number below `bound`, which is 1 or more.
  std::uint32_t below(std::uint32_t bound);
  /// What was answered so far.
  const std::vector<std::uint32_t>& taken() const { return taken_; }

 private:
  bool replays_ = false;
  std::mt19937_64 random_;
  std::vector<std::uint32_t> given_, taken_;
};

/// A dimension of an operand: how long it is in this variant, and what the model declares.
struct Extent {
  std::int64_t size = 1;
  std::string symbol = {};  ///< empty: fixed; kUnknown: neither length nor name is declared
  bool fixed() const { return symbol.empty(); }
};
using Extents = std::vector<Extent>;
inline constexpr const char* kUnknown = "?";

std::vector<std::int64_t> sizes(const Extents& extents);
std::int64_t count(const Extents& extents);
/// A dimension of that length where `from` is the one it follows from: fixed where all of those are.
Extent derived(std::int64_t size, const Extents& from);

/// Which numbers an operand holds.
struct Fill {
  enum Specials { kNone, kInfinities, kNaN };  ///< kInfinities: and negative zero; kNaN: and those
  double low = -2, high = 2;
  Specials specials = kNone;  ///< of floats
  bool nonzero = false;
};

using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>, Tensor>;
using Attributes = std::vector<std::pair<std::string, Attribute>>;
using Names = std::vector<std::string>;

/// A list of these integers.
Tensor integers(const std::vector<std::int64_t>& values, DType dtype = DType::kInt64);

/// A model with inputs for it.
struct Case {
  ::onnx::ModelProto model;
  NamedValues inputs;
  int threads = 1;
};

inline constexpr int kVariants = 3;

/// Builds one variant of one case. Variants of the same choices differ in the lengths of their symbolic dimensions and in the elements of
/// their inputs; where a model comes out different too (a decision followed from such a length), they are not variants of one model.
class Draw {
 public:
  explicit Draw(Choices& choices, int variant = 0);

  std::uint32_t below(std::uint32_t bound) { return choices_.below(bound); }
  bool flip() { return below(2) == 1; }
  /// True once in `n`.
  bool rarely(std::uint32_t n) { return below(n) == n - 1; }
  /// low to high, low the simplest; low where the range is empty.
  std::int64_t between(std::int64_t low, std::int64_t high);
  template <class T> T pick(std::initializer_list<T> list) { return list.begin()[below(static_cast<std::uint32_t>(list.size()))]; }
  template <class List> auto pick_of(const List& list) { return list[below(static_cast<std::uint32_t>(std::size(list)))]; }
  /// A number in [-rank, rank) for that axis.
  std::int64_t axis_name(std::int64_t axis, std::int64_t rank) { return flip() ? axis - rank : axis; }
  /// `n` different numbers of [0, rank), in any order.
  std::vector<std::int64_t> axes(std::int64_t rank, std::int64_t n);

  /// Elements that an operand may have at most; about 4,000 at first, rarely 2^20.
  std::int64_t limit() const { return limit_; }
  void set_limit(std::int64_t limit) { limit_ = limit; }
  /// One of the usual lengths, from 0 to 65, at most `most` and at least `least`.
  Extent extent(std::int64_t most = 65, std::int64_t least = 0);
  /// One of these lengths.
  Extent extent_of(std::initializer_list<std::int64_t> lengths);
  Extents shape(int least_rank, int most_rank);
  /// A shape that broadcasts into the given one: itself, some dimensions one, leading ones left out. Once in a while one that does not.
  Extents thinned(const Extents& shape);

  /// An operand: an input of the model, or (fixed dimensions only, and never the first) an initializer.
  std::string operand(DType dtype, const Extents& extents, const Fill& fill = {});
  std::string input(DType dtype, const Extents& extents, const Fill& fill = {});
  /// These elements, as an initializer or an input.
  std::string given(const Tensor& tensor);
  std::string indices(const std::vector<std::int64_t>& values) { return given(integers(values)); }
  std::string constant(const Tensor& tensor);
  std::string constant(const std::vector<std::int64_t>& values) { return constant(integers(values)); }
  Tensor random(DType dtype, const std::vector<std::int64_t>& dims, const Fill& fill, std::uint32_t seed, std::uint32_t mode) const;

  /// Adds a node and gives its first output, or all; a name that is empty stands for an input left out.
  std::string apply(const char* op, Names inputs, const Attributes& attributes = {}) {
    return apply_all(op, std::move(inputs), 1, attributes)[0];
  }
  Names apply_all(const char* op, Names inputs, int outputs, const Attributes& attributes = {});
  /// Makes a value an output of the model. Values that are none and that no node reads become outputs in finish().
  void expose(const std::string& value) { exposed_.push_back(value); }

  Case finish();

 private:
  std::string declare(const Tensor& tensor, const Extents& extents);
  std::string next_name(const char* stem) { return stem + std::to_string(names_++); }

  Choices& choices_;
  int variant_;
  bool symbolic_;
  std::int64_t limit_;
  int names_ = 0, symbols_ = 0;
  Case case_;
  Names exposed_;
};

void set_attribute(::onnx::NodeProto& node, const std::string& name, const Attribute& value);

}  // namespace ashlar::comparison
