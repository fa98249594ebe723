// SPDX-License-Identifier: Apache-2.0
#include "spy.h"

#include <cstring>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include <ashlar/error.h>
#include <ashlar/provider/provider.h>
#include <ashlar/providers.h>

#include "child.h"
#include "spy_instance.h"

namespace ashlar::check {
namespace {

using provider::new_status;
using provider::NodeView;
using provider::set_status;

constexpr const char* kVerdictCodes[] = {"accepted",       "no_kernel_op",       "no_kernel_dtype", "no_kernel_opset",
                                         "rank",           "attribute",          "layout",          "unknown_shape",
                                         "dynamic_shape",  "subgraph_too_small", "cost_model",      "user_pin",
                                         "device_missing", "library_missing",    "memory_budget",   "capture_incompatible"};

SpyInstance& at(void* instance) { return *static_cast<SpyInstance*>(instance); }

std::string operator_of(const NodeView& node) {
  return (node.domain().empty() ? "" : std::string(node.domain()) + "::") + std::string(node.op_type());
}

template <std::size_t N> std::string text_of(const char (&text)[N]) { return std::string(text, strnlen(text, N)); }

std::string answer_text(const AshlarVerdict& v) {
  return v.code == ASHLAR_ACCEPTED ? fmt::format("accepted with kernel '{}'", text_of(v.kernel))
                                   : fmt::format("refused with code {}, '{}'", v.code, text_of(v.reason));
}

AshlarCode create(const AshlarHost* host, const AshlarOption* options, std::uint32_t count, void** instance, AshlarStatus* status) {
  set_doing("create");
  const AshlarProvider* table = Spy::get().watched()(host, status);
  if (!table) return status->code;
  auto made = std::make_unique<SpyInstance>(*table, *host);
  if (const AshlarCode code = table->create(&made->host, options, count, &made->inner, status)) return code;
  if (table->device) {
    try {
      made->device = std::make_unique<Device>(*table, made->inner);
    } catch (const Error& e) {
      set_status(status, static_cast<AshlarCode>(e.code()), e.message());
      table->destroy(made->inner);
      return static_cast<AshlarCode>(e.code());
    }
  }
  *instance = made.release();
  return ASHLAR_OK;
}

void destroy(void* instance) {
  SpyInstance& spy = at(instance);
  const AshlarProvider& table = spy.table;
  void* inner = spy.inner;
  delete &spy;  // says what is left over, frees what it added
  set_doing("destroy");
  table.destroy(inner);
}

AshlarCode describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
  set_doing("describe");
  return at(instance).table.describe(at(instance).inner, info, status);
}

/// Prepares the node alone and releases that again.
void try_prepare(SpyInstance& spy, const AshlarGraph* graph, std::uint32_t index) {
  const NodeView node(graph, index, &spy.host);
  set_doing(fmt::format("prepare of {}", operator_of(node)));
  AshlarProgram program{};
  program.struct_size = sizeof program;
  AshlarStatus status = new_status();
  const AshlarCode code = spy.table.prepare(spy.inner, graph, &index, 1, &program, &status);
  if (code == ASHLAR_OK) return spy.table.release(spy.inner, &program);
  if (code != ASHLAR_OUT_OF_MEMORY && code != ASHLAR_DEVICE_ERROR)
    Spy::get().find("verdicts", fmt::format("it accepts {}, but prepare fails: {}", operator_of(node), text_of(status.message)));
}

AshlarCode ask(SpyInstance& spy, const AshlarGraph* graph, std::uint32_t index, AshlarVerdict& verdict, AshlarStatus* status) {
  verdict = AshlarVerdict{};
  verdict.struct_size = sizeof verdict;
  return spy.table.verdict(spy.inner, graph, index, &verdict, status);
}

AshlarCode verdict(void* instance, const AshlarGraph* graph, std::uint32_t index, AshlarVerdict* out, AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  const NodeView node(graph, index, &spy.host);
  const std::string op = operator_of(node);
  set_doing(fmt::format("verdict on {}", op));
  AshlarVerdict second;
  if (const AshlarCode code = ask(spy, graph, index, *out, status)) return code;
  if (const AshlarCode code = ask(spy, graph, index, second, status)) return code;
  if (out->code != second.code || text_of(out->reason) != text_of(second.reason) || text_of(out->kernel) != text_of(second.kernel))
    Spy::get().find("verdicts", fmt::format("its answer about {} changes: first {}, then {}", op, answer_text(*out), answer_text(second)));
  if (Spy::get().mode() == Mode::kRepeated)
    measure_leaks(spy, "verdict on " + op, [&] {
      AshlarStatus ignored = new_status();
      ask(spy, graph, index, second, &ignored);
    });
  if (out->code == ASHLAR_ACCEPTED) {
    const bool typed = node.has_input(0) || node.has_output(0);
    const auto dtype = !typed ? DType::kUndefined : node.has_input(0) ? node.input(0).dtype() : node.output(0).dtype();
    Spy::get().claim(op, provider::dtype_name(dtype));
    if (Spy::get().mode() == Mode::kApart) try_prepare(spy, graph, index);
    return ASHLAR_OK;
  }
  const bool known = out->code > ASHLAR_ACCEPTED && static_cast<std::size_t>(out->code) < std::size(kVerdictCodes);
  if (!known) {
    Spy::get().find("verdicts", fmt::format("it refuses {} with the code {}, which is none", op, out->code));
    out->code = ASHLAR_NO_KERNEL_OP;
  }
  if (text_of(out->reason).empty()) {
    Spy::get().find("verdicts", fmt::format("it refuses {} ({}) without a reason", op, kVerdictCodes[out->code]));
    std::strcpy(out->reason, "no reason");
  }
  Spy::get().refuse(op, kVerdictCodes[out->code]);
  return ASHLAR_OK;
}

const AshlarStep& step_of(const AshlarProgram& program, std::uint32_t i) {
  return *reinterpret_cast<const AshlarStep*>(reinterpret_cast<const char*>(program.steps) + std::size_t{i} * program.step_stride);
}

/// What is wrong with the program as a whole.
void check_program(const AshlarProgram& program, const std::vector<std::uint32_t>& asked, const SpyInstance& spy,
                   const AshlarGraph* graph) {
  std::set<std::uint32_t> left(asked.begin(), asked.end()), signalled;
  for (std::uint32_t i = 0; i < program.step_count; ++i) {
    const AshlarStep& step = step_of(program, i);
    const auto say = [&](const std::string& what) {
      Spy::get().find("steps", fmt::format("a step with kernel '{}' {}", step.kernel ? step.kernel : "", what));
    };
    for (std::uint32_t n = 0; n < step.node_count; ++n) left.erase(step.nodes[n]);
    for (std::uint32_t w = 0; w < step.wait_count; ++w)
      if (step.waits[w] >= program.event_count || !signalled.contains(step.waits[w]))
        say(fmt::format("waits for event {}, which no step before it signals", step.waits[w]));
    for (std::uint32_t s = 0; s < step.signal_count; ++s) {
      if (step.signals[s] >= program.event_count) say(fmt::format("signals event {} of {}", step.signals[s], program.event_count));
      signalled.insert(step.signals[s]);
    }
    for (const auto& [ids, count] : {std::pair{step.inputs, step.input_count}, std::pair{step.outputs, step.output_count}})
      for (std::uint32_t v = 0; v < count; ++v)
        if (ids[v] != ASHLAR_NONE && ids[v] >= graph->value_count + program.value_count)
          say("has an operand that the program does not list");
  }
  for (const std::uint32_t node : left)
    Spy::get().find("steps", fmt::format("prepare makes no step of {}, which it was given", operator_of(NodeView(graph, node, &spy.host))));
}

AshlarCode prepare(void* instance, const AshlarGraph* graph, const std::uint32_t* nodes, std::uint32_t count, AshlarProgram* out,
                   AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  const std::vector<std::uint32_t> asked(nodes, nodes + count);
  std::string label;
  for (const std::uint32_t n : asked) {
    AshlarVerdict again;
    if (ask(spy, graph, n, again, status) == ASHLAR_OK && again.code != ASHLAR_ACCEPTED)
      Spy::get().find("verdicts", fmt::format("its answer about {} changes: first accepted, in prepare {}",
                                              operator_of(NodeView(graph, n, &spy.host)), answer_text(again)));
    if (label.size() < 100) label += (label.empty() ? "" : ", ") + operator_of(NodeView(graph, n, &spy.host));
  }
  set_doing("prepare of " + label);
  auto program = std::make_unique<SpyProgram>();
  const auto prepared = [&](AshlarProgram& to) {
    to = AshlarProgram{};
    to.struct_size = sizeof to;
    return spy.table.prepare(spy.inner, graph, asked.data(), count, &to, status);
  };
  if (const AshlarCode code = prepared(program->inner)) {
    if (code != ASHLAR_OUT_OF_MEMORY && code != ASHLAR_DEVICE_ERROR && !Spy::get().injected())
      Spy::get().find("verdicts", fmt::format("it accepts {}, but prepare fails: {}", label, text_of(status->message)));
    return code;
  }
  const Mode mode = Spy::get().mode();
  if (mode == Mode::kRepeated)
    measure_leaks(spy, "prepare and release of " + label, [&] {
      AshlarProgram more;
      if (prepared(more) == ASHLAR_OK) spy.table.release(spy.inner, &more);
    });
  check_program(program->inner, asked, spy, graph);
  for (std::uint32_t i = 0; i < program->inner.step_count; ++i) {
    const AshlarStep& inner = step_of(program->inner, i);
    SpyStep& step = program->steps.emplace_back(SpyStep{&spy, &inner, graph, mode, "", {}});
    for (std::uint32_t n = 0; n < inner.node_count; ++n)
      step.label +=
          (n > 0 ? "+" : "") + (inner.nodes[n] < graph->node_count ? operator_of(NodeView(graph, inner.nodes[n], &spy.host)) : "?");
    step.wrap();
    program->outer.push_back(step.outer);
  }
  *out = program->inner;
  out->steps = program->outer.data();
  out->step_stride = sizeof(AshlarStep);
  out->handle = program.get();
  spy.take(SpyInstance::kProgram, program.release());
  return ASHLAR_OK;
}

void release(void* instance, AshlarProgram* program) {
  SpyInstance& spy = at(instance);
  auto* wrapped = static_cast<SpyProgram*>(program->handle);
  spy.give_back(SpyInstance::kProgram, wrapped);
  set_doing("release");
  spy.table.release(spy.inner, &wrapped->inner);
  delete wrapped;
}

const AshlarProvider* entry(const AshlarHost* host, AshlarStatus* status) {
  const AshlarProvider* inner = Spy::get().watched()(host, status);
  if (!inner) return nullptr;
  static std::mutex mutex;
  static std::map<const AshlarProvider*, AshlarProvider> tables;
  const std::lock_guard lock(mutex);
  AshlarProvider& table = tables[inner];
  table = *inner;
  table.struct_size = sizeof table;
  table.name = kSpyName;
  table.create = &create;
  table.destroy = &destroy;
  table.describe = &describe;
  table.verdict = &verdict;
  table.prepare = &prepare;
  table.release = &release;
  table.device = inner->device ? &spy_device() : nullptr;
  return &table;
}

}  // namespace

Spy& Spy::get() {
  static Spy spy;
  return spy;
}

void Spy::watch(AshlarProviderEntry inner) {
  if (!std::exchange(entry_, inner)) add_provider(kSpyName, &entry);
}

void Spy::inject(Fault fault, int at) {
  fault_ = Fault::kNone;
  calls_left_ = at;
  injected_ = false;
  fault_ = fault;
}

bool Spy::fails(Fault fault) {
  if (fault_ != fault || calls_left_.fetch_sub(1) != 1) return false;
  injected_ = true;
  return true;
}

void Spy::find(std::string check, std::string sentence) {
  const std::lock_guard lock(mutex_);
  if (known_.insert(check + sentence).second) findings_.push_back({std::move(check), std::move(sentence)});
}

void Spy::doubt_shape(std::string sentence) {
  constexpr std::size_t kMost = 3;
  const std::lock_guard lock(mutex_);
  if (doubts_.size() < kMost) doubts_.push_back({"shapes", std::move(sentence)});
}

std::vector<Finding> Spy::take_doubts() {
  const std::lock_guard lock(mutex_);
  return std::exchange(doubts_, {});
}

std::vector<Finding> Spy::take_findings() {
  const std::lock_guard lock(mutex_);
  known_.clear();
  return std::exchange(findings_, {});
}

void Spy::claim(const std::string& op, const std::string& dtype) {
  const std::lock_guard lock(mutex_);
  claims_[op].accepted.insert(dtype);
}

void Spy::refuse(const std::string& op, const std::string& code) {
  const std::lock_guard lock(mutex_);
  ++claims_[op].refused[code];
}

std::map<std::string, Claims> Spy::take_claims() {
  const std::lock_guard lock(mutex_);
  return std::exchange(claims_, {});
}

}  // namespace ashlar::check
