// SPDX-License-Identifier: Apache-2.0
// The services of abi.h's AshlarHost.
#include <string>

#include <ashlar/dtype.h>
#include <ashlar/provider/provider.h>

#include "core/log.h"
#include "partition/provider.h"

namespace ashlar::partition {
namespace {

void log(void*, std::int32_t level, const char* message) { core::log(static_cast<core::LogLevel>(level), message); }

void parallel_for(void*, std::int64_t count, std::int64_t, void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  if (count > 0) body(context, 0, count);
}

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

}  // namespace

const AshlarHost& host() {
  static const AshlarHost instance = {sizeof(AshlarHost), ASHLAR_ABI_VERSION, nullptr, &log, &parallel_for, &string_get, &string_set};
  return instance;
}

}  // namespace ashlar::partition
