// SPDX-License-Identifier: Apache-2.0
#include "partition/device.h"

#include <algorithm>
#include <cstring>

#include <ashlar/error.h>
#include <ashlar/provider/failure.h>

#include "partition/host.h"
#include "partition/provider.h"

namespace ashlar::partition {

std::shared_ptr<Device> Device::create(std::shared_ptr<const Provider> provider) {
  if (!provider->table().device || provider->host().plan_only()) return nullptr;
  return std::shared_ptr<Device>(new Device(std::move(provider)));
}

Device::Device(std::shared_ptr<const Provider> provider)
    : provider_(std::move(provider)), table_(provider_->table().device), instance_(provider_->instance()) {
  const Provider::Description& d = provider_->description();
  queue_count_ = d.queue_count;
  upload_queue_ = d.upload_queue;
  download_queue_ = d.download_queue;
  staging_space_ = d.staging_space;
  features_ = d.features;
  for (std::size_t i = 0; i < d.spaces.size(); ++i)
    spaces_.push_back({.name = i == 0 ? name() : name() + "/" + d.spaces[i].name,
                       .host_accessible = d.spaces[i].host_accessible,
                       .alignment = d.spaces[i].alignment});
}

template <class Function, class... Args> void Device::call(Function function, Args... args) const {
  AshlarStatus status = provider::new_status();
  if (const AshlarCode code = (table_->*function)(instance_, args..., &status)) throw to_error(code, status, {.provider = name()});
}

const std::string& Device::name() const noexcept { return provider_->name(); }

void Device::require_room(const Space& s, std::uint64_t more_bytes) const {
  if (s.limit && more_bytes > *s.limit - std::min(*s.limit, s.used))
    throw Error(ErrorCode::kOutOfMemory,
                std::to_string(more_bytes) + " bytes more of the memory '" + s.name + "' would go beyond this session's limit of " +
                    std::to_string(*s.limit) + " bytes, of which " + std::to_string(s.used) + " are used",
                {.provider = name()});
}

void Device::give_back(std::uint32_t number, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  spaces_[number - 1].used -= bytes;
}

std::shared_ptr<void> Device::allocate(std::uint32_t number, std::uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    Space& s = spaces_.at(number - 1);
    require_room(s, bytes);
    s.used += bytes;
    s.peak = std::max(s.peak, s.used);
  }
  void* memory = nullptr;
  try {
    call(&AshlarDevice::allocate, number, std::max<std::uint64_t>(bytes, 1), &memory);
    if (!memory) throw Error(ErrorCode::kInternal, "the provider allocated null", {.provider = name()});
  } catch (...) {
    give_back(number, bytes);
    throw;
  }
  return {memory, [device = shared_from_this(), number, bytes](void* m) {
            device->table_->free(device->instance_, number, m);
            device->give_back(number, bytes);
          }};
}

std::uint64_t Device::used(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  return space(number).used;
}
std::uint64_t Device::peak(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  return space(number).peak;
}

void* Device::create_queue(std::uint32_t queue) const {
  void* handle = nullptr;
  call(&AshlarDevice::queue_create, queue, &handle);
  return handle;
}
void Device::destroy_queue(void* queue) const noexcept { table_->queue_destroy(instance_, queue); }

void* Device::create_event(bool timed) const {
  void* event = nullptr;
  call(&AshlarDevice::event_create, std::int32_t{timed}, &event);
  return event;
}
void Device::destroy_event(void* event) const noexcept { table_->event_destroy(instance_, event); }
void Device::signal(void* queue, void* event) const { call(&AshlarDevice::signal, queue, event); }
void Device::wait(void* queue, void* event) const { call(&AshlarDevice::wait, queue, event); }

bool Device::synchronize(void* event, std::int64_t timeout_ns) const {
  std::int32_t signalled = 0;
  call(&AshlarDevice::synchronize, event, timeout_ns, &signalled);
  return signalled != 0;
}

std::int64_t Device::event_time(void* event) const {
  std::int64_t ns = 0;
  call(&AshlarDevice::event_time, event, &ns);
  return ns;
}

void Device::copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) const {
  call(&AshlarDevice::copy, queue, to, to_space, from, from_space, bytes);
}
void Device::drain(void* queue) const { call(&AshlarDevice::drain, queue); }
void Device::begin_capture(void* queue) const { call(&AshlarDevice::capture_begin, queue); }

void* Device::end_capture(void* queue) const {
  void* recording = nullptr;
  call(&AshlarDevice::capture_end, queue, &recording);
  return recording;
}
void Device::replay(void* queue, void* recording) const { call(&AshlarDevice::replay, queue, recording); }
void Device::destroy_recording(void* recording) const noexcept { table_->recording_destroy(instance_, recording); }
void Device::check_state() const { call(&AshlarDevice::state); }

std::shared_ptr<void> Device::upload(std::uint32_t number, const void* data, std::uint64_t bytes) {
  std::shared_ptr<void> memory = allocate(number, bytes);
  if (bytes == 0) return memory;
  struct Queue {
    const Device& device;
    void* handle;
    ~Queue() { device.destroy_queue(handle); }
  } queue{*this, create_queue(upload_queue_)};
  std::shared_ptr<void> staging;
  if (staging_space_ != 0) {
    staging = allocate(staging_space_, bytes);
    std::memcpy(staging.get(), data, bytes);
  }
  copy(queue.handle, memory.get(), number, staging ? staging.get() : data, staging_space_, bytes);
  drain(queue.handle);
  return memory;
}

}  // namespace ashlar::partition
