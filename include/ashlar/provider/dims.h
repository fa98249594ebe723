// SPDX-License-Identifier: Apache-2.0
// Dimensions, and the arithmetic on them that every kernel needs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include <ashlar/provider/abi.h>
#include <ashlar/provider/failure.h>

namespace ashlar::provider {

/// Dimensions, outermost first, in place.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<std::int64_t> dims) { assign(dims.begin(), dims.size()); }
  explicit Dims(std::span<const std::int64_t> dims) { assign(dims.data(), dims.size()); }
  static Dims filled(int rank, std::int64_t value) {
    Dims d;
    for (int i = 0; i < rank; ++i) d.push_back(value);
    return d;
  }

  int rank() const { return rank_; }
  std::size_t size() const { return static_cast<std::size_t>(rank_); }
  std::int64_t operator[](std::int64_t i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](std::int64_t i) { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t* begin() { return dims_.data(); }
  std::int64_t* end() { return dims_.data() + rank_; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  const std::int64_t* data() const { return dims_.data(); }
  std::span<const std::int64_t> span() const { return {dims_.data(), size()}; }
  void push_back(std::int64_t dim) {
    check(rank_ < ASHLAR_MAX_RANK, "more than ", ASHLAR_MAX_RANK, " dimensions");
    dims_[static_cast<std::size_t>(rank_++)] = dim;
  }
  void insert(int at, std::int64_t dim) {
    push_back(dim);
    std::rotate(begin() + at, end() - 1, end());
  }
  void erase(int at) {
    std::copy(begin() + at + 1, end(), begin() + at);
    --rank_;
  }
  /// The product of dims[first, last). A Failure when no 64 bits hold it.
  std::int64_t product(int first, int last) const {
    std::int64_t p = 1;
    for (int i = first; i < last; ++i)
      if (__builtin_mul_overflow(p, dims_[static_cast<std::size_t>(i)], &p)) [[unlikely]]
        throw Failure(ASHLAR_RUNTIME, concat("the shape ", to_string(), " has too many elements"));
    return p;
  }
  std::int64_t count() const { return product(0, rank_); }
  std::string to_string() const {
    std::string s = "[";
    for (int i = 0; i < rank_; ++i) s += (i ? "," : "") + std::to_string(dims_[static_cast<std::size_t>(i)]);
    return s + "]";
  }
  friend bool operator==(const Dims& a, const Dims& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
  friend std::ostream& operator<<(std::ostream& out, const Dims& d) { return out << d.to_string(); }

 private:
  void assign(const std::int64_t* dims, std::size_t n) {
    check(n <= ASHLAR_MAX_RANK, "more than ", ASHLAR_MAX_RANK, " dimensions");
    std::copy(dims, dims + n, dims_.begin());
    rank_ = static_cast<int>(n);
  }
  std::array<std::int64_t, ASHLAR_MAX_RANK> dims_{};
  int rank_ = 0;
};

/// `axis` brought into [0, rank); a Failure that names it when it is outside [-rank, rank).
inline int normalize_axis(std::int64_t axis, int rank) {
  check(axis >= -rank && axis < rank, "axis ", axis, " is outside [-", rank, ", ", rank, ")");
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

/// The shape two shapes broadcast to by numpy's rule; a Failure that names both when they do not.
inline Dims broadcast(const Dims& a, const Dims& b) {
  const int rank = std::max(a.rank(), b.rank());
  Dims out = Dims::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const std::int64_t y = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    check(x == y || x == 1 || y == 1, "shapes ", a, " and ", b, " do not broadcast");
    out[i] = x == 1 ? y : x;
  }
  return out;
}

}  // namespace ashlar::provider
