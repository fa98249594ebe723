// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/model.h>
#include <ashlar/tensor.h>

namespace ashlar::cli {

/// What is known of an input's shape: nothing when not even its rank is, else dimensions of which -1 is unknown.
using KnownShape = std::optional<std::vector<std::int64_t>>;

/// "1x3x224x224" (or commas for the x); empty is a scalar. Throws Error (kInvalidArgument) for anything else.
std::vector<std::int64_t> parse_dims(std::string_view text);

/// "float32[1,3,?,?]"; "float32 of any rank".
std::string describe(DType dtype, const KnownShape& known);

/// Joins what models declare with what the caller says: shapes by --shape, and symbols by the shapes and values already given.
class ShapeBook {
 public:
  /// `given` must agree with the declared rank and fixed dimensions, else Error (kInvalidArgument) stating both.
  void set(const ValueInfo& info, const std::vector<std::int64_t>& given);
  /// Remembers the sizes that a value gives to the input's symbols; the first one stays.
  void learn(const ValueInfo& info, const Shape& shape);
  /// The declared shape, completed. For an input that is not a tensor: of its element.
  KnownShape known(const ValueInfo& info) const;

 private:
  std::map<std::string, std::vector<std::int64_t>> given_;
  std::map<std::string, std::int64_t> symbols_;
};

/// The shape for `count` elements: unknown rank gives one dimension, one unknown dimension is computed. Throws Error
/// (kInvalidArgument), stating both, when the count does not fit or more than one dimension is unknown.
Shape fit_count(DType dtype, const KnownShape& known, std::int64_t count);

/// Throws Error (kInvalidArgument), stating both, unless `shape` is what is known.
void require_shape(DType dtype, const KnownShape& known, const Shape& shape);

}  // namespace ashlar::cli
