// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ashlar/error.h>
#include <ashlar/session.h>

#include "core/text.h"
#include "optimizer/pass.h"
#include "partition/host.h"
#include "partition/report.h"
#include "partition/require.h"
#include "partition/what_if.h"
#include "plan/ledger.h"
#include "runtime/predict.h"
#include "session/folding.h"
#include "session/providers.h"
#include "session/session_impl.h"

namespace ashlar::inline v0 {
namespace {

constexpr std::size_t kLargest = 10;  ///< tensors that a memory plan names
constexpr std::size_t kIdleRuns = 8;  ///< kept by Session::run for the next caller

/// A graph of one node, with the values it touches.
std::shared_ptr<const graph::Graph> single_node(const graph::Graph& g, graph::NodeIndex index) {
  auto out = std::make_shared<graph::Graph>();
  graph::Node node = g.nodes[index];
  node.captures.clear();
  for (auto* ids : {&node.inputs, &node.outputs})
    for (graph::ValueId& id : *ids)
      if (id != graph::kNone) {
        out->values.push_back(g.values[id]);
        id = static_cast<graph::ValueId>(out->values.size() - 1);
      }
  out->nodes.push_back(std::move(node));
  return out;
}

/// Who takes the node as it stands alone, and what the last one said that does not.
optimizer::Answer asked(const graph::Graph& g, graph::NodeIndex index, const partition::Providers& providers) {
  const partition::GraphView view(single_node(g, index));
  optimizer::Answer answer;
  for (std::size_t i = 0; i < providers.size(); ++i) {
    const partition::Answer said = providers[i]->verdict(view, 0);
    if (said.accepted()) return {static_cast<int>(i), std::move(answer.refusal)};
    answer.refusal +=
        (answer.refusal.empty() ? "" : "; ") + providers[i]->name() + " (" + partition::verdict_code_name(said.code) + "): " + said.reason;
  }
  return answer;
}

/// Steps that a device which records would leave out, as events: it is known before any run.
void report_captures(const plan::Plan& plan, const plan::Topology& topology, runtime::EventLog& events) {
  for (const plan::Step& step : plan.steps) {
    if (step.provider_step && step.lane != 0 && (step.provider_step->flags & ASHLAR_STEP_NO_CAPTURE) != 0 &&
        topology.devices[topology.lanes[step.lane].device]->captures())
      events.add({plan.node(step).id, step.provider, partition::verdict_code_name(ASHLAR_CAPTURE_INCOMPATIBLE),
                  "its kernel " + step.kernel + " cannot be recorded: it is enqueued at every run"});
    for (const auto& [name, body] : step.bodies) report_captures(*body, topology, events);
  }
}

}  // namespace

Session::Impl::~Impl() {
  idle_runs.clear();
  plan.reset();
  if (graph) session::forget_constants(*graph, *model->weights, session::constant_addresses(*model->graph));
  for (const auto& provider : providers) provider->host().release_device();
}

std::shared_ptr<const Session::Impl> Session::Impl::make(const Model& model, const SessionOptions& options, bool heed_guards,
                                                         std::shared_ptr<runtime::EventLog> events) {
  auto impl = std::make_shared<Impl>();
  impl->model = std::shared_ptr<const Model::Impl>(std::make_shared<Model>(model), &model.impl());
  impl->options = options;
  impl->events = std::move(events);
  impl->prepare(heed_guards);
  return impl;
}

void Session::Impl::prepare(bool heed_guards) {
  divide_batches = options.divide_batches;
  threads = session::thread_count(options);
  providers = session::create_providers(options, threads, *model, missing);
  topology = session::create_topology(providers, options.memory_limits);
  same_dims = ashlar::same_dims(model->inputs);
  session::check_expected(options.expected_shapes, model->inputs);
  request = session::request_of(options);
  request.heed_guards = heed_guards;
  graph::Graph optimized = graph::deep_copy(*model->graph);
  const std::unordered_set<const void*> lasting = session::constant_addresses(*model->graph);
  const partition::Providers folding = session::computing(providers, options, threads, *model);
  optimization = optimizer::optimize(
      optimized, options.passes, [&](const graph::Graph& g, graph::NodeIndex i) { return asked(g, i, providers); },
      [&](const graph::Graph& g) { return session::evaluate(g, folding, topology, *model->weights, lasting); });
  graph = std::make_shared<const graph::Graph>(std::move(optimized));
  partitioned = partition::partition(graph, providers, request);
  partition::verify(partitioned, providers);
  if (!options.require.empty()) partition::check_required(placement_nodes(), providers, options.require, options.allow_cpu_for);
  if (options.plan_only) return;
  plan = plan::lower(partitioned, providers, topology, *model->weights);
  plan::verify(*plan);
  report_captures(*plan, *topology, *events);
  for (const plan::Topology::Space& space : topology->spaces)
    constant_bytes.push_back(space.device == plan::kNoDevice ? 0 : topology->devices[space.device]->used(space.number));
}

Session::Session(const Model& model, const SessionOptions& options) try {
  impl_ = Impl::make(model, options, true, std::make_shared<runtime::EventLog>());
  if (!options.memory_limits.empty() && !options.plan_only) check_limits();
} catch (const Error& e) {
  throw e.with({.file = model.info().file});
} catch (const std::bad_alloc&) {
  throw Error(ErrorCode::kOutOfMemory, "out of memory while preparing", {.file = model.info().file});
}

Placement Session::Impl::placement_nodes() const { return partition::report(partitioned, providers, missing, request); }

const Placement& Session::Impl::placement() const {
  std::call_once(placement_known, [&] {
    placement_ = placement_nodes();
    placement_.copies =
        plan ? plan::ledger(*plan, partitioned, providers, request) : partition::planned_copies(partitioned, providers, request);
    for (const BoundaryCopy& c : placement_.copies)
      if (!c.once) placement_.cost_ns += c.cost_ns;
  });
  return placement_;
}

std::shared_ptr<const Session::Impl> Session::Impl::fallback() const {
  std::call_once(fallback_known, [&] { fallback_ = make(Model(model), options, false, events); });
  return fallback_;
}

void Session::Impl::require_plan() const {
  if (!plan) throw Error(ErrorCode::kInvalidArgument, "the session only plans: it cannot be run");
}

const std::vector<ValueInfo>& Session::inputs() const noexcept { return impl_->model->inputs; }
const std::vector<ValueInfo>& Session::outputs() const noexcept { return impl_->model->outputs; }
const Placement& Session::placement() const { return impl_->placement(); }
std::vector<WhatIf> Session::what_if(bool single) const {
  return partition::what_if(impl_->partitioned, impl_->providers, impl_->request, single);
}
std::vector<PlacementEvent> Session::events() const { return impl_->events->list(); }
const Optimization& Session::optimization() const noexcept { return impl_->optimization; }

std::string Session::stage_text(std::string_view stage) const {
  if (stage == "graph") return graph::to_text(*impl_->model->graph);
  if (stage == "optimized") return graph::to_text(*impl_->graph);
  if (stage == "plan") {
    impl_->require_plan();
    const plan::BatchRule& rule = impl_->batch_rule();
    return plan::to_text(*impl_->plan) +
           (rule.divisible ? "a batch may be run in parts\n" : "a batch is run at once: " + rule.reason + "\n");
  }
  if (stage == "placement") {
    std::string out;
    for (const NodePlacement& n : impl_->placement().nodes) out += n.node + ": " + n.provider + " " + n.kernel + "\n";
    return out;
  }
  const std::vector<std::string> stages = {"graph", "optimized", "placement", "plan"};
  throw Error(ErrorCode::kNotFound, "no stage is named '" + core::printable(stage) + "'" + core::suggestion(stage, stages));
}

MemoryPlan Session::memory(const std::map<std::string, Shape>& shapes) const {
  impl_->require_plan();
  std::vector<Value> inputs;
  std::size_t named = 0;
  std::vector<std::string> names;
  for (const ValueInfo& info : impl_->model->inputs) {
    names.push_back(info.name);
    const auto given = shapes.find(info.name);
    named += given != shapes.end() ? 1 : 0;
    std::optional<Shape> shape;
    if (given != shapes.end()) shape = given->second;
    else if (info.type.shape && std::all_of(info.type.shape->begin(), info.type.shape->end(), [](const Dim& d) { return d.fixed(); })) {
      std::vector<std::int64_t> dims;
      for (const Dim& d : *info.type.shape) dims.push_back(d.value);
      shape = Shape(std::span<const std::int64_t>(dims));
    }
    if (!shape || info.type.kind != ValueType::Kind::kTensor || info.type.dtype == DType::kUndefined) {
      inputs.emplace_back();
      continue;
    }
    inputs.emplace_back(Tensor::adopt(info.type.dtype, *shape, const_cast<void*>(runtime::no_data()), nullptr, true));
    check_input(info, inputs.back());
  }
  for (const auto& [name, shape] : shapes)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error(ErrorCode::kNotFound, "no input is named '" + core::printable(name) + "'" + core::suggestion(name, names),
                  {.tensor = name});
  MemoryPlan plan;
  try {
    plan = impl_->predict(inputs);
  } catch (const runtime::GuardFailure& failure) {
    throw Error(ErrorCode::kUnsupported, failure.reason, {.node = failure.node, .provider = failure.provider});
  }
  plan.spaces[0].constants = impl_->model->weights->packed_bytes();
  for (std::uint32_t s = 1; s < plan.spaces.size(); ++s) {
    plan.spaces[s].constants = impl_->constant_bytes[s];
    runtime::merge_largest(plan.spaces[s].largest, runtime::largest_constants(*impl_->plan, s, kLargest), kLargest);
  }
  return plan;
}

void Session::check_limits() const {
  const MemoryPlan plan = memory();
  for (std::uint32_t s = 1; s < plan.spaces.size(); ++s) {
    const plan::Topology::Space& space = impl_->topology->spaces[s];
    const std::optional<std::uint64_t> limit = impl_->topology->devices[space.device]->space(space.number).limit;
    const SpaceMemory& needs = plan.spaces[s];
    if (!limit || needs.peak() <= *limit) continue;
    throw Error(ErrorCode::kOutOfMemory,
                "one run needs " + std::to_string(needs.peak()) + " bytes of the memory '" + needs.space + "' (constants " +
                    std::to_string(needs.constants) + ", arenas " + std::to_string(needs.arena) + ", buffers " +
                    std::to_string(needs.buffers) + "), this session's limit is " + std::to_string(*limit) +
                    "; the largest: " + runtime::to_string(needs.largest),
                {.provider = impl_->topology->devices[space.device]->name()});
  }
}

Run Session::prepare() const {
  impl_->require_plan();
  return Run(std::make_unique<Run::Impl>(impl_));
}

NamedValues Session::run(const NamedValues& inputs, const RunOptions& options) const {
  std::optional<Run> run;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->idle_runs.empty()) {
      run.emplace(std::move(impl_->idle_runs.back()));
      impl_->idle_runs.pop_back();
    }
  }
  if (!run) run.emplace(prepare());
  run->impl_->session = impl_;
  for (const auto& [name, value] : inputs) run->bind_input(name, value);
  (*run)(options);
  NamedValues outputs;
  for (std::size_t i = 0; i < impl_->model->outputs.size(); ++i) outputs.add(impl_->model->outputs[i].name, run->output(i));
  run->impl_->reset();
  run->impl_->session.reset();  // an idle run must not keep its own session alive
  const std::lock_guard lock(impl_->mutex);
  if (impl_->idle_runs.size() < kIdleRuns) impl_->idle_runs.push_back(std::move(*run));
  return outputs;
}

}  // namespace ashlar::inline v0
