// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <ashlar/session.h>

#include "partition/partition.h"
#include "plan/batch.h"
#include "plan/plan.h"
#include "runtime/event_log.h"
#include "runtime/frame.h"
#include "session/model_impl.h"

namespace ashlar::inline v0 {

struct Session::Impl {
  /// Places and prepares. Throws what Session's constructor documents.
  static std::shared_ptr<const Impl> make(const Model& model, const SessionOptions& options, bool heed_guards,
                                          std::shared_ptr<runtime::EventLog> events);
  ~Impl();

  std::shared_ptr<const Model::Impl> model;
  SessionOptions options;
  partition::Providers providers;
  std::shared_ptr<const plan::Topology> topology;
  std::shared_ptr<const graph::Graph> graph;  ///< optimized
  Optimization optimization;
  std::unique_ptr<const plan::Plan> plan;
  /// A dimension of an input that has the name of another one before it: they must be one number.
  struct SameDim {
    std::size_t input, axis, first_input, first_axis;
  };
  std::vector<SameDim> same_dims;
  std::vector<std::uint64_t> constant_bytes;  ///< by space of the topology: what devices hold before any run
  partition::PartitionedGraph partitioned;
  partition::Request request;
  std::vector<partition::Missing> missing;
  std::shared_ptr<runtime::EventLog> events;
  bool divide_batches = true;
  int threads = 1;
  void prepare(bool heed_guards);
  /// Made when it is first asked for.
  const Placement& placement() const;
  Placement placement_nodes() const;  ///< without copies
  /// A session of the same model and options for runs in which a guard does not hold; made when it is first asked for.
  std::shared_ptr<const Impl> fallback() const;
  /// Throws Error (kInvalidArgument) in a session that only plans.
  void require_plan() const;

  /// Whether a batch may be run in parts; found when a run first has one.
  const plan::BatchRule& batch_rule() const;
  /// What a run with inputs of these types takes, in parts where it is run so.
  MemoryPlan predict(const std::vector<Value>& types) const;

  mutable std::mutex mutex;
  mutable std::vector<Run> idle_runs;  ///< what Session::run keeps, guarded by mutex
  mutable std::once_flag placement_known, fallback_known;
  mutable Placement placement_;
  mutable std::shared_ptr<const Impl> fallback_;
  mutable std::once_flag batch_rule_known;
  mutable plan::BatchRule batch_rule_;
};

struct Run::Impl {
  explicit Impl(std::shared_ptr<const Session::Impl> session);

  /// Throws Error (kNotFound) with the nearest name.
  std::size_t input_index(std::string_view name) const;
  std::size_t output_index(std::string_view name) const;
  void execute(const RunOptions& options);
  void execute_once(const RunOptions& options);
  /// The same inputs by Session::Impl::fallback.
  void execute_fallback(const RunOptions& options);
  /// Forgets inputs, outputs and bound buffers.
  void reset();

  /// An output tied to an input.
  struct State {
    std::size_t input, output;
    int axis = -1;            ///< along which it grows
    bool in_place = false;    ///< `value` lies in `storage`, with room for more; else it is dense
    std::string reason = {};  ///< why it is not in place
    std::int64_t wanted = 0;  ///< places of its first storage
    Tensor value = {};        ///< undefined before the first run
    Tensor storage = {};      ///< of a value in place
    Tensor larger = {};       ///< what takes its place when a run has ended
    bool present = false;     ///< the last run gave it, and nobody asked for the output yet
    /// Places that the storage has.
    std::int64_t room() const { return storage.defined() ? storage.shape()[static_cast<std::size_t>(axis)] : 0; }
  };
  State* state_of_input(std::size_t index);
  State* state_of_output(std::size_t index);
  void set_state(State& state, const Tensor& value) const;
  /// Once a state is no longer what the last run gave, that output is gone.
  void forget_output(State& state);
  void begin_state(State& state) const;
  void end_states();
  void make_room(State& state, const Tensor& result) const;
  Tensor new_storage(const State& state, const Tensor& like, std::int64_t places) const;
  static void end_state(State& state, const Tensor& result);
  /// Its elements without the room between them.
  Tensor dense(const State& state) const;
  void rewind(State& state, std::int64_t places) const;

  std::shared_ptr<const Session::Impl> session;
  runtime::Resources resources;
  runtime::Frame frame;
  std::vector<Value> inputs, outputs;
  std::vector<Tensor> buffers;
  std::vector<State> states;

  /// Rows of the batch that are run at once; 0: all of it.
  std::int64_t rows_at_once();
  /// Runs the batch in parts of so many rows, and puts the outputs together.
  void run_parts(std::int64_t rows, const runtime::RunState& state);
  struct Division {
    std::vector<Shape> shapes;  ///< of the inputs
    std::int64_t rows;
  };
  std::vector<Division> divisions;  ///< those found lately

  std::unique_ptr<Impl> fallback;                      ///< a run of Session::Impl::fallback
  std::vector<std::vector<Shape>> shapes_of_fallback;  ///< of the inputs, those met lately in which a guard does not hold
};

/// Of the model's inputs, in order.
std::vector<Session::Impl::SameDim> same_dims(const std::vector<ValueInfo>& inputs);

/// Throws Error (kInvalidArgument) unless the value is what the model declares for the input: kind, dtype, rank, fixed dimensions, and the
/// same of what a sequence, optional or map holds.
void check_input(const ValueInfo& info, const Value& value);

}  // namespace ashlar::inline v0
