// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ashlar/value.h>

#include "plan/ordering.h"
#include "plan/plan.h"
#include "runtime/bump.h"
#include "runtime/resources.h"
#include "runtime/storage.h"

namespace ashlar::runtime {

/// An event of a region on a device, numbered from 0.
struct EventRef {
  std::uint32_t device = plan::kNoDevice, number = 0;
  std::uint32_t step = 0;  ///< that signals it, in Region::steps()
};

/// A provider's step or a copy, with its arguments for one set of shapes.
struct BoundStep {
  const plan::Step* step;
  std::uint32_t index;   ///< in the plan
  bool sets_outputs;     ///< some output's shape is known only when it has run
  AshlarTensor* inputs;  ///< descriptors; those left out are not pointed to by args
  AshlarTensor* outputs;
  AshlarShape* shapes;  ///< of the outputs, as bind gave them
  std::uint64_t* input_offsets;
  AshlarRunArgs args;
  std::uint64_t workspace_bytes;
  std::uint32_t workspace_space;  ///< of the topology
  // Of a plan with several lanes:
  const EventRef* host_waits;  ///< that the calling thread waits for first
  const EventRef* lane_waits;  ///< that its own lane waits for
  std::uint32_t host_wait_count, lane_wait_count;
  EventRef signal;    ///< when it is done; no device: none
  double operations;  ///< with bytes_read once work_known: what a trace says of it
  std::uint64_t bytes_read;
  bool work_known;
  bool staging_needed;
  void* staging;  ///< of a copy whose source must be brought into host memory that its device takes
};

/// Consecutive steps of one lane that may be recorded and replayed, as long as their operands stay where they were.
struct Segment {
  std::uint32_t first = 0, last = 0;  ///< in Region::steps(), last included
  std::uint32_t device = plan::kNoDevice;
  void* recording = nullptr;
  bool refused = false;                    ///< recording failed once
  std::vector<const void*> operands = {};  ///< where they were at the last run
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
  struct Known;
  /// What binding needs while it works, by slot, and how values that outlive regions lie; kept by the frame.
  class Scratch {
   public:
    explicit Scratch(std::size_t slots);
    ~Scratch();
    /// AshlarTensor::layout of the frame's value in a slot.
    void set_layout(plan::Slot slot, std::uint64_t layout) { layouts_[slot] = layout; }
    /// AshlarTensor::room of the frame's value in a slot.
    void set_room(plan::Slot slot, std::int64_t room) { rooms_[slot] = room; }

   private:
    friend class Region;
    std::vector<Known> known_;
    std::vector<std::uint64_t> layouts_;
    std::vector<std::int64_t> rooms_;
    std::uint32_t generation_ = 0;
  };

  Region(const plan::Plan& plan, Resources& resources);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  /// Binds and lays out the steps from `begin` on, before `limit` at the latest. `values` are the frame's, by slot; the data of those at
  /// no_data() is not known, and NeedsData is thrown where it is wanted. Throws the step's Error with its node; the
  /// region is then unbound.
  void bind(std::uint32_t begin, std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch);
  /// Whether it is bound to what these values are.
  bool matches(const std::vector<Value>& values, const Scratch& scratch) const;
  /// Identifies the shapes and data it is bound to, among regions of one beginning.
  std::uint64_t key() const noexcept { return key_; }

  /// Points every operand to its memory for a run: the arenas (by space), values from outside, and new memory of the pools for what outlives
  /// the region, which is put into `values`.
  void place(std::span<std::byte* const> arenas, std::vector<Value>& values, const std::map<plan::Slot, OutputBuffer>& outputs);
  /// Tells how the values lie that outlive the region.
  void tell_layouts(Scratch& scratch) const;

  std::span<BoundStep* const> steps() const noexcept { return steps_; }
  /// Events to wait for after the last step, so that everything is done.
  std::span<const EventRef> join() const noexcept { return join_; }
  std::vector<Segment>& segments() noexcept { return segments_; }
  std::uint32_t begin() const noexcept { return begin_; }
  std::uint32_t end() const noexcept { return end_; }
  /// By space.
  const std::vector<std::uint64_t>& arena_bytes() const noexcept { return storage_.arena_bytes(); }
  /// Calls body(slot, space, dtype, shape, bytes) for every value that outlives the region and has its shape; bytes of memory that several
  /// share are given with the first.
  template <class Body> void for_outliving(Body body) const {
    for (const Pooled& p : pooled_)
      for (const Member& m : p.members) body(m.slot, p.space, m.dtype, m.shape, &m == p.members.data() ? p.bytes : 0);
  }
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
    std::uint64_t layout;
    std::int64_t room;
    std::vector<std::byte> data;
    const void* base = nullptr;
    std::vector<Reference> references = {};
  };
  struct Member {
    plan::Slot slot;
    std::uint64_t offset;
    DType dtype;
    Shape shape;
    std::uint64_t layout;
  };
  /// Memory that outlives the region, and the values in it that do.
  struct Pooled {
    std::uint32_t space;
    std::uint64_t bytes;
    const void* base = nullptr;
    std::vector<Member> members = {};
    std::vector<Reference> references = {};
  };

  /// An output that lies in the storage of a value from outside, which it extends.
  struct Grown {
    plan::Slot slot, from;
    DType dtype;
    Shape shape;
  };

  void release();
  void bind_steps(std::uint32_t limit, const std::vector<Value>& values, Scratch& scratch);
  BoundStep& new_step(std::uint32_t index);
  AshlarTensor descriptor(plan::Slot slot, const Known& known) const;
  void check_guards(const BoundStep& bound) const;
  bool bind_step(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch);
  void bind_copy(std::uint32_t index, const std::vector<Value>& values, Scratch& scratch);
  void evaluate(const plan::Step& step, const std::vector<Value>& values, Scratch& scratch);
  Known& find(plan::Slot slot, const std::vector<Value>& values, Scratch& scratch);
  const void* read(Known& known, const std::vector<Value>& values);
  const void* bind_data(const plan::Step& step, std::size_t input, const std::vector<Value>& values, Scratch& scratch);
  void describe_output(BoundStep& bound, std::size_t i, Scratch& scratch);
  const Known* grows_from(const BoundStep& bound, std::size_t i, const Scratch& scratch) const;
  void order(Scratch& scratch);
  void share_storage(const BoundStep& bound, Scratch& scratch);
  void share_output(const BoundStep& bound, std::size_t i, Scratch& scratch);
  void stage_copy(BoundStep& bound, Scratch& scratch);
  void lay_out(Scratch& scratch);
  void find_segments();
  std::uint32_t last_use(plan::Slot slot) const;
  bool outlives(plan::Slot slot) const { return plan_.slots[slot].last_use >= end_; }
  bool has_lanes() const { return plan_.topology->lanes.size() > 1; }

  const plan::Plan& plan_;
  std::uint32_t begin_ = 0, end_ = 0;
  Resources& resources_;
  std::uint64_t key_ = 0;
  Bump memory_;
  std::vector<BoundStep*> steps_;
  std::deque<External> externals_;
  std::deque<std::pair<plan::Slot, Tensor>> host_values_;
  Storage storage_;
  std::vector<Pooled> pooled_;
  std::vector<Grown> grown_;
  std::vector<std::vector<Reference>> arena_references_;  ///< by space
  std::vector<const void*> arena_bases_;
  std::vector<std::pair<void**, Storage::Member>> scratch_memory_;  ///< workspaces and staging, while it binds
  std::vector<plan::Slot> last_uses_;
  std::optional<plan::Ordering> ordering_;  ///< of a plan with several lanes
  std::vector<EventRef> join_;
  std::vector<Segment> segments_;
};

/// "float32[1,3], -": dtypes and shapes of operands at the border.
std::string border_types(const AshlarTensor* const* operands, std::uint32_t count);
/// What an error says of a step: its node, operator, provider, and inputs as given.
ErrorContext step_context(const plan::Plan& plan, const plan::Step& step, std::string inputs);
/// Thrown by a binding without data, where it would need some.
struct NeedsData {};
/// The address of tensors whose data is not known.
const void* no_data() noexcept;

}  // namespace ashlar::runtime
