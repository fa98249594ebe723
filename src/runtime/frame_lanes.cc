// SPDX-License-Identifier: Apache-2.0
// Running a region whose steps are on several lanes: the calling thread enqueues, waits where it must, and in the end for everything.
#include <algorithm>
#include <cstring>

#include "core/log.h"
#include "runtime/frame.h"

namespace ashlar::runtime {

using plan::Step;

namespace {

constexpr std::int64_t kLimitCheckNs = 1'000'000;  ///< how often a wait looks for cancellation and the deadline

}  // namespace

void Frame::run_steps(Region& region, const RunState& state) {
  queued_.clear();
  const auto steps = region.steps();
  auto segment = region.segments().begin();
  for (std::uint32_t i = 0; i < steps.size(); ++i) {
    BoundStep& bound = *steps[i];
    for (std::uint32_t w = 0; w < bound.host_wait_count; ++w) wait_on_host(region, bound.host_waits[w], state);
    if (bound.step->lane == 0) {
      run_step(bound, state);
      continue;
    }
    while (segment != region.segments().end() && segment->last < i) ++segment;
    if (segment != region.segments().end() && segment->first == i && !state.trace() && replay(region, *segment, state)) {
      i = segment->last;
      continue;
    }
    enqueue(bound, i, state);
  }
  for (const EventRef& event : region.join()) wait_on_host(region, event, state);
  read_event_times(region, state);
}

/// Hands a step to its queue: after what its lane waits for, with its event behind it.
void Frame::enqueue(BoundStep& bound, std::uint32_t position, const RunState& state) {
  const Step& step = *bound.step;
  const std::uint32_t device_index = plan_.topology->lanes[step.lane].device;
  const partition::Device& device = resources_.device(device_index);
  state.check(plan_.node(step).id);
  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  const bool timed = state.trace() && device.times_events();
  try {
    void* queue = resources_.queue(step.lane);
    for (std::uint32_t w = 0; w < bound.lane_wait_count; ++w)
      device.wait(queue, resources_.event(bound.lane_waits[w].device, bound.lane_waits[w].number));
    if (timed) device.signal(queue, resources_.event(device_index, 2 * position, true));
    enqueue_work(bound);
    if (timed) device.signal(queue, resources_.event(device_index, 2 * position + 1, true));
    if (bound.signal.device != plan::kNoDevice) device.signal(queue, resources_.event(bound.signal.device, bound.signal.number));
  } catch (const Error& e) {
    throw e.with(context(bound));
  }
  if (!state.trace()) return;
  queued_.emplace_back(position, state.trace()->events.size());
  TraceEvent& e = add_event(state, bound, start_ns);
  if (step.runner != plan::Runner::kCopy) return;
  e.op = "(copy)";
  e.copy = static_cast<int>(plan_.slots[step.outputs[0]].copy);
  e.kernel = plan_.topology->spaces[plan_.slots[step.inputs[0]].space].name + " -> " +
             plan_.topology->spaces[plan_.slots[step.outputs[0]].space].name;
}

void Frame::enqueue_work(BoundStep& bound) {
  const Step& step = *bound.step;
  void* queue = resources_.queue(step.lane);
  if (step.runner != plan::Runner::kCopy) return call(bound, queue);
  const AshlarTensor &from = bound.inputs[0], &to = bound.outputs[0];
  if (from.bytes == 0) return;
  const partition::Device& device = resources_.device(plan_.topology->lanes[step.lane].device);
  const void* source = from.data;
  if (bound.staging_needed) {
    std::memcpy(bound.staging, from.data, from.bytes);
    source = bound.staging;
  }
  // The host side lies in the staging space, where the device has one.
  const auto space = [&](const AshlarTensor& t) { return t.space == ASHLAR_SPACE_HOST ? device.staging_space() : t.space; };
  device.copy(queue, to.data, space(to), source, space(from), from.bytes);
}

/// Replays the segment where its operands are where they were when it was recorded, records it where they stayed since the last run; false
/// where its steps are to be enqueued one by one.
bool Frame::replay(Region& region, Segment& segment, const RunState& state) {
  if (segment.refused) return false;
  const auto steps = region.steps();
  std::size_t at = 0;
  bool same = !segment.operands.empty();
  const auto note = [&](const void* pointer) {
    if (at == segment.operands.size()) segment.operands.push_back(nullptr);
    same = same && segment.operands[at] == pointer;
    segment.operands[at++] = pointer;
  };
  for (std::uint32_t i = segment.first; i <= segment.last; ++i) {
    const AshlarRunArgs& args = steps[i]->args;
    for (std::uint32_t k = 0; k < args.input_count; ++k) note(args.inputs[k] ? args.inputs[k]->data : nullptr);
    for (std::uint32_t k = 0; k < args.output_count; ++k) note(args.outputs[k] ? args.outputs[k]->data : nullptr);
    note(args.workspace);
  }
  BoundStep &first = *steps[segment.first], &last = *steps[segment.last];
  const partition::Device& device = resources_.device(segment.device);
  if (!same) {
    if (segment.recording) device.destroy_recording(std::exchange(segment.recording, nullptr));
    return false;
  }
  state.check(plan_.node(*first.step).id);
  try {
    void* queue = resources_.queue(first.step->lane);
    if (!segment.recording) {
      device.begin_capture(queue);
      try {
        for (std::uint32_t i = segment.first; i <= segment.last; ++i) enqueue_work(*steps[i]);
      } catch (...) {
        try {
          device.destroy_recording(device.end_capture(queue));
        } catch (const Error&) {  // the first failure is the one to report
        }
        throw;
      }
      segment.recording = device.end_capture(queue);
    }
    for (std::uint32_t w = 0; w < first.lane_wait_count; ++w)
      device.wait(queue, resources_.event(first.lane_waits[w].device, first.lane_waits[w].number));
    device.replay(queue, segment.recording);
    if (last.signal.device != plan::kNoDevice) device.signal(queue, resources_.event(last.signal.device, last.signal.number));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kUnsupported || segment.recording) throw e.with(context(first));
    core::log(core::LogLevel::kInfo, "not recorded (capture_incompatible): " + std::string(e.with(context(first)).what()));
    resources_.report({.node = plan_.node(*first.step).id,
                       .provider = device.name(),
                       .code = partition::verdict_code_name(ASHLAR_CAPTURE_INCOMPATIBLE),
                       .reason = "the steps from it to " + plan_.node(*last.step).id + " are not recorded: " + e.message()});
    segment.refused = true;
    return false;
  }
  return true;
}

void Frame::wait_on_host(const Region& region, const EventRef& event, const RunState& state) {
  const partition::Device& device = resources_.device(event.device);
  const BoundStep& bound = *region.steps()[event.step];
  const std::string& node = plan_.node(*bound.step).id;
  const std::int64_t start_ns = state.trace() ? state.elapsed_ns() : 0;
  try {
    void* handle = resources_.event(event.device, event.number);
    if (state.limited())
      while (!device.synchronize(handle, kLimitCheckNs)) state.check(node);
    else if (!device.synchronize(handle, -1))
      throw Error(ErrorCode::kInternal, "the provider stopped waiting for its device before that was done");
  } catch (const Error& e) {
    throw e.with(context(bound));
  }
  if (!state.trace()) return;
  TraceEvent& e = add_event(state, *bound.step, start_ns);
  e.op = "(wait)";
  e.kernel = "for " + std::exchange(e.queue, "");
  e.duration_ns = e.issue_ns;
}

/// Fills in when what was queued ran: the device knows once it is done.
void Frame::read_event_times(const Region& region, const RunState& state) {
  for (const auto& [position, event] : queued_) {
    const std::uint32_t index = plan_.topology->lanes[region.steps()[position]->step->lane].device;
    const partition::Device& device = resources_.device(index);
    if (!device.times_events()) continue;
    const std::int64_t start = device.event_time(resources_.event(index, 2 * position, true));
    TraceEvent& e = state.trace()->events[event];
    e.start_ns = state.since_start(start);
    e.duration_ns = std::max<std::int64_t>(0, device.event_time(resources_.event(index, 2 * position + 1, true)) - start);
  }
  queued_.clear();
}

}  // namespace ashlar::runtime
