// SPDX-License-Identifier: Apache-2.0
// What element-wise operators compute, as functions on runs of elements: kernels walk tensors and call them, one operator or a chain of
// them over a piece that stays in cache.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "scalar.h"

namespace ashlar::cpu {

/// out[i] = f(in[0][i], in[1][i], ...) for i in [0, n). Bit k of `single`: in[k] is one element, used for every i; not all inputs are
/// single, unless n is 1. `out` may be one of the inputs that are not single, where elements have one size; else they do not overlap.
/// `params` are the operator's attributes. Does not throw.
using Tile = void (*)(const void* const* in, unsigned single, void* out, std::int64_t n, const float* params);

inline constexpr int kMaxTileInputs = 3;
using TileParams = std::array<float, 4>;

/// A row of a family's table: an operator under the name tile_name gives, what it takes, and its function for each dtype of the inputs.
struct TileRow {
  std::string_view name;
  int inputs;
  bool predicate;                 ///< gives bool, else the inputs' dtype
  std::int64_t grain;             ///< elements that are worth a thread (RunContext::parallel_for)
  std::array<Tile, 17> by_dtype;  ///< by number; null where there is none
};
inline constexpr std::int64_t kCheapGrain = 65536;  ///< as long as memory takes
inline constexpr std::int64_t kMathGrain = 16384;   ///< exp and the like, in vectors
inline constexpr std::int64_t kSlowGrain = 2048;    ///< calls of the C library, divisions of integers

/// An operator for inputs of one dtype. Half precisions are calculated in float32 and rounded once.
class TileOp {
 public:
  TileOp() = default;
  TileOp(std::string_view name, DType dtype, const TileParams& params = {});
  /// False where the operator has no function for the dtype.
  explicit operator bool() const { return tile_ != nullptr; }
  int inputs() const { return inputs_; }
  std::int64_t grain() const { return grain_; }
  DType output() const { return output_; }
  /// Of float32 inputs and output.
  bool of_floats() const { return tile_ != nullptr && floats_; }
  /// As a Tile.
  void operator()(const void* const* in, unsigned single, void* out, std::int64_t n) const {
    if (half_ == DType::kUndefined) [[likely]]
      tile_(in, single, out, n, params_.data());
    else run_half(in, single, out, n);
  }

 private:
  void run_half(const void* const* in, unsigned single, void* out, std::int64_t n) const;
  Tile tile_ = nullptr;
  TileParams params_{};
  std::int64_t grain_ = 0;
  int inputs_ = 0;
  DType output_ = DType::kUndefined;
  DType half_ = DType::kUndefined;  ///< float16 or bfloat16, of the inputs
  bool floats_ = false;
};

/// The row's name for a node: its operator, or with the attribute that chooses among functions ("GeluTanh", "Fmod", "BitShiftRight").
std::string tile_name(const provider::NodeView& node);
/// The node's attributes in the order in which its function reads them.
TileParams tile_params(const provider::NodeView& node);
/// For a node whose inputs have one dtype, that of input 0.
TileOp tile_of(const provider::NodeView& node);
/// Accepts a node when tile_of has a function, and its inputs and output have the dtypes that go with it.
provider::Verdict tile_verdict(const provider::NodeView& node);

/// The functions in vectors, for float32; and for all dtypes.
std::span<const TileRow> vector_tiles();
std::span<const TileRow> scalar_tiles();

/// Between float16 or bfloat16 (`half`) and float32, n elements; rounds to nearest, ties to even.
void widen(DType half, const void* from, float* to, std::int64_t n);
void round_to(DType half, const float* from, void* to, std::int64_t n);

}  // namespace ashlar::cpu
