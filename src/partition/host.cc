// SPDX-License-Identifier: Apache-2.0
#include "partition/host.h"

#include <exception>
#include <string>
#include <utility>

#include <ashlar/dtype.h>
#include <ashlar/error.h>
#include <ashlar/provider/provider.h>

#include "core/isa.h"
#include "core/log.h"
#include "core/mapped_pages.h"
#include "partition/device.h"

namespace ashlar::partition {
namespace {

thread_local std::exception_ptr parallel_failure;

void log(void*, std::int32_t level, const char* message) { core::log(static_cast<core::LogLevel>(level), message); }

std::string* string_at(const AshlarTensor* tensor, std::uint64_t index) {
  if (tensor->dtype != static_cast<int>(DType::kString) || index >= tensor->count || !tensor->data) return nullptr;
  return static_cast<std::string*>(tensor->data) + index;
}

AshlarString string_get(const AshlarTensor* tensor, std::uint64_t index) {
  const std::string* s = string_at(tensor, index);
  return s ? AshlarString{s->data(), s->size()} : AshlarString{"", 0};
}

AshlarCode string_set(const AshlarTensor* tensor, std::uint64_t index, AshlarString value, AshlarStatus* status) {
  return provider::guarded(status, [&] {
    std::string* s = string_at(tensor, index);
    if (!s) throw provider::Failure(ASHLAR_INVALID_ARGUMENT, "not a string of a string tensor");
    s->assign(value.data, value.size);
  });
}

void parallel_for(void* core, std::int64_t count, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  try {
    static_cast<const core::Executor*>(core)->parallel_for(count, grain, body, context);
  } catch (...) {
    parallel_failure = std::current_exception();
  }
}

}  // namespace

void rethrow_parallel_failure() {
  if (parallel_failure) std::rethrow_exception(std::exchange(parallel_failure, nullptr));
}

Host::Host(core::Executor executor, std::shared_ptr<WeightStore> weights) : executor_(std::move(executor)), weights_(std::move(weights)) {
  abi_ = {.struct_size = sizeof(AshlarHost),
          .abi_version = ASHLAR_ABI_VERSION,
          .abi_layout = ASHLAR_ABI_LAYOUT,
          .features = ASHLAR_CORE_FEATURES,
          .core = this,
          .log = &log,
          .parallel_for = [](void* core, std::int64_t count, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                             void* context) { parallel_for(&static_cast<Host*>(core)->executor_, count, grain, body, context); },
          .string_get = &string_get,
          .string_set = &string_set,
          .threads = executor_.threads,
          .max_isa = static_cast<std::int32_t>(core::max_isa()),
          .packed =
              [](void* core, std::uint32_t space, const AshlarTensor* source, const char* packing, std::uint64_t bytes,
                 AshlarCode (*fill)(void*, void*, AshlarStatus*), void* context, const void** memory, AshlarStatus* status) {
                return provider::guarded(status, [&] {
                  try {
                    *memory = static_cast<const Host*>(core)->packed(space, *source, packing, bytes, [&](void* to) {
                      AshlarStatus failure = provider::new_status();
                      if (const AshlarCode code = fill(context, to, &failure)) throw provider::Failure(code, failure.message);
                    });
                  } catch (const Error& e) {
                    throw provider::Failure(static_cast<AshlarCode>(e.code()), e.message());
                  }
                });
              },
          .plan_only = 0,
          .planned_count = 0,
          .planned = nullptr};
}

void Host::plan_for(std::vector<std::pair<std::string, std::string>> attributes) {
  planned_ = std::move(attributes);
  for (const auto& [name, value] : planned_) planned_options_.push_back({name.c_str(), value.c_str()});
  abi_.plan_only = 1;
  abi_.planned_count = static_cast<std::uint32_t>(planned_options_.size());
  abi_.planned = planned_options_.data();
}

const void* Host::packed(std::uint32_t space, const AshlarTensor& source, const char* packing, std::uint64_t bytes,
                         const std::function<void(void*)>& fill) const {
  if (space == ASHLAR_SPACE_HOST) {
    if (!weights_) throw provider::Failure(ASHLAR_UNSUPPORTED, "this host keeps no weights");
    return weights_->packed(source.data, source.bytes, owner_ + packing, bytes, fill);
  }
  const std::lock_guard lock(mutex_);
  if (!device_ || space > device_->space_count())
    throw provider::Failure(ASHLAR_INVALID_ARGUMENT, "the provider describes no memory space " + std::to_string(space));
  std::shared_ptr<void>& memory = packed_[{source.data, source.bytes, space, std::string(packing) + ':' + std::to_string(bytes)}];
  if (!memory) {
    std::shared_ptr<void> filled = device_->allocate(space, bytes);
    fill(filled.get());
    memory = std::move(filled);
    core::release_mapped_pages(source.data, source.bytes);
  }
  return memory.get();
}

void Host::set_owner(std::string owner) const { owner_ = std::move(owner); }

void Host::set_device(std::shared_ptr<Device> device) const {
  const std::lock_guard lock(mutex_);
  device_ = std::move(device);
}

void Host::release_device() const {
  // Both may hold the last reference to what holds this host: they go after the lock.
  std::shared_ptr<Device> device;
  decltype(packed_) memory;
  const std::lock_guard lock(mutex_);
  device_.swap(device);
  packed_.swap(memory);
}

}  // namespace ashlar::partition
