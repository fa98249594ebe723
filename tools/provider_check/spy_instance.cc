// SPDX-License-Identifier: Apache-2.0
#include "spy_instance.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <malloc.h>

#include <ashlar/error.h>
#include <ashlar/provider/provider.h>

namespace ashlar::check {
namespace {

constexpr const char* kThings[] = {"memory", "a queue", "an event", "a recording", "a program", "a binding"};
constexpr double kDelayMilliseconds = 3;

SpyInstance& at(void* core) { return *static_cast<SpyInstance*>(core); }

/// What fill is called through: it gets memory with a zone behind it.
struct Fill {
  AshlarCode (*fill)(void* context, void* memory, AshlarStatus* status);
  void* context;
  std::uint64_t bytes;
  std::string packing;
};

AshlarCode fill_watched(void* context, void* memory, AshlarStatus* status) {
  const Fill& fill = *static_cast<const Fill*>(context);
  auto* zone = static_cast<unsigned char*>(memory) + fill.bytes;
  std::memset(zone, 0xa5, kZone);
  const AshlarCode code = fill.fill(fill.context, memory, status);
  if (!std::all_of(zone, zone + kZone, [](unsigned char b) { return b == 0xa5; }))
    Spy::get().find("bounds", fmt::format("packing '{}' writes beyond the {} bytes it asked for", fill.packing, fill.bytes));
  return code;
}

AshlarCode packed(void* core, std::uint32_t space, const AshlarTensor* source, const char* packing, std::uint64_t bytes,
                  AshlarCode (*fill)(void*, void*, AshlarStatus*), void* context, const void** memory, AshlarStatus* status) {
  SpyInstance& spy = at(core);
  if (Spy::get().fails(Fault::kPacked)) {
    provider::set_status(status, ASHLAR_OUT_OF_MEMORY, "there is no memory for a packed constant (planted)");
    return ASHLAR_OUT_OF_MEMORY;
  }
  if (Spy::get().mode() != Mode::kApart || space != ASHLAR_SPACE_HOST)
    return spy.outer.packed(spy.outer.core, space, source, packing, bytes, fill, context, memory, status);
  Fill watched{fill, context, bytes, packing};
  return spy.outer.packed(spy.outer.core, space, source, packing, bytes + kZone, &fill_watched, &watched, memory, status);
}

}  // namespace

SpyInstance::SpyInstance(const AshlarProvider& inner_table, const AshlarHost& outer_host)
    : table(inner_table), outer(outer_host), host(outer_host) {
  host.core = this;
  host.log = [](void* core, std::int32_t level, const char* message) { at(core).outer.log(at(core).outer.core, level, message); };
  host.parallel_for = [](void* core, std::int64_t count, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                         void* context) { at(core).outer.parallel_for(at(core).outer.core, count, grain, body, context); };
  host.packed = &packed;
}

SpyInstance::~SpyInstance() {
  for (int kind = 0; kind < kKinds; ++kind)
    if (!held_[kind].empty())
      Spy::get().find("ownership",
                      fmt::format("the runtime ends the provider and still holds {} ({} in all)", kThings[kind], held_[kind].size()));
}

void SpyInstance::take(Kind kind, const void* thing, Held held) {
  const std::lock_guard lock(mutex_);
  if (kind == kMemory) {
    const auto begin = reinterpret_cast<std::uintptr_t>(thing);
    const std::uint64_t alignment = held.number < device->spaces().size() ? device->spaces()[held.number].alignment : 1;
    if (alignment > 0 && begin % alignment != 0)
      Spy::get().find("limits", fmt::format("allocate in space {} gives an address that is not aligned to {}", held.number, alignment));
    for (const auto& [other, o] : held_[kMemory]) {
      const auto first = reinterpret_cast<std::uintptr_t>(other);
      if (o.number == held.number && begin < first + o.bytes && first < begin + held.bytes)
        Spy::get().find("limits", fmt::format("allocate in space {} gives memory that is in use already", held.number));
    }
  }
  held_[kind][thing] = held;
}

void SpyInstance::give_back(Kind kind, const void* thing) {
  const std::lock_guard lock(mutex_);
  if (held_[kind].erase(thing) == 0)
    Spy::get().find("ownership", fmt::format("the runtime gives back {} that it does not hold", kThings[kind]));
}

std::uint32_t SpyInstance::queue_number(const void* handle) {
  const std::lock_guard lock(mutex_);
  const auto found = held_[kQueue].find(handle);
  return found == held_[kQueue].end() ? 0 : found->second.number;
}

void SpyInstance::delay(void* handle) {
  const std::uint32_t slowed = Spy::get().slowed();
  if (slowed == 0 || queue_number(handle) != slowed) return;
  const Filler* filler = nullptr;
  {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Filler>& slot = fillers_[slowed];
    if (!slot) slot = std::make_unique<Filler>(*device, slowed, kDelayMilliseconds);
    filler = slot.get();
  }
  filler->enqueue(handle);
}

std::optional<std::uint64_t> heap_bytes() {
  const auto used = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<std::uint64_t>(info.uordblks) + info.hblkhd;
  };
  static const bool counts = [&] {
    const std::uint64_t before = used();
    void* volatile memory = std::malloc(1 << 20);
    const bool grew = used() >= before + (1 << 20);
    std::free(memory);
    return grew;
  }();
  if (!counts) return std::nullopt;
  return used();
}

namespace {

/// Something that a call may leave taken.
struct Resource {
  std::string name;
  std::function<std::optional<std::uint64_t>()> in_use;
  std::uint64_t least;  ///< growth in a window that counts
};

std::vector<Resource> resources_of(const SpyInstance& instance) {
  constexpr std::uint64_t kLeastHeap = 16;
  std::vector<Resource> out = {{"heap memory", heap_bytes, kLeastHeap * kWindow}};
  if (!instance.device) return out;
  for (std::uint32_t s = 1; s < instance.device->spaces().size(); ++s)
    if (const Device::Space& space = instance.device->spaces()[s]; space.total_bytes > 0)
      out.push_back({fmt::format("memory of the space '{}'", space.name),
                     [&device = *instance.device, s, total = space.total_bytes]() -> std::optional<std::uint64_t> {
                       return total - std::min(total, available_bytes(device, s));
                     },
                     1});
  return out;
}

/// By resource, what each of some windows of calls adds; 0 where one of them adds nothing.
std::vector<std::uint64_t> growth(const std::vector<Resource>& resources, int windows, const std::function<void()>& body) {
  std::vector<std::vector<std::uint64_t>> seen(resources.size());
  for (int window = 0; window <= windows; ++window) {
    for (int i = 0; i < kWindow; ++i) body();
    for (std::size_t r = 0; r < resources.size(); ++r)
      if (const auto bytes = resources[r].in_use()) seen[r].push_back(*bytes);
  }
  std::vector<std::uint64_t> out(resources.size());
  for (std::size_t r = 0; r < resources.size(); ++r) {
    bool grows = seen[r].size() > 1;
    for (std::size_t i = 1; i < seen[r].size(); ++i) grows = grows && seen[r][i] >= seen[r][i - 1] + resources[r].least;
    if (grows) out[r] = (seen[r].back() - seen[r].front()) / static_cast<std::uint64_t>(windows);
  }
  return out;
}

}  // namespace

void measure_leaks(SpyInstance& instance, const std::string& what, const std::function<void()>& body) {
  constexpr int kWindows = 3, kMoreWindows = 12;  // a cache that fills is full after some time
  set_doing(what + ", many times");
  const std::vector<Resource> resources = resources_of(instance);
  std::vector<std::uint64_t> grown = growth(resources, kWindows, body);
  if (std::all_of(grown.begin(), grown.end(), [](std::uint64_t bytes) { return bytes == 0; })) return;
  grown = growth(resources, kMoreWindows, body);
  for (std::size_t r = 0; r < resources.size(); ++r)
    if (grown[r] > 0) Spy::get().find("leaks", fmt::format("{} leaks {}: {} bytes each time", what, resources[r].name, grown[r] / kWindow));
}

std::string operand_text(const std::string& label, const AshlarTensor* const* inputs, std::uint32_t count) {
  std::string out = label;
  for (std::uint32_t i = 0; i < count; ++i) {
    out += i == 0 ? " of " : ", ";
    if (!inputs[i] || inputs[i]->rank < 0) out += "-";
    else
      out += provider::dtype_name(static_cast<DType>(inputs[i]->dtype)) +
             fmt::format("[{}]", fmt::join(std::span(inputs[i]->dims, static_cast<std::size_t>(inputs[i]->rank)), ","));
  }
  return out;
}

}  // namespace ashlar::check
