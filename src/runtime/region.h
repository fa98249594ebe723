// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ashlar/value.h>

#include "plan/arena.h"
#include "plan/plan.h"
#include "runtime/buffer_pool.h"
#include "runtime/bump.h"

namespace ashlar::runtime {

/// A provider's step with its arguments for one set of shapes.
struct BoundStep {
  const plan::Step* step;
  std::uint32_t index;   ///< in the plan
  bool sets_outputs;     ///< some output's shape is known only when it has run
  AshlarTensor* inputs;  ///< descriptors; those left out are not pointed to by args
  AshlarTensor* outputs;
  AshlarShape* shapes;  ///< of the outputs, as bind gave them
  std::uint64_t* input_offsets;
  AshlarRunArgs args;
};

/// Memory a caller gave for an output.
struct OutputBuffer {
  std::shared_ptr<void> memory;
  std::size_t bytes = 0;
};

/// Steps [begin, end) of a plan, bound to the shapes of what they read and laid out: every operand has its place in the arena, in
/// memory of the pool (what later regions and callers read), or in a value from outside. It ends where a shape depends on data: after
/// a step that knows its output's shape only once it has run, or before one that binds by data of a step inside.
class Region {
 public:
  /// What binding needs while it works, by slot; kept by the frame so that it is allocated once.
  struct Known;
  class Scratch {
   public:
    explicit Scratch(std::size_t slots);
    ~Scratch();

   private:
    friend class Region;
    std::vector<Known> known_;
    std::uint32_t generation_ = 0;
  };

  explicit Region(const plan::Plan& plan);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  /// Binds and lays out the steps from `begin` on, before `limit` at the latest. `values` are the frame's, by slot. Throws the
  /// step's Error with its node; the region is then unbound.
  void bind(std::uint32_t begin, std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch);
  /// Whether it is bound to what these values are.
  bool matches(const std::vector<Value>& values) const;
  /// Identifies the shapes and data it is bound to, among regions of one beginning.
  std::uint64_t key() const noexcept { return key_; }

  /// Points every operand to its memory for a run: the arena, values from outside, and new memory of the pool for what outlives the
  /// region, which is put into `values`.
  void place(std::byte* arena, BufferPool& pool, std::vector<Value>& values, const std::map<plan::Slot, OutputBuffer>& outputs);

  std::span<BoundStep* const> steps() const noexcept { return steps_; }
  std::uint32_t begin() const noexcept { return begin_; }
  std::uint32_t end() const noexcept { return end_; }
  std::uint64_t arena_bytes() const noexcept { return arena_bytes_; }
  /// Slots in the frame's values that nothing after the region reads.
  const std::vector<plan::Slot>& last_uses() const noexcept { return last_uses_; }
  std::size_t bytes() const noexcept;
  std::uint64_t used = 0;  ///< when it last ran, for the frame's choice of what to keep

 private:
  /// A pointer to set to a base address plus an offset.
  struct Reference {
    void** pointer;
    std::uint64_t offset;
  };
  struct External {
    plan::Slot slot;
    bool read;  ///< binding read its data
    DType dtype;
    Shape shape;
    std::vector<std::byte> data;
    const void* base = nullptr;
    std::vector<Reference> references = {};
  };
  struct Member {
    plan::Slot slot;
    std::uint64_t offset;
    DType dtype;
    Shape shape;
  };
  /// Memory that outlives the region, and the values in it that do.
  struct Pooled {
    std::uint64_t bytes;
    const void* base = nullptr;
    std::vector<Member> members = {};
    std::vector<Reference> references = {};
  };
  struct Group;

  void release();
  void bind_steps(std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch);
  bool bind_step(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch);
  void evaluate(const plan::Step& step, const std::vector<Value>& values, Scratch& scratch);
  Known& find(plan::Slot slot, const std::vector<Value>& values, Scratch& scratch);
  const void* read(Known& known, const std::vector<Value>& values);
  void share_storage(const BoundStep& bound, Scratch& scratch);
  bool may_replace(const Group& group, const Known& input, const BoundStep& bound, Scratch& scratch) const;
  void lay_out(Scratch& scratch);
  std::uint32_t last_use(plan::Slot slot) const;
  bool outlives(plan::Slot slot) const { return plan_.slots[slot].last_use >= end_; }

  const plan::Plan& plan_;
  std::uint32_t begin_ = 0, end_ = 0;
  std::uint64_t key_ = 0, arena_bytes_ = 0;
  Bump memory_;
  std::vector<BoundStep*> steps_;
  std::deque<External> externals_;
  std::deque<std::pair<plan::Slot, Tensor>> host_values_;
  std::vector<Pooled> pooled_;
  std::vector<Reference> arena_references_;
  const void* arena_base_ = nullptr;
  std::vector<plan::Slot> last_uses_;
  std::vector<Group> groups_;
};

/// "float32[1,3], -": dtypes and shapes of operands at the border.
std::string border_types(const AshlarTensor* const* operands, std::uint32_t count);

}  // namespace ashlar::runtime
