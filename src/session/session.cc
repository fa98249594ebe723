// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ashlar/error.h>
#include <ashlar/providers.h>
#include <ashlar/session.h>

#include "core/machine.h"
#include "core/text.h"
#include "core/thread_pool.h"
#include "ops/canonicalize.h"
#include "optimizer/legalize.h"
#include "optimizer/pass.h"
#include "partition/host.h"
#include "session/session_impl.h"

namespace ashlar::inline v0 {
namespace {

constexpr std::size_t kIdleRuns = 8;  ///< kept by Session::run for the next caller

std::shared_ptr<const partition::Host> create_host(const SessionOptions& options, const Model::Impl& model) {
  if (options.threads < 0 || options.threads > core::ThreadPool::kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument, "a session of " + std::to_string(options.threads) + " threads; from 0 to " +
                                                 std::to_string(core::ThreadPool::kMaxThreads) + " are allowed");
  core::Executor executor;
  executor.custom = options.parallel_for;
  executor.threads = options.threads > 0 ? options.threads : core::default_threads(core::read_machine());
  return std::make_shared<const partition::Host>(std::move(executor), model.weights);
}

partition::Providers create_providers(const std::vector<std::string>& names, const std::shared_ptr<const partition::Host>& host) {
  std::vector<std::string> wanted = names;
  if (wanted.empty())
    for (const partition::BuiltinProvider& p : partition::builtin_providers())
      if (p.by_default) wanted.push_back(p.name);
  partition::Providers out;
  for (const std::string& name : wanted) {
    if (std::any_of(out.begin(), out.end(), [&](const auto& p) { return p->name() == name; }))
      throw Error(ErrorCode::kInvalidArgument, "provider '" + name + "' is named twice");
    out.push_back(partition::Provider::create(name, host));
  }
  return out;
}

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

bool taken(const graph::Graph& g, graph::NodeIndex index, const partition::Providers& providers) {
  const partition::GraphView view(single_node(g, index));
  return std::any_of(providers.begin(), providers.end(), [&](const auto& p) { return p->verdict(view, 0).verdict.accepted; });
}

}  // namespace

std::vector<std::string> provider_names() {
  std::vector<std::string> names;
  for (const partition::BuiltinProvider& p : partition::builtin_providers()) names.push_back(p.name);
  return names;
}

Session::Session(const Model& model, const SessionOptions& options) try {
  auto impl = std::make_shared<Impl>();
  impl->model = std::shared_ptr<const Model::Impl>(std::make_shared<Model>(model), &model.impl());
  impl->providers = create_providers(options.providers, create_host(options, *impl->model));
  graph::Graph graph = graph::deep_copy(*impl->model->graph);
  const optimizer::Taken is_taken = [&](const graph::Graph& g, graph::NodeIndex i) { return taken(g, i, impl->providers); };
  const optimizer::Pass passes[] = {{"canonicalize", ops::canonicalize},
                                    {"legalize", [&](graph::Graph& g) { optimizer::legalize(g, is_taken); }}};
  optimizer::run_passes(graph, passes);
  impl->graph = std::make_shared<const graph::Graph>(std::move(graph));
  const partition::PartitionedGraph partitioned = partition::partition(impl->graph, impl->providers);
  partition::verify(partitioned, impl->providers);
  impl->placement = partition::placement(partitioned, impl->providers);
  impl->plan = plan::lower(partitioned, impl->providers, *impl->model->weights);
  plan::verify(*impl->plan);
  impl_ = std::move(impl);
} catch (const Error& e) {
  throw e.with({.file = model.info().file});
} catch (const std::bad_alloc&) {
  throw Error(ErrorCode::kOutOfMemory, "out of memory while preparing", {.file = model.info().file});
}

const std::vector<ValueInfo>& Session::inputs() const noexcept { return impl_->model->inputs; }
const std::vector<ValueInfo>& Session::outputs() const noexcept { return impl_->model->outputs; }
const Placement& Session::placement() const noexcept { return impl_->placement; }

std::string Session::stage_text(std::string_view stage) const {
  if (stage == "graph") return graph::to_text(*impl_->model->graph);
  if (stage == "optimized") return graph::to_text(*impl_->graph);
  if (stage == "plan") return plan::to_text(*impl_->plan);
  if (stage == "placement") {
    std::string out;
    for (const NodePlacement& n : impl_->placement.nodes) out += n.node + ": " + n.provider + " " + n.kernel + "\n";
    return out;
  }
  const std::vector<std::string> stages = {"graph", "optimized", "placement", "plan"};
  throw Error(ErrorCode::kNotFound, "no stage is named '" + core::printable(stage) + "'" + core::suggestion(stage, stages));
}

Run Session::prepare() const { return Run(std::make_unique<Run::Impl>(impl_)); }

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
