// SPDX-License-Identifier: Apache-2.0
// Steps with the spy between. Each run gets copies of the operands' descriptions, so that zones behind buffers and storage that the spy
// shares are invisible to it.
#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include <ashlar/error.h>
#include <ashlar/provider/provider.h>

#include "child.h"
#include "spy_instance.h"

namespace ashlar::check {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::byte kPattern{0xa5};
constexpr std::int32_t kString = static_cast<std::int32_t>(DType::kString);

std::uint64_t dense_bytes(std::int32_t dtype, const std::int64_t* dims, std::int32_t rank) {
  std::uint64_t count = 1;
  for (std::int32_t i = 0; i < rank; ++i) count *= static_cast<std::uint64_t>(dims[i]);
  return byte_size(static_cast<DType>(dtype), count);
}

class Running;

struct SpyBinding {
  SpyBinding();
  ~SpyBinding();
  void* inner = nullptr;
  std::vector<AshlarShape> shapes;  ///< as the step bound its outputs
  std::vector<std::uint64_t> input_offsets;
  std::uint64_t workspace_bytes = 0;
  std::uint32_t workspace_space = 0;
  bool sets_outputs = false;
  std::unique_ptr<Running> running;  ///< the last run: its operands stay while its work is done
};

/// One call of bind or run: copies of the operands.
class Operands {
 public:
  Operands(const SpyStep& step, const AshlarTensor* const* inputs, std::uint32_t count) : inputs_(count), input_pointers_(count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!inputs[i]) continue;
      inputs_[i] = *inputs[i];
      if (step.mode == Mode::kApart && inputs_[i].dtype != kString && inputs_[i].rank >= 0) {
        const std::uint64_t dense = dense_bytes(inputs_[i].dtype, inputs_[i].dims, inputs_[i].rank);
        // A layout of the provider's own comes from one of its steps, behind whose outputs there is a zone.
        inputs_[i].bytes = inputs_[i].layout == 0 ? dense : inputs_[i].bytes - std::min(kZone, inputs_[i].bytes);
      }
      input_pointers_[i] = &inputs_[i];
    }
  }
  AshlarTensor& input(std::uint32_t i) { return inputs_[i]; }
  const AshlarTensor* const* inputs() const { return input_pointers_.data(); }
  bool has(std::uint32_t i) const { return input_pointers_[i] != nullptr; }

 private:
  std::vector<AshlarTensor> inputs_;
  std::vector<const AshlarTensor*> input_pointers_;
};

class Running {
 public:
  Running(const SpyStep& step, const AshlarRunArgs& args)
      : step_(step), outer_(args), bound_(*static_cast<SpyBinding*>(args.binding)), operands_(step, args.inputs, args.input_count),
        outputs_(args.output_count), output_pointers_(args.output_count), args_(args) {
    for (std::uint32_t i = 0; i < args.output_count; ++i) {
      if (!args.outputs[i]) continue;
      outputs_[i] = *args.outputs[i];
      if (step.mode == Mode::kApart && bound_.shapes[i].rank >= 0 && outputs_[i].dtype != kString) outputs_[i].bytes = bytes_of(i);
      output_pointers_[i] = &outputs_[i];
    }
    args_.inputs = operands_.inputs();
    args_.outputs = output_pointers_.data();
    args_.binding = bound_.inner;
    args_.core = this;
    args_.set_output = &set_output;
  }

  AshlarCode run(AshlarStatus* status) {
    set_doing("run of " + operand_text(step_.label, args_.inputs, args_.input_count));
    Spy::get().count_step();
    if (step_.inner->queue != 0) step_.instance->delay(args_.queue);
    switch (step_.mode) {
      case Mode::kApart: return run_apart(status);
      case Mode::kShared:
        share();
        if (step_.inner->queue != 0) device()->drain(args_.queue);
        break;
      case Mode::kRecorded:
        if (records()) return run_recorded(status);
        break;
      case Mode::kRepeated: repeat(); break;
      case Mode::kPlain: break;
    }
    return run_once(status);
  }

 private:
  struct Zone {
    std::string what;
    std::uint32_t space;
    void* at;
  };

  const Device* device() const { return step_.instance->device.get(); }
  void write(std::uint32_t space, void* to, const Bytes& bytes) const {
    if (space == ASHLAR_SPACE_HOST && step_.inner->queue == 0) std::memcpy(to, bytes.data(), bytes.size());
    else device()->write(args_.queue, space, to, bytes);
  }
  Bytes read(std::uint32_t space, const void* from, std::uint64_t n) const {
    Bytes bytes(n);
    if (space == ASHLAR_SPACE_HOST && step_.inner->queue == 0) std::memcpy(bytes.data(), from, n);
    else device()->read(args_.queue, space, from, bytes);
    return bytes;
  }
  std::uint64_t bytes_of(std::uint32_t output) const {
    const AshlarShape& s = bound_.shapes[output];
    return std::max(s.bytes, dense_bytes(s.dtype, s.dims, s.rank));
  }

  AshlarCode run_once(AshlarStatus* status) { return step_.inner->run(step_.inner->context, &args_, status); }

  static AshlarCode set_output(void* core, std::uint32_t index, const AshlarShape* shape, AshlarStatus* status) {
    Running& self = *static_cast<Running*>(core);
    if (Spy::get().fails(Fault::kSetOutput)) {
      provider::set_status(status, ASHLAR_OUT_OF_MEMORY, "there is no memory for an output (planted)");
      return ASHLAR_OUT_OF_MEMORY;
    }
    if (const AshlarCode code = self.outer_.set_output(self.outer_.core, index, shape, status)) return code;
    self.outputs_[index] = *self.outer_.outputs[index];
    return ASHLAR_OK;
  }

  // kApart: zones behind outputs and the workspace, and inputs compared.

  std::vector<Zone> zones() {
    std::vector<Zone> all;
    for (std::uint32_t i = 0; i < args_.output_count; ++i)
      if (args_.outputs[i] && outputs_[i].data && bound_.shapes[i].rank >= 0 && outputs_[i].dtype != kString)
        all.push_back({fmt::format("output {}, which has {} bytes", i, bytes_of(i)), step_.output_space(i),
                       static_cast<std::byte*>(outputs_[i].data) + bytes_of(i)});
    if (args_.workspace && bound_.workspace_bytes > 0)
      all.push_back({fmt::format("its workspace of {} bytes", bound_.workspace_bytes), bound_.workspace_space,
                     static_cast<std::byte*>(args_.workspace) + bound_.workspace_bytes});
    return all;
  }

  bool compares(std::uint32_t i) {
    const bool read_only_by_shape = i < 64 && (step_.inner->shape_only >> i & 1) != 0;
    return operands_.has(i) && !read_only_by_shape && operands_.input(i).data && operands_.input(i).bytes > 0 &&
           operands_.input(i).dtype != kString;
  }

  AshlarCode run_apart(AshlarStatus* status) {
    const std::vector<Zone> watched = zones();
    const Bytes pattern(kZone, kPattern);
    std::vector<Bytes> before(args_.input_count);
    for (const Zone& zone : watched) write(zone.space, zone.at, pattern);
    for (std::uint32_t i = 0; i < args_.input_count; ++i)
      if (compares(i)) before[i] = read(step_.input_space(i), operands_.input(i).data, operands_.input(i).bytes);
    set_doing("run of " + operand_text(step_.label, args_.inputs, args_.input_count));
    if (const AshlarCode code = run_once(status)) return code;
    if (step_.inner->queue != 0) device()->drain(args_.queue);
    const std::string what = operand_text(step_.label, args_.inputs, args_.input_count);
    for (const Zone& zone : watched) {
      const Bytes after = read(zone.space, zone.at, kZone);
      const auto wrong = std::find_if(after.begin(), after.end(), [](std::byte b) { return b != kPattern; });
      if (wrong != after.end())
        Spy::get().find("bounds", fmt::format("{} writes beyond {}, {} bytes behind its end", what, zone.what, wrong - after.begin()));
    }
    for (std::uint32_t i = 0; i < args_.input_count; ++i)
      if (!before[i].empty() && read(step_.input_space(i), operands_.input(i).data, before[i].size()) != before[i])
        Spy::get().find("inputs", fmt::format("{} writes to its input {}", what, i));
    return ASHLAR_OK;
  }

  // kShared: inputs are moved to where the step says that they may be stored.

  void move_input(std::uint32_t i, void* to) {
    AshlarTensor& input = operands_.input(i);
    void* const from = input.data;
    if (from == to) return;
    if (step_.inner->queue == 0) std::memmove(to, from, input.bytes);
    else device()->copy(args_.queue, to, step_.output_space(0), from, step_.input_space(i), input.bytes);
    for (std::uint32_t k = 0; k < args_.input_count; ++k)  // one value twice lies in one place
      if (operands_.has(k) && operands_.input(k).data == from && operands_.input(k).bytes == input.bytes) operands_.input(k).data = to;
    input.data = to;
  }

  /// Whether input i may be moved into output 0's storage.
  bool movable(std::uint32_t i) {
    return operands_.has(i) && operands_.input(i).data && operands_.input(i).dtype != kString &&
           operands_.input(i).layout == outputs_[0].layout && step_.input_space(i) == step_.output_space(0) &&
           (i >= 64 || (step_.inner->shape_only >> i & 1) == 0);
  }

  void share() {
    if (args_.output_count == 0 || !args_.outputs[0] || !outputs_[0].data || bound_.shapes[0].rank < 0) return;
    auto* const to = static_cast<std::byte*>(outputs_[0].data);
    for (std::uint32_t i = 0; i < args_.input_count; ++i)
      if (const auto* from = static_cast<const std::byte*>(operands_.has(i) ? operands_.input(i).data : nullptr))
        if (from < to + outputs_[0].bytes && to < from + operands_.input(i).bytes) return;  // the session has shared it
    const AshlarShape& shape = bound_.shapes[0];
    if (shape.view_of > 0 && shape.view_of <= args_.input_count) {
      const std::uint32_t i = shape.view_of - 1;
      if (movable(i) && shape.view_offset == 0 && operands_.input(i).bytes == outputs_[0].bytes) move_input(i, to);
      return;
    }
    for (std::uint32_t i = 0; i < args_.input_count && i < 64; ++i)
      if ((step_.inner->in_place >> i & 1) != 0 && movable(i) && operands_.input(i).bytes == outputs_[0].bytes) return move_input(i, to);
    for (std::uint32_t i = 0; i < args_.input_count; ++i)
      if (bound_.input_offsets[i] != ASHLAR_NO_OFFSET && movable(i) &&
          bound_.input_offsets[i] + operands_.input(i).bytes <= outputs_[0].bytes)
        move_input(i, to + bound_.input_offsets[i]);
  }

  // kRecorded

  bool records() const { return step_.inner->queue != 0 && (step_.inner->flags & ASHLAR_STEP_NO_CAPTURE) == 0 && !bound_.sets_outputs; }

  AshlarCode run_recorded(AshlarStatus* status) {
    try {
      device()->capture_begin(args_.queue);
      const AshlarCode code = run_once(status);
      const Device::Handle recording = device()->capture_end(args_.queue);
      if (code) return code;
      device()->replay(args_.queue, recording.get());
      device()->drain(args_.queue);
    } catch (const Error& e) {
      provider::set_status(status, static_cast<AshlarCode>(e.code()), e.message());
      return static_cast<AshlarCode>(e.code());
    }
    return ASHLAR_OK;
  }

  // kRepeated

  void repeat() {
    if (bound_.sets_outputs) return;
    measure_leaks(*step_.instance, "run of " + operand_text(step_.label, args_.inputs, args_.input_count), [&] {
      AshlarStatus ignored = provider::new_status();
      run_once(&ignored);
      if (step_.inner->queue != 0) device()->drain(args_.queue);
    });
  }

  const SpyStep& step_;
  const AshlarRunArgs outer_;
  const SpyBinding& bound_;
  Operands operands_;
  std::vector<AshlarTensor> outputs_;
  std::vector<AshlarTensor*> output_pointers_;
  AshlarRunArgs args_;
};

SpyBinding::SpyBinding() = default;
SpyBinding::~SpyBinding() = default;

SpyStep& at(void* context) { return *static_cast<SpyStep*>(context); }

/// Runs a call of the border, with what the checks throw made a status.
template <class Body> AshlarCode guarded(AshlarStatus* status, Body body) {
  try {
    return body();
  } catch (const Error& e) {
    provider::set_status(status, static_cast<AshlarCode>(e.code()), e.message());
    return static_cast<AshlarCode>(e.code());
  } catch (const std::exception& e) {
    provider::set_status(status, ASHLAR_INTERNAL, e.what());
    return ASHLAR_INTERNAL;
  }
}

AshlarCode run(void* context, const AshlarRunArgs* args, AshlarStatus* status) {
  SpyInstance& instance = *at(context).instance;
  if (instance.device && (instance.lost || Spy::get().fails(Fault::kLost))) {
    instance.lost = true;
    provider::set_status(status, ASHLAR_DEVICE_ERROR, "the device is lost (planted)");
    return ASHLAR_DEVICE_ERROR;
  }
  return guarded(status, [&] {
    auto& bound = *static_cast<SpyBinding*>(args->binding);
    bound.running = std::make_unique<Running>(at(context), *args);
    return bound.running->run(status);
  });
}

/// Whether the dimensions that the graph knows are those that bind reports.
bool fits(const AshlarValue& value, const AshlarShape& shape) {
  if (value.rank < 0) return true;
  if (value.rank != shape.rank) return false;
  for (std::int32_t d = 0; d < value.rank; ++d)
    if (value.dims[d] >= 0 && value.dims[d] != shape.dims[d]) return false;
  return true;
}

std::string dims_text(const std::int64_t* dims, std::int32_t rank) {
  return fmt::format("[{}]", fmt::join(std::span(dims, static_cast<std::size_t>(std::clamp(rank, 0, ASHLAR_MAX_RANK))), ","));
}

/// Says what is wrong with what bind reported; whether it can be gone on with.
bool check_shapes(const SpyStep& step, const AshlarBindArgs& args, const std::vector<std::int32_t>& dtypes) {
  const std::string what = operand_text(step.label, args.inputs, args.input_count);
  bool fine = true;
  const auto say = [&](const char* check, const std::string& sentence) {
    Spy::get().find(check, what + " " + sentence);
    fine = false;
  };
  for (std::uint32_t i = 0; i < args.output_count; ++i) {
    if (step.inner->outputs[i] == ASHLAR_NONE) continue;
    const AshlarShape& shape = args.outputs[i];
    if (shape.rank == -1) continue;
    if (shape.rank < -1 || shape.rank > ASHLAR_MAX_RANK) {
      say("shapes", shape.rank == -2 ? fmt::format("binds without a shape for output {}", i)
                                     : fmt::format("binds output {} to rank {}", i, shape.rank));
      continue;
    }
    if (std::any_of(shape.dims, shape.dims + shape.rank, [](std::int64_t d) { return d < 0; }))
      say("shapes", fmt::format("binds output {} to {}", i, dims_text(shape.dims, shape.rank)));
    if (shape.dtype != dtypes[i]) say("steps", fmt::format("changes the dtype of output {} while it binds", i));
    if (shape.view_of > args.input_count || (shape.view_of > 0 && !args.inputs[shape.view_of - 1]))
      say("steps", fmt::format("makes output {} a view of input {}, which is not there", i, static_cast<std::int64_t>(shape.view_of) - 1));
    if (step.inner->outputs[i] >= step.graph->value_count) continue;
    const auto& value = *reinterpret_cast<const AshlarValue*>(reinterpret_cast<const char*>(step.graph->values) +
                                                              std::size_t{step.inner->outputs[i]} * step.graph->value_stride);
    if (!fits(value, shape)) {
      std::string known = "[";
      for (std::int32_t d = 0; d < value.rank; ++d) known += (d > 0 ? "," : "") + (value.dims[d] < 0 ? "?" : std::to_string(value.dims[d]));
      Spy::get().doubt_shape(
          fmt::format("{} binds output {} to {}, the graph knows {}]", what, i, dims_text(shape.dims, shape.rank), known));
    }
  }
  return fine;
}

AshlarCode bind_inner(SpyStep& step, AshlarBindArgs& args, AshlarStatus* status) {
  const AshlarCode code = step.inner->bind(step.inner->context, &args, status);
  if (code && args.binding) {
    if (step.inner->release_binding) step.inner->release_binding(step.inner->context, args.binding);
    args.binding = nullptr;
  }
  return code;
}

AshlarCode bind(void* context, AshlarBindArgs* args, AshlarStatus* status) {
  SpyStep& step = at(context);
  return guarded(status, [&]() -> AshlarCode {
    Operands operands(step, args->inputs, args->input_count);
    const std::string what = "bind of " + operand_text(step.label, args->inputs, args->input_count);
    set_doing(what);
    std::vector<std::int32_t> dtypes;
    for (std::uint32_t i = 0; i < args->output_count; ++i) dtypes.push_back(args->outputs[i].dtype);
    AshlarBindArgs inner = *args;
    inner.inputs = operands.inputs();
    if (step.mode == Mode::kRepeated) {
      const std::vector<AshlarShape> untouched(args->outputs, args->outputs + args->output_count);
      std::vector<AshlarShape> shapes;
      std::vector<std::uint64_t> offsets(args->input_count, ASHLAR_NO_OFFSET);
      measure_leaks(*step.instance, what, [&] {
        AshlarBindArgs more = inner;
        shapes = untouched;
        more.outputs = shapes.data();
        more.input_offsets = offsets.data();
        AshlarStatus ignored = provider::new_status();
        if (bind_inner(step, more, &ignored) == ASHLAR_OK && more.binding && step.inner->release_binding)
          step.inner->release_binding(step.inner->context, more.binding);
      });
    }
    if (const AshlarCode code = bind_inner(step, inner, status)) return code;
    auto bound = std::make_unique<SpyBinding>();
    bound->inner = inner.binding;
    bound->shapes.assign(args->outputs, args->outputs + args->output_count);
    bound->input_offsets.assign(args->input_offsets, args->input_offsets + args->input_count);
    bound->workspace_bytes = inner.workspace_bytes;
    bound->workspace_space = inner.workspace_space;
    const bool fine = check_shapes(step, *args, dtypes);
    for (std::uint32_t i = 0; i < args->output_count; ++i) {
      AshlarShape& shape = args->outputs[i];
      if (step.inner->outputs[i] != ASHLAR_NONE && shape.rank == -1) bound->sets_outputs = true;
      if (step.mode != Mode::kApart) continue;
      shape.view_of = 0;
      if (fine && shape.rank >= 0 && shape.dtype != kString)
        shape.bytes = std::max(shape.bytes, dense_bytes(shape.dtype, shape.dims, shape.rank)) + kZone;
    }
    if (step.mode == Mode::kApart) std::fill_n(args->input_offsets, args->input_count, ASHLAR_NO_OFFSET);
    const bool zone = step.mode == Mode::kApart && inner.workspace_bytes > 0;
    args->workspace_bytes = inner.workspace_bytes + (zone ? kZone : 0);
    args->workspace_space = inner.workspace_space;
    args->binding = bound.get();
    step.instance->take(SpyInstance::kBinding, bound.release());
    return ASHLAR_OK;
  });
}

void release_binding(void* context, void* binding) {
  SpyStep& step = at(context);
  auto* bound = static_cast<SpyBinding*>(binding);
  step.instance->give_back(SpyInstance::kBinding, bound);
  set_doing("release_binding of " + step.label);
  if (bound->inner && step.inner->release_binding) step.inner->release_binding(step.inner->context, bound->inner);
  delete bound;
}

}  // namespace

void SpyStep::wrap() {
  const std::size_t spaces = instance->device ? instance->device->spaces().size() : 1;
  const std::uint32_t queues = instance->device ? instance->device->info().queue_count : 0;
  const auto say = [&](const std::string& what) { Spy::get().find("steps", fmt::format("the step of {} {}", label, what)); };
  if (inner->node_count == 0) say("names no node that it computes");
  if (!inner->kernel || !*inner->kernel) say("names no kernel");
  if (!inner->bind || !inner->run) say("has no bind or no run");
  if (inner->queue > queues) say(fmt::format("runs on queue {} of {}", inner->queue, queues));
  for (std::uint32_t i = 0; i < inner->input_count; ++i)
    if (input_space(i) >= spaces) say(fmt::format("reads input {} in space {} of {}", i, input_space(i), spaces - 1));
  for (std::uint32_t i = 0; i < inner->output_count; ++i)
    if (output_space(i) >= spaces) say(fmt::format("writes output {} in space {} of {}", i, output_space(i), spaces - 1));
  outer = *inner;
  outer.struct_size = sizeof outer;
  outer.context = this;
  outer.bind = inner->bind ? &check::bind : nullptr;
  outer.run = inner->run ? &check::run : nullptr;
  outer.release_binding = &check::release_binding;
  if (mode == Mode::kApart || mode == Mode::kRepeated) outer.in_place = 0;
  if (mode != Mode::kPlain) outer.flags |= ASHLAR_STEP_NO_CAPTURE;
}

}  // namespace ashlar::check
