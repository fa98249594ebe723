// SPDX-License-Identifier: Apache-2.0
#include "broadcast.h"

#include <cstddef>
#include <cstring>
#include <memory>

namespace ashlar::cpu {
namespace {

/// A row this short costs a call about as much as its elements do.
constexpr std::int64_t kShortRow = 16;
/// A row worth repeating, where what repeats is gathered once.
constexpr std::int64_t kRepeatedRow = 128;

struct Wide {
  std::uint64_t halves[2];
};

template <class T>
void copy_block(const void* from, void* to, std::int64_t rows, std::int64_t columns, std::int64_t row_stride, std::int64_t column_stride) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  for (std::int64_t r = 0; r < rows; ++r, x += row_stride, y += columns)
    for (std::int64_t c = 0; c < columns; ++c) y[c] = x[c * column_stride];
}

void copy_block(std::int64_t bytes, const void* from, void* to, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                std::int64_t column_stride) {
  switch (bytes) {
    case 1: return copy_block<std::uint8_t>(from, to, rows, columns, row_stride, column_stride);
    case 2: return copy_block<std::uint16_t>(from, to, rows, columns, row_stride, column_stride);
    case 4: return copy_block<std::uint32_t>(from, to, rows, columns, row_stride, column_stride);
    case 8: return copy_block<std::uint64_t>(from, to, rows, columns, row_stride, column_stride);
    default: return copy_block<Wide>(from, to, rows, columns, row_stride, column_stride);
  }
}

const char* at(const void* base, std::int64_t element, std::int64_t bytes) { return static_cast<const char*>(base) + element * bytes; }

/// The layout of an element-wise output: that of the first input of the same rank that is not plain.
std::uint64_t followed_layout(const provider::BindContext& context, int rank) {
  for (int i = 0; rank >= 3 && i < context.input_count(); ++i)
    if (context.has_input(i) && context.input(i).rank() == rank && context.input(i).layout() != kPlain) return context.input(i).layout();
  return kPlain;
}

}  // namespace

Broadcast::Broadcast(const provider::BindContext& context, int count, const Dims& out, std::uint64_t layout, DType output)
    : operands_(count), output_bytes_(byte_width(output)), total_(out.count()) {
  provider::check(count <= kMaxOperands, count, " tensors where at most ", kMaxOperands, " are broadcast together");
  if (total_ == 0) return;
  const Dims physical = physical_dims(out, layout);
  std::copy(physical.begin(), physical.end(), dims_.begin());
  for (int k = 0; k < count; ++k) {
    const auto x = context.input(k);
    const auto slot = static_cast<std::size_t>(k);
    bytes_[slot] = byte_width(x.dtype());
    const int rank = x.rank(), missing = out.rank() - rank;
    const Dims own = physical_dims(x.dims(), x.layout());
    Dims strides = own;
    std::int64_t step = 1;
    for (int i = rank - 1; i >= 0; --i) {
      strides[i] = step;
      step *= own[i];
    }
    for (int axis = 0; axis < rank; ++axis)
      if (x.dim(axis) != 1)
        strides_[slot][static_cast<std::size_t>(physical_axis(missing + axis, out.rank(), layout))] =
            strides[physical_axis(axis, rank, x.layout())];
  }
  merge(out.rank());

  bool repeats = rank_ > 1;
  const std::size_t last = static_cast<std::size_t>(rank_ - 1);
  for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) {
    const std::int64_t stride = strides_[k][last];
    if (stride == 0) single_ |= 1u << k;
    else if (stride != 1) gathers_ = true;
    std::int64_t step = 1;
    bool dense = true;
    for (std::size_t i = last + 1; i-- > 0; step *= dims_[i]) dense = dense && strides_[k][i] == step;
    if (!dense && context.input(static_cast<int>(k)).count() == total_ && bytes_[k] == output_bytes_) reordered_ |= 1u << k;
    if (rank_ > 1 && strides_[k][last - 1] != 0 && (stride != 1 || strides_[k][last - 1] != dims_[last])) repeats = false;
  }
  gathers_ = gathers_ || (rank_ > 1 && dims_[last] < kShortRow) || (repeats && dims_[last] < kRepeatedRow);
}

void Broadcast::bind(provider::BindContext& context, int count, DType output) {
  Dims out = context.input(0).dims();
  for (int k = 1; k < count; ++k) out = provider::broadcast(out, context.input(k).dims());
  const std::uint64_t layout = followed_layout(context, out.rank());
  auto walk = std::make_unique<Broadcast>(context, count, out, layout, output);
  context.set_output(0, out);
  context.set_layout(0, layout);
  if (walk->reordered_) context.set_workspace(static_cast<std::uint64_t>(walk->total_ * walk->output_bytes_));
  context.set_binding(std::move(walk));
}

Broadcast::Pointers Broadcast::placed(const provider::RunContext& context, const void* const* inputs, const void* out) const {
  Pointers pointers{};
  for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k) {
    pointers[k] = inputs[k];
    if (!(reordered_ >> k & 1) || inputs[k] != out) continue;
    std::memcpy(context.workspace(), out, static_cast<std::size_t>(total_ * output_bytes_));
    pointers[k] = context.workspace();
  }
  return pointers;
}

void Broadcast::merge(int rank) {
  const auto continues = [&](std::size_t outer, std::size_t inner) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k)
      if (strides_[k][outer] != strides_[k][inner] * dims_[inner]) return false;
    return true;
  };
  std::size_t kept = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
    if (dims_[i] == 1) continue;
    const bool joins = kept > 0 && continues(kept - 1, i);
    const std::size_t to = joins ? kept - 1 : kept++;
    dims_[to] = joins ? dims_[to] * dims_[i] : dims_[i];
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k) strides_[k][to] = strides_[k][i];
  }
  if (kept == 0) {
    dims_[kept++] = 1;
    for (auto& strides : strides_) strides[0] = 1;
  }
  rank_ = static_cast<int>(kept);
}

Broadcast::Offsets Broadcast::seek(std::int64_t row, std::array<std::int64_t, ASHLAR_MAX_RANK>& index) const {
  Offsets offsets{};
  for (int i = rank_ - 2; i >= 0; --i) {
    const auto axis = static_cast<std::size_t>(i);
    index[axis] = row % dims_[axis];
    row /= dims_[axis];
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k) offsets[k] += index[axis] * strides_[k][axis];
  }
  return offsets;
}

void Broadcast::advance(std::int64_t rows, std::array<std::int64_t, ASHLAR_MAX_RANK>& index, Offsets& offsets) const {
  for (int i = rank_ - 2; i >= 0; --i, rows = 1) {
    const auto axis = static_cast<std::size_t>(i);
    index[axis] += rows;
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k) offsets[k] += rows * strides_[k][axis];
    if (index[axis] < dims_[axis]) return;
    index[axis] = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k) offsets[k] -= dims_[axis] * strides_[k][axis];
  }
}

void Broadcast::direct(std::int64_t begin, std::int64_t end, const void* const* pointers, Call call, const void* body) const {
  const std::size_t last = static_cast<std::size_t>(rank_ - 1);
  const std::int64_t width = length();
  std::array<std::int64_t, ASHLAR_MAX_RANK> index{};
  Offsets offsets = seek(begin / width, index);
  std::int64_t column = begin % width;
  std::array<const void*, kMaxOperands> in;
  while (begin < end) {
    const std::int64_t n = std::min(width - column, end - begin);
    for (std::size_t k = 0; k < static_cast<std::size_t>(operands_); ++k)
      in[k] = at(pointers[k], offsets[k] + column * strides_[k][last], bytes_[k]);
    call(body, in.data(), single_, begin, n);
    begin += n;
    column = 0;
    advance(1, index, offsets);
  }
}

void Broadcast::gather(std::int64_t begin, std::int64_t end, const void* const* pointers, Call call, const void* body) const {
  alignas(64) std::byte buffers[kMaxOperands][kPiece];
  struct Held {
    const void* from = nullptr;
    std::int64_t rows = 0;
  };
  std::array<Held, kMaxOperands> held;
  const std::size_t last = static_cast<std::size_t>(rank_ - 1), count = static_cast<std::size_t>(operands_);
  const std::int64_t width = length(), group = rank_ > 1 ? dims_[last - 1] : 1;
  const std::int64_t piece = kPiece / std::max(output_bytes_, *std::max_element(bytes_.begin(), bytes_.end()));
  const std::int64_t most_rows = std::max<std::int64_t>(1, piece / width), columns = std::min(width, piece);
  std::array<std::int64_t, ASHLAR_MAX_RANK> index{};
  Offsets offsets = seek(begin, index);
  std::array<const void*, kMaxOperands> in;
  while (begin < end) {
    const std::int64_t rows = std::min({most_rows, end - begin, group - (rank_ > 1 ? index[last - 1] : 0)});
    for (std::int64_t c = 0; c < width; c += columns) {
      const std::int64_t n = std::min(columns, width - c);
      unsigned single = 0;
      for (std::size_t k = 0; k < count; ++k) {
        const std::int64_t across = strides_[k][last], down = rank_ > 1 ? strides_[k][last - 1] : 0;
        in[k] = at(pointers[k], offsets[k] + c * across, bytes_[k]);
        if (across == 0 && (down == 0 || rows == 1)) {
          single |= 1u << k;
        } else if (across != 1 || (rows > 1 && down != width)) {
          if (down != 0 || held[k].from != in[k] || held[k].rows < rows) {
            copy_block(bytes_[k], in[k], buffers[k], rows, n, down, across);
            held[k] = {in[k], rows};
          }
          in[k] = buffers[k];
        }
      }
      call(body, in.data(), single, begin * width + c, rows * n);
    }
    begin += rows;
    advance(rows, index, offsets);
  }
}

}  // namespace ashlar::cpu
