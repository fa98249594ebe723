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
                  if (space != ASHLAR_SPACE_HOST) throw provider::Failure(ASHLAR_UNSUPPORTED, "constants are packed in host memory only");
                  WeightStore* store = static_cast<Host*>(core)->weights_.get();
                  if (!store) throw provider::Failure(ASHLAR_UNSUPPORTED, "this host keeps no weights");
                  try {
                    *memory = store->packed(source->data, source->bytes, packing, bytes, [&](void* to) {
                      AshlarStatus failure = provider::new_status();
                      if (const AshlarCode code = fill(context, to, &failure)) throw provider::Failure(code, failure.message);
                    });
                  } catch (const Error& e) {
                    throw provider::Failure(static_cast<AshlarCode>(e.code()), e.message());
                  }
                });
              }};
}

}  // namespace ashlar::partition
