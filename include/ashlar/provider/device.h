// SPDX-License-Identifier: Apache-2.0
// The C++ face of AshlarDevice: memory, queues and events of a provider that does not work in host memory on the calling thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/provider/abi.h>
#include <ashlar/provider/failure.h>

namespace ashlar::provider {

/// A memory space of a device; the first of Device::spaces() is number 1.
struct Space {
  const char* name;               ///< "device", "pinned"
  bool host_accessible = false;   ///< the calling thread may read and write it
  std::uint64_t total_bytes = 0;  ///< 0: not known
  std::uint64_t alignment = 64;
};

/// What a provider's device is asked. Functions throw a Failure: ASHLAR_OUT_OF_MEMORY from allocate, ASHLAR_DEVICE_ERROR once the device has
/// failed. All may be called by several threads at once, a queue and its events by one at a time; abi.h says what each means.
class Device {
 public:
  virtual ~Device() = default;

  virtual std::vector<Space> spaces() const = 0;
  virtual std::uint32_t queue_count() const { return 1; }
  virtual std::uint32_t upload_queue() const { return 1; }
  virtual std::uint32_t download_queue() const { return 1; }
  /// The space that the host side of every copy is put in; 0 where copy takes any host memory.
  virtual std::uint32_t staging_space() const { return 0; }
  /// A sentence: model, driver.
  virtual std::string description() const = 0;
  /// ASHLAR_DEVICE_CAPTURE, ASHLAR_DEVICE_TIMES where it has what they stand for.
  virtual std::uint32_t features() const { return 0; }
  /// For a placement by cost; 0 where it is not known.
  virtual AshlarRates rates() const { return {}; }
  /// What verdicts go by, by name ("compute_capability", "9.0"): AshlarHost::planned gives it back where the device is not there.
  virtual std::vector<std::pair<std::string, std::string>> attributes() const { return {}; }

  virtual void* allocate(std::uint32_t space, std::uint64_t bytes) = 0;
  virtual void free(std::uint32_t space, void* memory) noexcept = 0;

  virtual void* create_queue(std::uint32_t queue) = 0;
  virtual void destroy_queue(void* queue) noexcept = 0;
  virtual void copy(void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes) = 0;
  virtual void drain(void* queue) = 0;

  virtual void* create_event(bool timed) = 0;
  virtual void destroy_event(void* event) noexcept = 0;
  virtual void signal(void* queue, void* event) = 0;
  virtual void wait(void* queue, void* event) = 0;
  /// Whether the event is signalled, after at most `timeout_ns`; negative: no limit.
  virtual bool synchronize(void* event, std::int64_t timeout_ns) = 0;
  /// Nanoseconds of CLOCK_MONOTONIC.
  virtual std::int64_t event_time(void* /*event*/) { throw Failure(ASHLAR_UNSUPPORTED, "the device does not time events"); }

  virtual void begin_capture(void* /*queue*/) { throw Failure(ASHLAR_UNSUPPORTED, "the device does not record"); }
  virtual void* end_capture(void* /*queue*/) { throw Failure(ASHLAR_UNSUPPORTED, "the device does not record"); }
  virtual void replay(void* /*queue*/, void* /*recording*/) { throw Failure(ASHLAR_UNSUPPORTED, "the device does not record"); }
  virtual void destroy_recording(void* /*recording*/) noexcept {}

  /// Throws the Failure (ASHLAR_DEVICE_ERROR) of a device that is lost.
  virtual void check_state() {}
};

/// What an AshlarProviderInfo points to.
struct Description {
  std::vector<AshlarSpaceInfo> spaces = {};
  std::string device = {};
  std::vector<std::pair<std::string, std::string>> attribute_texts = {};
  std::vector<AshlarOption> attributes = {};
};

/// Fills what Device says of itself, which points into `storage`.
inline void describe(const Device& device, AshlarProviderInfo& info, Description& storage) {
  storage = {.device = device.description(), .attribute_texts = device.attributes()};
  for (const Space& s : device.spaces())
    storage.spaces.push_back({sizeof(AshlarSpaceInfo), s.host_accessible ? 1u : 0u, s.name, s.total_bytes, s.alignment});
  for (const auto& [name, value] : storage.attribute_texts) storage.attributes.push_back({name.c_str(), value.c_str()});
  info = {.struct_size = sizeof(AshlarProviderInfo),
          .space_count = static_cast<std::uint32_t>(storage.spaces.size()),
          .queue_count = device.queue_count(),
          .features = device.features(),
          .required_features = ASHLAR_CORE_DEVICES,
          .upload_queue = device.upload_queue(),
          .download_queue = device.download_queue(),
          .staging_space = device.staging_space(),
          .spaces = storage.spaces.data(),
          .space_stride = sizeof(AshlarSpaceInfo),
          .device = storage.device.c_str(),
          .rates = device.rates(),
          .attributes = storage.attributes.data(),
          .attribute_count = storage.attributes.size()};
}

/// The table of functions over instances from which `device_of(instance)` gives the Device.
template <Device& (*device_of)(void* instance)> const AshlarDevice* device_table() {
  static const AshlarDevice table = {
      .struct_size = sizeof(AshlarDevice),
      .reserved = 0,
      .allocate = [](void* i, std::uint32_t space, std::uint64_t bytes, void** memory, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *memory = device_of(i).allocate(space, bytes); });
      },
      .free = [](void* i, std::uint32_t space, void* memory) { device_of(i).free(space, memory); },
      .queue_create = [](void* i, std::uint32_t queue, void** handle, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *handle = device_of(i).create_queue(queue); });
      },
      .queue_destroy = [](void* i, void* queue) { device_of(i).destroy_queue(queue); },
      .event_create = [](void* i, std::int32_t timed, void** event, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *event = device_of(i).create_event(timed != 0); });
      },
      .event_destroy = [](void* i, void* event) { device_of(i).destroy_event(event); },
      .signal = [](void* i, void* queue, void* event, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { device_of(i).signal(queue, event); });
      },
      .wait = [](void* i, void* queue, void* event, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { device_of(i).wait(queue, event); });
      },
      .synchronize = [](void* i, void* event, std::int64_t timeout_ns, std::int32_t* signalled, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *signalled = device_of(i).synchronize(event, timeout_ns) ? 1 : 0; });
      },
      .event_time = [](void* i, void* event, std::int64_t* ns, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *ns = device_of(i).event_time(event); });
      },
      .copy = [](void* i, void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space, std::uint64_t bytes,
                 AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { device_of(i).copy(queue, to, to_space, from, from_space, bytes); });
      },
      .drain = [](void* i, void* queue, AshlarStatus* s) -> AshlarCode { return guarded(s, [&] { device_of(i).drain(queue); }); },
      .capture_begin = [](void* i, void* queue, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { device_of(i).begin_capture(queue); });
      },
      .capture_end = [](void* i, void* queue, void** recording, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { *recording = device_of(i).end_capture(queue); });
      },
      .replay = [](void* i, void* queue, void* recording, AshlarStatus* s) -> AshlarCode {
        return guarded(s, [&] { device_of(i).replay(queue, recording); });
      },
      .recording_destroy = [](void* i, void* recording) { device_of(i).destroy_recording(recording); },
      .state = [](void* i, AshlarStatus* s) -> AshlarCode { return guarded(s, [&] { device_of(i).check_state(); }); },
  };
  return &table;
}

}  // namespace ashlar::provider
