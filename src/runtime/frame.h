// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/session.h>
#include <ashlar/trace.h>
#include <ashlar/value.h>

#include "plan/plan.h"
#include "runtime/region.h"
#include "runtime/resources.h"

namespace ashlar::runtime {

/// What one run asks for and records, from the outermost frame to the innermost.
class RunState {
 public:
  explicit RunState(const RunOptions& options);
  /// Throws Error (kCancelled, kDeadlineExceeded) naming the node that would have come next.
  void check(const std::string& next_node) const {
    if (limited_) check_limits(next_node);
  }
  Trace* trace() const noexcept { return options_.trace; }
  bool limited() const noexcept { return limited_; }
  std::int64_t elapsed_ns() const noexcept;
  /// Of a time on steady_clock.
  std::int64_t since_start(std::int64_t steady_ns) const noexcept;

 private:
  void check_limits(const std::string& next_node) const;
  const RunOptions& options_;
  const bool limited_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A plan's values during a run, and what its steps keep from run to run: regions bound to shapes, an arena, the frames of bodies.
/// Serves one thread at a time; the plan and the resources outlive it. When run() returns or throws, no device is at work for it.
class Frame {
 public:
  Frame(const plan::Plan& plan, Resources& resources);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  const plan::Plan& plan() const noexcept { return plan_; }
  BufferPool& pool() noexcept { return resources_.pool(); }
  const Value& value(plan::Slot slot) const { return values_[slot]; }
  void set(plan::Slot slot, Value value) { values_[slot] = std::move(value); }
  /// An input whose storage has room to grow (plan::find_growth): so many places along the axis; 0: it is dense. Stays until it is set anew.
  void set_room(plan::Slot slot, std::int64_t room) { scratch_->set_room(slot, room); }
  /// The index-th output goes into this memory, where it fits; an undefined tensor takes that back.
  void set_output_buffer(std::size_t index, Tensor buffer);

  /// Runs every step. Inputs and captures must be set. Afterwards the outputs' slots hold the results; on an Error the frame is
  /// usable again after clear(). Constants are put in place by the constructor and by clear().
  void run(const RunState& state);
  /// Drops every value but the constants.
  void clear();
  /// Drops what a run that succeeded leaves: the outputs, and inputs that nothing read.
  void finish();
  /// Runs a body with the given inputs and what it captures from this frame, and returns its outputs.
  std::vector<Value> run_body(const plan::Step& step, const std::string& name, std::vector<Value> inputs, const RunState& state);

  /// Bytes of what is kept for shapes met before; bodies not counted.
  std::size_t kept_bytes() const noexcept;

 private:
  /// Regions of one beginning: those kept for shapes that repeat, and the one a new shape is bound in.
  struct Bound {
    std::vector<std::unique_ptr<Region>> kept;
    std::unique_ptr<Region> fresh;
    std::vector<std::uint64_t> seen;  ///< keys of shapes met lately, a ring
    std::size_t next_seen = 0;
  };
  Region& region(std::uint32_t begin, const RunState& state);
  void run_region(Region& region, const RunState& state);
  void run_steps(Region& region, const RunState& state);
  void run_step(BoundStep& bound, const RunState& state);
  void call(BoundStep& bound, void* queue);
  void enqueue(BoundStep& bound, std::uint32_t position, const RunState& state);
  void enqueue_work(BoundStep& bound);
  bool replay(Region& region, Segment& segment, const RunState& state);
  void wait_on_host(const Region& region, const EventRef& event, const RunState& state);
  void read_event_times(const Region& region, const RunState& state);
  void run_core(const plan::Step& step, const RunState& state);
  void set_unknown_output(BoundStep& bound, std::uint32_t index, const AshlarShape& shape);
  void grow_arenas(const std::vector<std::uint64_t>& bytes);
  TraceEvent& add_event(const RunState& state, const plan::Step& step, std::int64_t start_ns) const;
  TraceEvent& add_event(const RunState& state, BoundStep& bound, std::int64_t start_ns) const;
  ErrorContext largest_output(const Region& region) const;
  ErrorContext context(const BoundStep& bound) const;
  Frame& body(const plan::Step& step, const std::string& name);

  const plan::Plan& plan_;
  Resources& resources_;
  std::vector<Value> values_;
  std::map<plan::Slot, OutputBuffer> output_buffers_;
  std::vector<std::uint32_t> limits_;  ///< by step: the next one that the core runs on values, or the end
  std::vector<std::unique_ptr<Bound>> bound_;
  std::unique_ptr<Region::Scratch> scratch_;
  std::uint64_t clock_ = 0;
  struct Arena {
    std::shared_ptr<void> memory;
    std::uint64_t bytes = 0;
  };
  std::vector<Arena> arenas_;                                  ///< by space
  std::vector<std::byte*> bases_;                              ///< of the arenas
  std::vector<std::pair<std::uint32_t, std::size_t>> queued_;  ///< of a traced region: positions of queued steps, and their events
  std::map<std::pair<const plan::Step*, std::string>, std::unique_ptr<Frame>> bodies_;
};

/// Runs a node that is the core's: control flow, sequences, optionals, maps. Sets the step's outputs in the frame.
void run_core_step(Frame& frame, const plan::Step& step, const RunState& state);

/// "float32[1,3], -": dtypes and shapes of values as they are in this run.
std::string value_types(const Frame& frame, const std::vector<plan::Slot>& slots);

}  // namespace ashlar::runtime
