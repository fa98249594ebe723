// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/export.h>
#include <ashlar/memory.h>
#include <ashlar/model.h>
#include <ashlar/passes.h>
#include <ashlar/placement.h>
#include <ashlar/profile.h>
#include <ashlar/tensor.h>
#include <ashlar/trace.h>
#include <ashlar/value.h>

namespace ashlar::inline v0 {

struct SessionOptions {
  /// Providers in order of preference, named as providers.h says: each node runs on the first that accepts it. Empty: the build's
  /// default ones. One that cannot be had is an Error that says what was looked for and found; no other takes its place.
  std::vector<std::string> providers = {};
  /// Where nodes go: on the first provider that accepts them, or where kernels and copies together cost least (docs/placement.md).
  enum class Policy { kPreference, kCost };
  Policy policy = Policy::kPreference;
  /// Times that runs measured. Not empty: the policy is kCost, and they count where they are there.
  Profile profile = {};
  /// Providers that must run what a pattern matches, the first pattern that matches counts. A pattern is a node's id in the model or in the session,
  /// or "op:Conv", with '*' for any characters and '?' for one. The load fails with kUnsupported and the list of nodes that their provider
  /// refuses, and with kNotFound for a pattern that matches nothing.
  std::vector<std::pair<std::string, std::string>> pins = {};
  /// Shapes of inputs that the model leaves open, which costs are reckoned with; a dimension that is not known counts as 1.
  std::map<std::string, Shape> expected_shapes = {};
  /// A provider that cannot be had is no Error: it refuses every node, with device_missing or library_missing and the reason.
  bool allow_missing = false;
  /// Nothing is prepared and nothing can be run: a session for its placement, copies and what-if alone. Weights may be missing (Model::plan).
  bool plan_only = false;
  /// Of plan_only: devices to plan for in place of this machine's, as JSON: {"providers": [...]} as environment_json gives it and `ashlar doctor
  /// --device-json` writes it. Throws Error (kInvalidArgument) where it cannot be read.
  std::string devices = {};
  /// Providers, of those above, that must run every node but those of the operators in allow_cpu_for (`Op` or `domain::Op`); empty: any may. What
  /// the core does itself, control flow and shape arithmetic, is asked of nobody. A node elsewhere is an Error (kUnsupported) that lists all of them, with
  /// the code and the sentence of every required provider's refusal; kNotFound for a name that is no provider of this session.
  std::vector<std::string> require = {};
  std::vector<std::string> allow_cpu_for = {};
  /// Threads a run may use, the caller's included; 0: the smallest of affinity mask, control-group quota and physical cores (`ashlar doctor`
  /// shows them). Results have the same bits whenever this number is the same. Errors: kInvalidArgument when it is negative or above 256.
  int threads = 0;
  /// Runs task(0) to task(n - 1), each once, on threads of the application's, and returns when all are done; used instead of Ashlar's
  /// own threads, which are then never started. Called from the thread that runs the session, for several runs at once.
  std::function<void(int n, const std::function<void(int)>& task)> parallel_for = {};
  /// Bytes that this session may take of a provider's memory spaces, its runs together: "NAME" for the first space, "NAME/SPACE" for
  /// another ("stone", "stone/pinned"). Weights count when the session is made, arenas where their size is known then, else when a run
  /// binds; what would go beyond is an Error (kOutOfMemory) that names the largest tensors. Session::memory predicts the bytes.
  std::map<std::string, std::uint64_t> memory_limits = {};
  /// Which passes rewrite the graph; all of them unless it says otherwise. Errors: kNotFound for a pass that does not exist (with the nearest
  /// name), kInvalidArgument for one that cannot be disabled and for a negative stop_after.
  PassOptions passes = {};
  /// A batch may be run in parts whose intermediate values fit in the caches, where every row of the outputs depends on that row of the inputs
  /// alone (stage_text("plan") says whether, and why not) and memory would else bound the steps.
  bool divide_batches = true;
};

/// Cancels runs: pass a token to RunOptions and call cancel() from any thread. May be shared by many runs; outlives them.
class CancelToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  void reset() noexcept { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

struct RunOptions {
  Trace* trace = nullptr;                                 ///< filled when given
  const CancelToken* cancel = nullptr;                    ///< checked between steps
  std::optional<std::chrono::nanoseconds> deadline = {};  ///< from the start of the run, checked between steps
};

/// An output tied to an input by Run::state, as it is now.
struct StateInfo {
  std::string past, present;
  Shape shape;                ///< of what the next run reads as `past`; no dimensions before the first run, unless it was bound
  int axis = -1;              ///< along which it grows; -1: it does not
  std::int64_t capacity = 0;  ///< places along the axis that its memory has
  bool in_place = false;      ///< a run appends where the state lies; else it gives a new tensor, which becomes the state
  std::string reason;         ///< why it is not in place: a sentence
};

class Session;

/// One caller's way of running a session: inputs and outputs bound once, run as often as wanted. Serves one thread at a time;
/// it keeps its session alive. A run that fails leaves the Run usable.
class ASHLAR_API Run {
 public:
  Run(Run&&) noexcept;
  Run& operator=(Run&&) noexcept;
  ~Run();

  /// Binds an input by its index in Session::inputs() or by name. The tensor's memory is read at each run and must outlive
  /// the binding. Throws Error (kInvalidArgument) for a dtype, rank or fixed dimension that the model does not declare, and
  /// kNotFound (with the nearest name) for a name that is none.
  void bind_input(std::size_t index, Value value);
  void bind_input(std::string_view name, Value value);
  /// Binds caller memory that an output is written to. The dtype must be the output's; the buffer may be larger than the
  /// output, and too small is an Error (kInvalidArgument) of the run that states both sizes.
  void bind_output(std::size_t index, Tensor buffer);
  void bind_output(std::string_view name, Tensor buffer);

  /// Ties an output to an input: what a run gives for `present` is what the next run reads for `past`, such as the cache of a decoder's keys
  /// or the state of a recurrent network. A cache that one step extends grows in place, in memory for `capacity` places (which doubles when
  /// that is too little): no run copies what is there. Any other output becomes the next input as it is; states() says which, and why.
  ///
  /// A state begins without places along the axis in which the declared types of the two differ, else as zeros; bind_input gives it other
  /// elements (which are copied) at any time. output(present) is a dense tensor, made when it is asked for, and undefined once the state was
  /// bound, rewound or restarted. A run that fails leaves states as they were. Throws Error: kNotFound for a name that is none, kInvalidArgument where the two are no tensors of one dtype and rank, where
  /// one of them is tied already, the output has a bound buffer, or the capacity is negative.
  void state(std::string_view past, std::string_view present, std::int64_t capacity = 0);
  std::vector<StateInfo> states() const;
  /// The next run begins with every state as a new one: without places, or zeros, whatever was bound.
  void restart();
  /// Leaves the first `places` of every state that grows, as if what came later had not been run. Throws Error (kInvalidArgument) when one has less.
  void rewind(std::int64_t places);

  /// Runs. Afterwards output(i) holds each result: in the bound buffer, or in memory this Run owns until its next run.
  /// Throws Error: kInvalidArgument for a missing input, kCancelled, kDeadlineExceeded, kRuntime and others with the node.
  void operator()(const RunOptions& options = {});

  const Value& output(std::size_t index) const;
  const Value& output(std::string_view name) const;

  struct Impl;

 private:
  friend class Session;
  explicit Run(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A model placed and prepared on providers. Thread-safe: any number of threads may run it at once, and they share weights.
/// Copies refer to the same session.
class ASHLAR_API Session {
 public:
  /// Places every node and prepares its kernels. Throws Error: kNotFound for an unknown provider (with the nearest name),
  /// kUnavailable for one this machine cannot run, kUnsupported naming a node that no provider takes and each one's reason.
  explicit Session(const Model& model, const SessionOptions& options = {});

  const std::vector<ValueInfo>& inputs() const noexcept;
  const std::vector<ValueInfo>& outputs() const noexcept;

  /// Runs once and returns the outputs in graph order, in memory of their own. Inputs are borrowed until it returns.
  NamedValues run(const NamedValues& inputs, const RunOptions& options = {}) const;
  /// A Run of its own for repeated use.
  Run prepare() const;

  /// Where every node runs and why, and every copy between memory spaces.
  const Placement& placement() const;
  /// The kernels worth writing: for each that a provider lacks, what the placement would be with it. `single`: each refused node by itself.
  std::vector<WhatIf> what_if(bool single = false) const;
  /// What runs met that the placement could not know; at most 1,000 different ones are kept.
  std::vector<PlacementEvent> events() const;
  /// What the passes did to the model's graph, and what they nearly did.
  const Optimization& optimization() const noexcept;
  /// What this session takes of every memory space, and one run with inputs of these shapes; an input that is not named has the model's
  /// shape, where that is fixed. Nothing is run, and no memory taken. Throws Error: kNotFound for a name that is no input, kInvalidArgument for a
  /// shape the model does not declare, and what binding a run to such shapes throws.
  MemoryPlan memory(const std::map<std::string, Shape>& shapes = {}) const;
  /// The text form of a stage: "graph" (as imported), "optimized", "placement" or "plan". Throws Error (kNotFound) for another.
  std::string stage_text(std::string_view stage) const;

  struct Impl;

 private:
  void check_limits() const;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace ashlar::inline v0
