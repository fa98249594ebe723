// SPDX-License-Identifier: Apache-2.0
// Walking tensors that broadcast together: the output is cut into runs along which every operand is contiguous or a single element.
#pragma once

#include "copy.h"

namespace ashlar::cpu {

/// A walk for one set of shapes. The output is dense, in its layout.
class Broadcast : public provider::Binding {
 public:
  static constexpr int kMaxOperands = 8;
  /// Bytes of one operand that a call of the body sees at most, where operands are gathered.
  static constexpr std::int64_t kPiece = 4096;

  /// For the first `count` inputs of `context`, which broadcast to `out`.
  Broadcast(const provider::BindContext& context, int count, const Dims& out, std::uint64_t layout, DType output);
  /// Binds a kernel that gives the broadcast of its first `count` inputs: output 0 has the layout of the inputs of its rank.
  static void bind(provider::BindContext& context, int count, DType output);

  std::int64_t count() const { return total_; }
  /// Calls body(in, single, out, n), a Tile's arguments, over the whole output, on several threads. `inputs` has one entry
  /// an operand; `grain` counts elements. An operand may be the output's own storage where it has as many elements, of one size.
  template <class Body>
  void run(const provider::RunContext& context, const void* const* inputs, void* out, std::int64_t grain, Body body) const {
    if (total_ == 0) return;
    const auto write = [&](const void* const* in, unsigned single, std::int64_t element, std::int64_t n) {
      body(in, single, static_cast<char*>(out) + element * output_bytes_, n);
    };
    run_units(context, placed(context, inputs, out), gathers_ ? length() : kUnit, grain, write);
  }
  /// Calls body(in, single, element, n) over the whole output, `element` being the first one's number: in order within each unit of so many
  /// elements, of which the output is made, units on several threads. Nothing is written.
  template <class Body>
  void read(const provider::RunContext& context, const void* const* inputs, std::int64_t unit, std::int64_t grain, Body body) const {
    if (total_ == 0) return;
    if (gathers_ && unit % length() != 0) unit = length() % unit == 0 ? length() : total_;
    run_units(context, placed(context, inputs, nullptr), unit, grain, body);
  }

 private:
  using Call = void (*)(const void* body, const void* const* in, unsigned single, std::int64_t element, std::int64_t n);
  using Pointers = std::array<const void*, kMaxOperands>;
  using Offsets = std::array<std::int64_t, kMaxOperands>;
  static constexpr std::int64_t kUnit = 64;

  /// `unit` is whole rows where operands are gathered.
  template <class Body>
  void run_units(const provider::RunContext& context, const Pointers& pointers, std::int64_t unit, std::int64_t grain,
                 const Body& body) const {
    const Call call = [](const void* b, const void* const* in, unsigned single, std::int64_t element, std::int64_t n) {
      (*static_cast<const Body*>(b))(in, single, element, n);
    };
    context.parallel_for((total_ + unit - 1) / unit, std::max<std::int64_t>(1, grain / unit), [&](std::int64_t first, std::int64_t last) {
      const std::int64_t begin = first * unit, end = std::min(last * unit, total_);
      if (gathers_) gather(begin / length(), end / length(), pointers.data(), call, &body);
      else direct(begin, end, pointers.data(), call, &body);
    });
  }
  std::int64_t length() const { return dims_[static_cast<std::size_t>(rank_ - 1)]; }
  void merge(int rank);
  /// The operands, those aside that lie in the output's storage in another order than the output's.
  Pointers placed(const provider::RunContext& context, const void* const* inputs, const void* out) const;
  /// Offsets of the operands at the start of row `row`, and the row's index over the outer dims.
  Offsets seek(std::int64_t row, std::array<std::int64_t, ASHLAR_MAX_RANK>& index) const;
  /// Steps `rows` rows on, which stay within the last outer dim.
  void advance(std::int64_t rows, std::array<std::int64_t, ASHLAR_MAX_RANK>& index, Offsets& offsets) const;
  void direct(std::int64_t begin, std::int64_t end, const void* const* pointers, Call call, const void* body) const;
  void gather(std::int64_t begin, std::int64_t end, const void* const* pointers, Call call, const void* body) const;

  int rank_ = 0, operands_ = 0;
  std::int64_t output_bytes_ = 0;
  bool gathers_ = false;
  unsigned single_ = 0;
  unsigned reordered_ = 0;  ///< operands of as many bytes as the output, in another order
  std::int64_t total_ = 0;
  std::array<std::int64_t, ASHLAR_MAX_RANK> dims_{};
  std::array<std::array<std::int64_t, ASHLAR_MAX_RANK>, kMaxOperands> strides_{};  ///< in elements
  std::array<std::int64_t, kMaxOperands> bytes_{};
};

}  // namespace ashlar::cpu
