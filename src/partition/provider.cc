// SPDX-License-Identifier: Apache-2.0
#include "partition/provider.h"

#include <cstddef>
#include <cstdio>
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

Provider::Provider(ProviderEntry entry, std::shared_ptr<const Host> host, const AshlarProvider* table, void* instance)
    : entry_(std::move(entry)), name_(table->name), host_(std::move(host)), table_(table), instance_(instance) {}

Provider::~Provider() { table_->destroy(instance_); }

std::string hex(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%08x", number);
  return text;
}

namespace {

/// Refuses a table whose version, size or functions are not those of this core.
void check_table(const AshlarProvider& table, const std::string& name) {
  const auto refuse = [&](const std::string& built, const std::string& here) {
    throw Error(ErrorCode::kUnsupported, "it was built for " + built + ", this core has " + here, {.provider = name});
  };
  if (table.struct_size < offsetof(AshlarProvider, name))
    refuse("a table of " + std::to_string(table.struct_size) + " bytes", "one of " + std::to_string(sizeof(AshlarProvider)));
  if (table.abi_version != ASHLAR_ABI_VERSION)
    refuse("version " + std::to_string(table.abi_version) + " of the provider border", "version " + std::to_string(ASHLAR_ABI_VERSION));
  if (table.abi_layout != ASHLAR_ABI_LAYOUT)
    refuse("layout " + hex(table.abi_layout) + " of version 0 of the provider border", "layout " + hex(ASHLAR_ABI_LAYOUT));
  if (table.struct_size != sizeof(AshlarProvider))
    refuse("a table of " + std::to_string(table.struct_size) + " bytes", "one of " + std::to_string(sizeof(AshlarProvider)));
  const auto need = [&](bool there, const char* what) {
    if (!there) throw Error(ErrorCode::kInternal, std::string("its table lacks ") + what, {.provider = name});
  };
  need(table.name && *table.name, "name");
  need(table.version, "version");
  need(table.create, "create");
  need(table.destroy, "destroy");
  need(table.describe, "describe");
  need(table.verdict, "verdict");
  need(table.prepare, "prepare");
  need(table.release, "release");
  const AshlarDevice* d = table.device;
  if (!d) return;
  if (d->struct_size != sizeof(AshlarDevice))
    refuse("a device table of " + std::to_string(d->struct_size) + " bytes", "one of " + std::to_string(sizeof(AshlarDevice)));
  need(d->allocate && d->free, "allocate and free");
  need(d->queue_create && d->queue_destroy && d->drain, "queue_create, queue_destroy and drain");
  need(d->event_create && d->event_destroy && d->signal && d->wait && d->synchronize, "events");
  need(d->copy, "copy");
  need(d->state, "state");
}

std::vector<std::string> bit_names(std::uint32_t bits, std::span<const char* const> names) {
  std::vector<std::string> out;
  for (std::uint32_t bit = 0; bit < 32; ++bit)
    if (bits >> bit & 1) out.push_back(bit < names.size() ? names[bit] : "feature " + std::to_string(bit));
  return out;
}

}  // namespace

std::vector<std::string> core_feature_names(std::uint32_t features) {
  static constexpr const char* kNames[] = {"devices", "packed constants", "capture"};
  return bit_names(features, kNames);
}

std::vector<std::string> device_feature_names(std::uint32_t features) {
  static constexpr const char* kNames[] = {"capture", "timed events"};
  return bit_names(features, kNames);
}

std::shared_ptr<const Provider> Provider::create(const std::string& text, std::shared_ptr<const Host> host) {
  Seen seen;
  return create(text, std::move(host), seen);
}

std::shared_ptr<Provider> Provider::make(const std::string& text, std::shared_ptr<const Host> host, Seen& seen,
                                         const std::function<void(const char* name)>& before_create) {
  const ProviderSpec spec = ProviderSpec::parse(text);
  ProviderEntry entry = find_provider_entry(spec);
  seen.origin = entry.origin;
  const std::string asked = core::printable(spec.name);
  const ErrorContext context{.provider = asked, .file = spec.is_path ? core::printable(entry.origin, 4096) : ""};
  try {
    AshlarStatus status = new_status();
    const AshlarProvider* table = entry.entry(&host->abi(), &status);
    if (!table) throw to_error(status.code, status, {});
    seen.missing = ASHLAR_DEVICE_MISSING;
    if (table->struct_size >= offsetof(AshlarProvider, name)) {
      seen.abi_version = table->abi_version;
      seen.abi_layout = table->abi_layout;
    }
    check_table(*table, asked);
    seen.version = core::printable(table->version);
    std::vector<AshlarOption> options;
    std::string owner = std::string(table->name) + '@' + table->version + ' ' + entry.origin + ' ' + entry.identity;
    for (const auto& [name, value] : spec.options) {
      options.push_back({name.c_str(), value.c_str()});
      owner += ' ' + name + '=' + value;
    }
    host->set_owner(owner + ' ');
    if (before_create) before_create(table->name);
    void* instance = nullptr;
    if (const AshlarCode code =
            table->create(&host->abi(), options.data(), static_cast<std::uint32_t>(options.size()), &instance, &status)) {
      if (status.verdict == ASHLAR_LIBRARY_MISSING) seen.missing = ASHLAR_LIBRARY_MISSING;
      throw to_error(code, status, {.provider = table->name});
    }
    const std::shared_ptr<Provider> made(new Provider(std::move(entry), std::move(host), table, instance));
    if (!made->host().plan_only()) made->describe();
    return made;
  } catch (const Error& e) {
    throw e.with(context);
  }
}

std::shared_ptr<const Provider> Provider::create(const std::string& text, std::shared_ptr<const Host> host, Seen& seen) {
  return make(text, std::move(host), seen);
}

std::shared_ptr<const Provider> Provider::create_planned(const std::string& text, std::shared_ptr<Host> host,
                                                         const std::map<std::string, Description>& devices, Seen& seen) {
  const Description* planned = nullptr;
  const std::shared_ptr<Provider> made = make(text, host, seen, [&](const char* name) {
    const auto at = devices.find(name);
    if (at == devices.end()) return;
    planned = &at->second;
    host->plan_for(planned->attributes);
  });
  if (planned) made->description_ = *planned;
  return made;
}

/// Copies and checks what the provider says of itself.
void Provider::describe() {
  AshlarProviderInfo info{};
  info.struct_size = sizeof(info);
  AshlarStatus status = new_status();
  if (const AshlarCode code = table_->describe(instance_, &info, &status)) throw to_error(code, status, {.provider = name_});
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInternal, "it describes " + what, {.provider = name_}); };
  if (const std::uint32_t missing = info.required_features & ~host_->abi().features) {
    std::string names;
    for (const std::string& name : core_feature_names(missing)) names += (names.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::kUnsupported,
                "it needs features " + hex(info.required_features) + " of the core, this core has " + hex(host_->abi().features) + ": " +
                    names + " missing",
                {.provider = name_});
  }
  const bool has_device = table_->device != nullptr;
  if (!has_device && (info.space_count != 0 || info.queue_count != 0)) refuse("memory spaces or queues, but has no device");
  if (has_device && (info.space_count == 0 || info.queue_count == 0)) refuse("a device without memory or without queues");
  const auto check_size = [&](const char* what, std::uint32_t size, std::size_t here) {
    if (size != here) refuse(std::string(what) + " in " + std::to_string(size) + " bytes, this core has " + std::to_string(here));
  };
  check_size("itself", info.struct_size, sizeof(info));
  if (info.space_count > 0 && (!info.spaces || info.space_stride < sizeof(AshlarSpaceInfo))) refuse("memory spaces that cannot be read");
  description_ = {.device = info.device ? core::printable(info.device, 400) : "",
                  .queue_count = info.queue_count,
                  .upload_queue = info.upload_queue,
                  .download_queue = info.download_queue,
                  .staging_space = info.staging_space,
                  .features = info.features,
                  .required_features = info.required_features,
                  .rates = info.rates};
  if (info.attribute_count > 0 && !info.attributes) refuse("attributes that cannot be read");
  for (std::uint64_t i = 0; i < info.attribute_count; ++i) {
    const AshlarOption& attribute = info.attributes[i];
    if (!attribute.name || !attribute.value) refuse("an attribute without a name or a value");
    description_.attributes.emplace_back(core::printable(attribute.name), core::printable(attribute.value));
  }
  for (const double rate : {info.rates.operations_per_second, info.rates.bytes_per_second, info.rates.launch_ns,
                            info.rates.upload_bytes_per_second, info.rates.download_bytes_per_second, info.rates.copy_ns})
    if (!(rate >= 0) || rate > 1e30) refuse("a rate of " + std::to_string(rate));
  for (std::uint32_t i = 0; i < info.space_count; ++i) {
    const auto& s = *reinterpret_cast<const AshlarSpaceInfo*>(reinterpret_cast<const char*>(info.spaces) + i * info.space_stride);
    check_size("a memory space", s.struct_size, sizeof(AshlarSpaceInfo));
    if (!s.name || !*s.name) refuse("a memory space without a name");
    for (const Description::Space& other : description_.spaces)
      if (other.name == core::printable(s.name)) refuse("two memory spaces named '" + other.name + "'");
    if (s.alignment < 64 || (s.alignment & (s.alignment - 1)) != 0)
      refuse("memory aligned to " + std::to_string(s.alignment) + "; it must be a power of two from 64 up");
    description_.spaces.push_back({core::printable(s.name), s.host_accessible != 0, s.total_bytes, s.alignment});
  }
  if (!has_device) return;
  for (const std::uint32_t queue : {info.upload_queue, info.download_queue})
    if (queue == 0 || queue > info.queue_count)
      refuse("copies on queue " + std::to_string(queue) + " of " + std::to_string(info.queue_count));
  if (info.staging_space > info.space_count || (info.staging_space > 0 && !description_.spaces[info.staging_space - 1].host_accessible))
    refuse("staging space " + std::to_string(info.staging_space) + ", which is none that the host can reach");
  const AshlarDevice& d = *table_->device;
  if ((info.features & ASHLAR_DEVICE_CAPTURE) != 0 && !(d.capture_begin && d.capture_end && d.replay && d.recording_destroy))
    refuse("capture, but its table lacks that");
  if ((info.features & ASHLAR_DEVICE_TIMES) != 0 && !d.event_time) refuse("timed events, but its table lacks event_time");
}

Answer Provider::verdict(const GraphView& view, std::uint32_t node) const {
  AshlarVerdict v{};
  v.struct_size = sizeof(v);
  AshlarStatus status = new_status();
  if (const AshlarCode code = table_->verdict(instance_, &view.abi(), node, &v, &status))
    throw to_error(code, status, view.context(node, name_));
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInternal, what, view.context(node, name_)); };
  Answer answer{.code = v.code};
  answer.kernel.assign(v.kernel, strnlen(v.kernel, sizeof(v.kernel)));
  if (!answer.accepted()) {
    answer.reason.assign(v.reason, strnlen(v.reason, sizeof(v.reason)));
    if (!verdict_code_name(v.code) || answer.reason.empty()) refuse("the provider refused a node without a known code and a reason");
    return answer;
  }
  for (const double part : {v.cost.operations, v.cost.bytes, v.cost.launch_ns, v.cost.nanoseconds})
    if (!(part >= 0) || part > 1e30) refuse("the provider accepted a node at a cost of " + std::to_string(part));
  answer.cost = v.cost;
  if (v.guard_count > ASHLAR_MAX_GUARDS) refuse("the provider accepted a node with " + std::to_string(v.guard_count) + " guards");
  answer.guards.assign(v.guards, v.guards + v.guard_count);
  const graph::Node& n = view.graph().nodes[node];
  for (const AshlarGuard& g : answer.guards)
    if (g.input >= n.inputs.size() || n.inputs[g.input] == graph::kNone || g.axis >= ASHLAR_MAX_RANK)
      refuse("the provider's guard is on dimension " + std::to_string(g.axis) + " of input " + std::to_string(g.input) +
             ", which the node has not");
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
