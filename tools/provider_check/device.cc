// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include <ashlar/error.h>
#include <ashlar/provider/failure.h>

#include "target.h"

namespace ashlar::check {
namespace {

/// Calls a function of the border that has a status last.
template <class Call> void checked(Call&& call) {
  AshlarStatus status = provider::new_status();
  if (const AshlarCode code = call(&status)) raise(code, status);
}

}  // namespace

Device::Device(const AshlarProvider& table, void* instance) : table_(table), instance_(instance) {
  info_.struct_size = sizeof info_;
  checked([&](AshlarStatus* s) { return table_.describe(instance_, &info_, s); });
  spaces_.push_back({"host", true, 0, 64});
  for (std::uint32_t i = 0; i < info_.space_count; ++i) {
    const auto& space =
        *reinterpret_cast<const AshlarSpaceInfo*>(reinterpret_cast<const char*>(info_.spaces) + std::size_t{i} * info_.space_stride);
    spaces_.push_back({space.name ? space.name : "", space.host_accessible != 0, space.total_bytes, space.alignment});
  }
}

Device::Memory Device::allocate(std::uint32_t space, std::uint64_t bytes) const {
  if (space == ASHLAR_SPACE_HOST) return Memory(std::malloc(std::max<std::uint64_t>(bytes, 1)), [](void* m) { std::free(m); });
  void* memory = nullptr;
  checked([&](AshlarStatus* s) { return this->table().allocate(instance_, space, bytes, &memory, s); });
  if (!memory) throw Error(ErrorCode::kInternal, "allocate succeeds and gives no memory");
  return Memory(memory, [this, space](void* m) { this->table().free(instance_, space, m); });
}

Device::Handle Device::queue(std::uint32_t number) const {
  void* queue = nullptr;
  checked([&](AshlarStatus* s) { return this->table().queue_create(instance_, number, &queue, s); });
  return Handle(queue, [this](void* q) {
    AshlarStatus ignored = provider::new_status();
    this->table().drain(instance_, q, &ignored);
    this->table().queue_destroy(instance_, q);
  });
}

Device::Handle Device::event(bool timed) const {
  void* event = nullptr;
  checked([&](AshlarStatus* s) { return this->table().event_create(instance_, timed ? 1 : 0, &event, s); });
  return Handle(event, [this](void* e) { this->table().event_destroy(instance_, e); });
}

void Device::signal(void* queue, void* event) const {
  checked([&](AshlarStatus* s) { return this->table().signal(instance_, queue, event, s); });
}
void Device::wait(void* queue, void* event) const {
  checked([&](AshlarStatus* s) { return this->table().wait(instance_, queue, event, s); });
}
bool Device::synchronize(void* event, std::int64_t timeout_ns) const {
  std::int32_t signalled = 0;
  checked([&](AshlarStatus* s) { return this->table().synchronize(instance_, event, timeout_ns, &signalled, s); });
  return signalled != 0;
}
std::int64_t Device::event_time(void* event) const {
  std::int64_t ns = 0;
  checked([&](AshlarStatus* s) { return this->table().event_time(instance_, event, &ns, s); });
  return ns;
}
void Device::copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) const {
  checked([&](AshlarStatus* s) { return this->table().copy(instance_, queue, to, to_space, from, from_space, bytes, s); });
}
void Device::drain(void* queue) const {
  checked([&](AshlarStatus* s) { return this->table().drain(instance_, queue, s); });
}
void Device::finish(void* queue) const {
  constexpr std::int64_t kPatience = 2'000'000'000;
  const Handle done = event();
  signal(queue, done.get());
  synchronize(done.get(), kPatience);
  drain(queue);
}
void Device::capture_begin(void* queue) const {
  checked([&](AshlarStatus* s) { return this->table().capture_begin(instance_, queue, s); });
}
Device::Handle Device::capture_end(void* queue) const {
  void* recording = nullptr;
  checked([&](AshlarStatus* s) { return this->table().capture_end(instance_, queue, &recording, s); });
  return Handle(recording, [this](void* r) { this->table().recording_destroy(instance_, r); });
}
void Device::replay(void* queue, void* recording) const {
  checked([&](AshlarStatus* s) { return this->table().replay(instance_, queue, recording, s); });
}
void Device::state() const {
  checked([&](AshlarStatus* s) { return this->table().state(instance_, s); });
}

void Device::write(void* queue, std::uint32_t space, void* to, std::span<const std::byte> bytes) const {
  if (bytes.empty()) return;
  if (accessible(space)) {
    if (queue) finish(queue);
    std::memcpy(to, bytes.data(), bytes.size());
    return;
  }
  const Memory staged = allocate(host_side(), bytes.size());
  std::memcpy(staged.get(), bytes.data(), bytes.size());
  copy(queue, to, space, staged.get(), host_side(), bytes.size());
  finish(queue);
}

void Device::read(void* queue, std::uint32_t space, const void* from, std::span<std::byte> bytes) const {
  if (bytes.empty()) return;
  if (accessible(space)) {
    if (queue) finish(queue);
    std::memcpy(bytes.data(), from, bytes.size());
    return;
  }
  const Memory staged = allocate(host_side(), bytes.size());
  copy(queue, staged.get(), host_side(), from, space, bytes.size());
  finish(queue);
  std::memcpy(bytes.data(), staged.get(), bytes.size());
}

Filler::Filler(const Device& device, std::uint32_t queue, double milliseconds) : device_(device) {
  using Clock = std::chrono::steady_clock;
  constexpr std::uint64_t kMost = 4 << 20;
  constexpr int kMostCopies = 2000;
  for (std::uint32_t s = 1; s < device.spaces().size() && space_ == 0; ++s)
    if (!device.accessible(s)) space_ = s;
  if (space_ == 0) space_ = device.host_side();
  const std::uint64_t total = device.spaces()[space_].total_bytes;
  bytes_ = total == 0 ? kMost : std::min(kMost, total / 16);
  from_ = device.allocate(space_, bytes_);
  to_ = device.allocate(space_, bytes_);
  const Device::Handle own = device.queue(queue);
  enqueue(own.get());  // the first is slower than those after it
  device.drain(own.get());
  constexpr int kMeasured = 4;
  const auto start = Clock::now();
  for (int i = 0; i < kMeasured; ++i) enqueue(own.get());
  device.drain(own.get());
  const double each = std::chrono::duration<double, std::milli>(Clock::now() - start).count() / kMeasured;
  copies_ = std::clamp(static_cast<int>(milliseconds / std::max(each, 1e-3)), 1, kMostCopies);
}

void Filler::enqueue(void* queue) const {
  for (int i = 0; i < copies_; ++i) device_.copy(queue, to_.get(), space_, from_.get(), space_, bytes_);
}

std::uint64_t available_bytes(const Device& device, std::uint32_t space) {
  constexpr std::uint64_t kLeast = 4096;
  const std::uint64_t total = device.spaces()[space].total_bytes;
  std::uint64_t sum = 0;
  std::vector<Device::Memory> taken;
  for (std::uint64_t bytes = total; bytes >= kLeast;) {
    try {
      taken.push_back(device.allocate(space, bytes));
      sum += bytes;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kOutOfMemory) throw;
    }
    bytes = std::min(bytes / 2, total - std::min(sum, total));
  }
  return sum;
}

}  // namespace ashlar::check
