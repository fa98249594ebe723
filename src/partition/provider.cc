// SPDX-License-Identifier: Apache-2.0
#include "partition/provider.h"

#include <cstring>

#include <ashlar/provider/failure.h>

#include "core/text.h"
#include "partition/graph_view.h"
#include "partition/host.h"

namespace ashlar::partition {

using provider::new_status;

Error to_error(AshlarCode code, const AshlarStatus& status, ErrorContext context) {
  const bool known = code >= ASHLAR_INVALID_ARGUMENT && code <= ASHLAR_INTERNAL;
  const std::string_view text(status.message, strnlen(status.message, sizeof(status.message)));
  std::string message = text.empty() ? "the provider failed with status " + std::to_string(code) + " and gave no reason"
                                     : core::printable(text, sizeof(status.message));
  return Error(known ? static_cast<ErrorCode>(code) : ErrorCode::kInternal, std::move(message), std::move(context));
}

const char* verdict_code_name(AshlarVerdictCode code) noexcept {
  static constexpr const char* kNames[] = {"accepted",       "no_kernel_op",       "no_kernel_dtype", "no_kernel_opset",
                                           "rank",           "attribute",          "layout",          "unknown_shape",
                                           "dynamic_shape",  "subgraph_too_small", "cost_model",      "user_pin",
                                           "device_missing", "library_missing",    "memory_budget",   "capture_incompatible"};
  return code >= 0 && code < static_cast<int>(std::size(kNames)) ? kNames[code] : nullptr;
}

Program::Program(std::shared_ptr<const Provider> provider, std::shared_ptr<const GraphView> view, const AshlarProgram& program)
    : provider_(std::move(provider)), view_(std::move(view)), program_(program) {}

Program::~Program() { provider_->table_->release(provider_->instance_, &program_); }

const AshlarStep& Program::step(std::uint32_t i) const noexcept {
  return *reinterpret_cast<const AshlarStep*>(reinterpret_cast<const char*>(program_.steps) + std::size_t{i} * program_.step_stride);
}

const AshlarProgramValue& Program::value(std::uint32_t i) const noexcept {
  return *reinterpret_cast<const AshlarProgramValue*>(reinterpret_cast<const char*>(program_.values) +
                                                      std::size_t{i} * program_.value_stride);
}

Provider::Provider(std::string name, std::shared_ptr<const Host> host, const AshlarProvider* table, void* instance)
    : name_(std::move(name)), host_(std::move(host)), table_(table), instance_(instance) {}

Provider::~Provider() { table_->destroy(instance_); }

std::shared_ptr<const Provider> Provider::create(const std::string& name, std::shared_ptr<const Host> host) {
  std::vector<std::string> names;
  for (const BuiltinProvider& p : builtin_providers()) {
    names.push_back(p.name);
    if (name != p.name) continue;
    AshlarStatus status = new_status();
    const AshlarProvider* table = p.entry(&host->abi(), &status);
    if (!table) throw to_error(status.code, status, {.provider = name});
    if (table->abi_version != ASHLAR_ABI_VERSION)
      throw Error(ErrorCode::kUnsupported,
                  "it was built for version " + std::to_string(table->abi_version) + " of the provider border, this core has " +
                      std::to_string(ASHLAR_ABI_VERSION),
                  {.provider = name});
    void* instance = nullptr;
    if (const AshlarCode code = table->create(&host->abi(), nullptr, 0, &instance, &status))
      throw to_error(code, status, {.provider = name});
    return std::shared_ptr<const Provider>(new Provider(name, std::move(host), table, instance));
  }
  throw Error(ErrorCode::kNotFound, "no provider is named '" + core::printable(name) + "'" + core::suggestion(name, names));
}

std::string Provider::device() const {
  AshlarProviderInfo info{};
  info.struct_size = sizeof(info);
  AshlarStatus status = new_status();
  if (const AshlarCode code = table_->describe(instance_, &info, &status)) throw to_error(code, status, {.provider = name_});
  return info.device ? info.device : "";
}

Provider::Answer Provider::verdict(const GraphView& view, std::uint32_t node) const {
  AshlarVerdict v{};
  v.struct_size = sizeof(v);
  AshlarStatus status = new_status();
  if (const AshlarCode code = table_->verdict(instance_, &view.abi(), node, &v, &status))
    throw to_error(code, status, view.context(node, name_));
  const char* code = verdict_code_name(v.code);
  Answer answer;
  answer.verdict.provider = name_;
  answer.verdict.accepted = v.code == ASHLAR_ACCEPTED;
  answer.kernel.assign(v.kernel, strnlen(v.kernel, sizeof(v.kernel)));
  if (answer.verdict.accepted) return answer;
  answer.verdict.reason.assign(v.reason, strnlen(v.reason, sizeof(v.reason)));
  if (!code || answer.verdict.reason.empty())
    throw Error(ErrorCode::kInternal, "the provider refused a node without a known code and a reason", view.context(node, name_));
  answer.verdict.code = code;
  return answer;
}

std::shared_ptr<const Program> Provider::prepare(std::shared_ptr<const GraphView> view, std::span<const std::uint32_t> nodes) const {
  AshlarProgram program{};
  program.struct_size = sizeof(program);
  AshlarStatus status = new_status();
  if (const AshlarCode code =
          table_->prepare(instance_, &view->abi(), nodes.data(), static_cast<std::uint32_t>(nodes.size()), &program, &status)) {
    const bool named = status.node < view->abi().node_count;
    throw to_error(code, status, named ? view->context(status.node, name_) : ErrorContext{.provider = name_});
  }
  return std::make_shared<const Program>(shared_from_this(), std::move(view), program);
}

}  // namespace ashlar::partition
