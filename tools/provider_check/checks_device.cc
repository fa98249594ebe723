// SPDX-License-Identifier: Apache-2.0
// A device through the border alone: what its memory holds, and whether copies and events keep to their order.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include <ashlar/error.h>

#include "context.h"
#include "device.h"

namespace ashlar::check {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::int64_t kPatience = 5'000'000'000;  // ns that an event may take

/// An instance of the target with its device.
struct Opened {
  explicit Opened(const Target& target) : library(target), instance(table_of(library), target), device(instance.table(), instance.get()) {}
  const Library library;
  const Instance instance;
  const Device device;
};

Bytes pattern(std::size_t bytes, unsigned seed) {
  Bytes out(bytes);
  unsigned state = seed * 2654435761u + 1;
  for (std::byte& b : out) {
    state = state * 1664525u + 1013904223u;
    b = static_cast<std::byte>(state >> 24);
  }
  return out;
}

/// Spaces that copies go between: the host's side first.
std::vector<std::uint32_t> spaces_of(const Device& device) {
  std::vector<std::uint32_t> out = {device.host_side()};
  for (std::uint32_t s = 1; s < device.spaces().size(); ++s)
    if (s != device.host_side()) out.push_back(s);
  return out;
}

/// A space that the host cannot reach, where there is one.
std::uint32_t far_space(const Device& device) {
  for (const std::uint32_t s : spaces_of(device))
    if (!device.accessible(s)) return s;
  return spaces_of(device).back();
}

// ---- limits ----

using Say = std::function<void(const std::string&)>;

std::optional<Device::Memory> try_allocate(const Device& device, std::uint32_t space, std::uint64_t bytes, const Say& say) {
  set_doing(fmt::format("allocate of {} bytes in space {}", bytes, space));
  try {
    return device.allocate(space, bytes);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kOutOfMemory)
      say(fmt::format("allocate of {} bytes in space '{}' fails with {}, not out_of_memory: '{}'", bytes, device.spaces()[space].name,
                      to_string(e.code()), e.message()));
    if (e.message().empty()) say(fmt::format("allocate in space '{}' fails without a reason", device.spaces()[space].name));
    return std::nullopt;
  }
}

std::size_t quarters(const Device& device, std::uint32_t space, const Say& say) {
  const std::uint64_t total = device.spaces()[space].total_bytes;
  std::vector<Device::Memory> taken;
  while (taken.size() <= 4) {
    auto memory = try_allocate(device, space, total / 4, say);
    if (!memory) break;
    taken.push_back(std::move(*memory));
  }
  if (taken.size() > 4)
    say(fmt::format("space '{}' says that it has {} bytes, and allocate gives out five quarters of that", device.spaces()[space].name,
                    total));
  return taken.size();
}

void check_space(const Device& device, std::uint32_t space, const Say& say) {
  const Device::Space& info = device.spaces()[space];
  std::vector<Device::Memory> small;
  std::set<void*> addresses;
  for (std::uint64_t bytes = 1; bytes <= 64; ++bytes) {
    auto memory = try_allocate(device, space, bytes, say);
    if (!memory) return say(fmt::format("space '{}' gives out no {} bytes", info.name, bytes));
    if (reinterpret_cast<std::uintptr_t>(memory->get()) % std::max<std::uint64_t>(info.alignment, 1) != 0)
      say(fmt::format("allocate of {} bytes in space '{}' gives an address that is not aligned to {}", bytes, info.name, info.alignment));
    if (!addresses.insert(memory->get()).second) say(fmt::format("allocate in space '{}' gives memory that is in use already", info.name));
    small.push_back(std::move(*memory));
  }
  small.clear();
  if (info.total_bytes == 0) return;
  if (try_allocate(device, space, info.total_bytes + info.alignment, say))
    say(fmt::format("space '{}' says that it has {} bytes, and allocate gives out more at once", info.name, info.total_bytes));
  const auto physical = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (info.host_accessible && info.total_bytes > physical / 4) return;  // the machine needs it
  const std::size_t first = quarters(device, space, say), second = quarters(device, space, say);
  if (first <= 4 && second < first) say(fmt::format("memory of space '{}' that was given back does not come back", info.name));
}

// ---- copies ----

/// What one copy between two spaces did wrong; empty when nothing.
std::string copy_fault(const Device& device, void* queue, std::uint32_t from, std::uint32_t to, std::size_t bytes, std::size_t from_offset,
                       std::size_t to_offset) {
  constexpr std::size_t kGuard = 64;
  const std::size_t whole = (bytes + 4 * kGuard) / kGuard * kGuard;
  const Bytes source = pattern(whole, 1), blank = pattern(whole, 2);
  const Device::Memory a = device.allocate(from, whole), b = device.allocate(to, whole);
  device.write(queue, from, a.get(), source);
  device.write(queue, to, b.get(), blank);
  const std::size_t at = kGuard + to_offset;
  device.copy(queue, static_cast<std::byte*>(b.get()) + at, to, static_cast<std::byte*>(a.get()) + from_offset, from, bytes);
  device.finish(queue);
  Bytes result(whole);
  device.read(queue, to, b.get(), result);
  std::size_t right = 0;
  while (right < bytes && result[at + right] == source[from_offset + right]) ++right;
  if (right < bytes) {
    const bool left_out =
        std::equal(result.begin() + static_cast<std::ptrdiff_t>(at + right), result.begin() + static_cast<std::ptrdiff_t>(at + bytes),
                   blank.begin() + static_cast<std::ptrdiff_t>(at + right));
    return left_out ? fmt::format("leaves out the last {} bytes", bytes - right) : fmt::format("gives wrong bytes from byte {} on", right);
  }
  for (std::size_t i = 0; i < whole; ++i)
    if ((i < at || i >= at + bytes) && result[i] != blank[i])
      return fmt::format("writes to byte {} of the target", static_cast<std::ptrdiff_t>(i - at));
  return "";
}

void check_copies(Context& context) {
  context.apart("copies", [&](const Tell& tell) {
    const Opened opened(context.target);
    const Device& device = opened.device;
    constexpr std::pair<std::size_t, std::size_t> kOffsets[] = {{0, 0}, {3, 8}, {16, 5}};
    int copies = 0;
    for (std::uint32_t number = 1; number <= device.info().queue_count; ++number) {
      const Device::Handle queue = device.queue(number);
      for (const std::uint32_t from : spaces_of(device))
        for (const std::uint32_t to : spaces_of(device)) {
          const std::string what =
              fmt::format("from '{}' to '{}' on queue {}", device.spaces()[from].name, device.spaces()[to].name, number);
          for (const std::size_t bytes : {1, 2, 3, 5, 63, 64, 65, 1000, 4095, 4097, 65537, (1 << 20) + 3})
            for (const auto& [a, b] : kOffsets) {
              set_doing(fmt::format("copy of {} bytes {}", bytes, what));
              const std::string fault = copy_fault(device, queue.get(), from, to, bytes, a, b);
              if (!fault.empty()) tell(line_of({"copies", fmt::format("a copy of {} bytes {} {}", bytes, what, fault)}));
              ++copies;
            }
        }
    }
    tell({{"found", fmt::format("{} copies between {} spaces", copies, spaces_of(device).size())}});
  });
}

// ---- events ----

/// What the checks of order work with: bytes in the device's memory, and host memory that a copy behind slow work brings them to.
class Order {
 public:
  Order(const Device& device, std::uint32_t number)
      : device_(device), far_(far_space(device)), filler_(device, number, 10), queue_(device.queue(number)),
        source_(device.allocate(far_, kBytes)), between_(device.allocate(far_, kBytes)),
        target_(device.allocate(device.host_side(), kBytes)) {}

  void* queue() const { return queue_.get(); }

  /// Puts other bytes into the source, and blanks into what they are copied to.
  void renew() {
    bytes_ = pattern(kBytes, ++seed_);
    device_.write(queue(), far_, source_.get(), bytes_);
    device_.write(queue(), far_, between_.get(), pattern(kBytes, 0));
    std::memset(target_.get(), 0, kBytes);
  }
  void fill() const { filler_.enqueue(queue()); }
  void copy_between() const { device_.copy(queue(), between_.get(), far_, source_.get(), far_, kBytes); }
  void copy_to_host(void* queue, bool from_between = false) const {
    device_.copy(queue, target_.get(), device_.host_side(), (from_between ? between_ : source_).get(), far_, kBytes);
  }
  bool arrived() const { return std::memcmp(target_.get(), bytes_.data(), kBytes) == 0; }

 private:
  static constexpr std::size_t kBytes = 4096;
  const Device& device_;
  std::uint32_t far_;
  Filler filler_;
  Device::Handle queue_;
  Device::Memory source_, between_, target_;
  Bytes bytes_;
  unsigned seed_ = 0;
};

/// False when an event never came.
bool check_queue(const Device& device, std::uint32_t number, const Say& say) {
  constexpr int kTimes = 3;
  Order order(device, number);
  const Device::Handle event = device.event();
  for (int i = 0; i < kTimes; ++i) {
    set_doing(fmt::format("synchronize with queue {}", number));
    order.renew();
    order.fill();
    order.copy_to_host(order.queue());
    device.signal(order.queue(), event.get());
    if (!device.synchronize(event.get(), kPatience)) {
      say(fmt::format("an event on queue {} is never signalled: synchronize gives up after {} seconds", number, kPatience / 1'000'000'000));
      return false;
    }
    if (!order.arrived())
      say(i == 0 ? fmt::format("an event on queue {} is signalled before the work ahead of it is done", number)
                 : fmt::format("an event on queue {} that is signalled again counts as signalled before the work ahead of it is done",
                               number));
  }
  for (int i = 0; i < kTimes; ++i) {
    set_doing(fmt::format("drain of queue {}", number));
    order.renew();
    order.fill();
    order.copy_to_host(order.queue());
    device.drain(order.queue());
    if (!order.arrived()) say(fmt::format("drain of queue {} returns before the queue is empty", number));
  }
  for (std::uint32_t other = 1; other <= device.info().queue_count; ++other) {
    const Device::Handle second = device.queue(other);
    for (int i = 0; i < kTimes; ++i) {
      set_doing(fmt::format("wait on queue {} for an event of queue {}", other, number));
      order.renew();
      order.fill();
      order.copy_between();
      device.signal(order.queue(), event.get());
      device.wait(second.get(), event.get());
      order.copy_to_host(second.get(), true);
      device.drain(second.get());
      if (!order.arrived())
        say(fmt::format("work on queue {} does not wait for the event of queue {} that it was told to wait for", other, number));
      device.drain(order.queue());
    }
  }
  return true;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void check_times(const Device& device, std::uint32_t number, const Say& say) {
  Order order(device, number);
  const Device::Handle first = device.event(true), second = device.event(true);
  set_doing(fmt::format("timed events on queue {}", number));
  order.renew();
  const std::int64_t before = now_ns();
  device.signal(order.queue(), first.get());
  order.fill();
  device.signal(order.queue(), second.get());
  device.drain(order.queue());
  const std::int64_t after = now_ns(), a = device.event_time(first.get()), b = device.event_time(second.get());
  constexpr std::int64_t kSlack = 1'000'000;  // clocks of two devices are brought together within this
  if (a < before - kSlack || b > after + kSlack)
    say(
        fmt::format("timed events on queue {} lie outside the time in which they were signalled: {} and {} ns of CLOCK_MONOTONIC, "
                    "signalled from {} to {}",
                    number, a, b, before, after));
  if (b < a) say(fmt::format("the second of two timed events on queue {} has the earlier time", number));
}

void check_events(Context& context) {
  bool lost = false;
  context.apart(
      "events",
      [&](const Tell& tell) {
        const Opened opened(context.target);
        const Device& device = opened.device;
        const Say say = [&](const std::string& sentence) { tell(line_of({"events", sentence})); };
        for (std::uint32_t number = 1; number <= device.info().queue_count; ++number) {
          if (!check_queue(device, number, say)) return tell({{"lost", true}});
          if ((device.info().features & ASHLAR_DEVICE_TIMES) != 0) check_times(device, number, say);
        }
        tell({{"found", fmt::format("synchronize, drain and wait on {} queues, slowed", device.info().queue_count)}});
      },
      [&](const Json&) { return lost = true; });
  if (lost) context.hung = true;
}

// ---- capture ----

void check_recording(const Device& device, std::uint32_t number, const Say& say) {
  constexpr std::size_t kBytes = 4096;
  const std::uint32_t space = far_space(device);
  const Device::Memory from = device.allocate(space, kBytes), to = device.allocate(space, kBytes);
  const Device::Handle queue = device.queue(number);
  const Bytes blank = pattern(kBytes, 1);
  const auto holds = [&](const Bytes& expected) {
    Bytes bytes(kBytes);
    device.read(queue.get(), space, to.get(), bytes);
    return bytes == expected;
  };
  device.write(queue.get(), space, from.get(), pattern(kBytes, 2));
  device.write(queue.get(), space, to.get(), blank);
  set_doing(fmt::format("recording on queue {}", number));
  device.capture_begin(queue.get());
  device.copy(queue.get(), to.get(), space, from.get(), space, kBytes);
  const Device::Handle recording = device.capture_end(queue.get());
  device.drain(queue.get());
  if (!holds(blank)) say(fmt::format("what is recorded on queue {} is done at once", number));
  for (const unsigned seed : {2u, 3u, 4u}) {
    device.write(queue.get(), space, from.get(), pattern(kBytes, seed));
    set_doing(fmt::format("replay on queue {}", number));
    device.replay(queue.get(), recording.get());
    device.drain(queue.get());
    if (!holds(pattern(kBytes, seed))) say(fmt::format("replay {} on queue {} does not do what was recorded", seed - 1, number));
  }
}

void check_capture(Context& context) {
  if ((context.described.features & ASHLAR_DEVICE_CAPTURE) == 0) return context.skip("capture", "the device does not record");
  context.apart("capture", [&](const Tell& tell) {
    const Opened opened(context.target);
    for (std::uint32_t number = 1; number <= opened.device.info().queue_count; ++number)
      check_recording(opened.device, number, [&](const std::string& sentence) { tell(line_of({"capture", sentence})); });
    tell({{"found", fmt::format("recorded and replayed copies on {} queues, and steps", opened.device.info().queue_count)}});
  });
}

}  // namespace

void check_memory(Context& context) {
  context.apart("limits", [&](const Tell& tell) {
    const Opened opened(context.target);
    std::string names;
    for (std::uint32_t s = 1; s < opened.device.spaces().size(); ++s) {
      check_space(opened.device, s, [&](const std::string& sentence) { tell(line_of({"limits", sentence})); });
      names += (names.empty() ? "" : ", ") + opened.device.spaces()[s].name;
    }
    tell({{"found", "allocated up to the limit and beyond: " + names}});
  });
}

void check_queues(Context& context) {
  if (context.wanted("events")) check_events(context);
  if (context.hung) {
    for (const char* check : {"copies", "capture"}) context.skip(check, "left out, since an earlier check did not end");
    return;
  }
  if (context.wanted("copies")) check_copies(context);
  for (const char* check : {"events", "copies"})
    context.unreliable = context.unreliable || context.result(check).state == CheckResult::kFailed;
  if (context.unreliable) context.skip("capture", "left out, since copies or events cannot be relied on");
  else if (context.wanted("capture")) check_capture(context);
}

}  // namespace ashlar::check
