// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <ashlar/provider/failure.h>

#include "child.h"
#include "spy_instance.h"

namespace ashlar::check {
namespace {

using provider::set_status;

SpyInstance& at(void* instance) { return *static_cast<SpyInstance*>(instance); }
const AshlarDevice& device_of(void* instance) { return *at(instance).table.device; }

AshlarCode planted(AshlarStatus* status, AshlarCode code, const char* sentence) {
  set_status(status, code, sentence);
  return code;
}

/// Whether the device is lost for the session: all that needs it fails from a planted call on.
bool is_lost(SpyInstance& spy) {
  if (Spy::get().fails(Fault::kLost)) spy.lost = true;
  return spy.lost;
}
AshlarCode lost(AshlarStatus* status) { return planted(status, ASHLAR_DEVICE_ERROR, "the device is lost (planted)"); }

AshlarCode allocate(void* instance, std::uint32_t space, std::uint64_t bytes, void** memory, AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  set_doing(fmt::format("allocate of {} bytes in space {}", bytes, space));
  if (Spy::get().fails(Fault::kAllocate)) return planted(status, ASHLAR_OUT_OF_MEMORY, "there is no memory left (planted)");
  if (const AshlarCode code = device_of(instance).allocate(spy.inner, space, bytes, memory, status)) return code;
  spy.take(SpyInstance::kMemory, *memory, {space, bytes});
  return ASHLAR_OK;
}

void free_memory(void* instance, std::uint32_t space, void* memory) {
  set_doing(fmt::format("free in space {}", space));
  at(instance).give_back(SpyInstance::kMemory, memory);
  device_of(instance).free(at(instance).inner, space, memory);
}

AshlarCode queue_create(void* instance, std::uint32_t queue, void** handle, AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  set_doing("queue_create");
  if (Spy::get().fails(Fault::kQueue)) return planted(status, ASHLAR_DEVICE_ERROR, "a queue cannot be made (planted)");
  if (const AshlarCode code = device_of(instance).queue_create(spy.inner, queue, handle, status)) return code;
  spy.take(SpyInstance::kQueue, *handle, {queue, 0});
  return ASHLAR_OK;
}

void queue_destroy(void* instance, void* handle) {
  set_doing("queue_destroy");
  at(instance).give_back(SpyInstance::kQueue, handle);
  device_of(instance).queue_destroy(at(instance).inner, handle);
}

AshlarCode event_create(void* instance, std::int32_t timed, void** event, AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  set_doing("event_create");
  if (Spy::get().fails(Fault::kEvent)) return planted(status, ASHLAR_DEVICE_ERROR, "an event cannot be made (planted)");
  if (const AshlarCode code = device_of(instance).event_create(spy.inner, timed, event, status)) return code;
  spy.take(SpyInstance::kEvent, *event);
  return ASHLAR_OK;
}

void event_destroy(void* instance, void* event) {
  set_doing("event_destroy");
  at(instance).give_back(SpyInstance::kEvent, event);
  device_of(instance).event_destroy(at(instance).inner, event);
}

AshlarCode signal(void* instance, void* queue, void* event, AshlarStatus* status) {
  set_doing("signal");
  if (is_lost(at(instance))) return lost(status);
  return device_of(instance).signal(at(instance).inner, queue, event, status);
}

AshlarCode wait(void* instance, void* queue, void* event, AshlarStatus* status) {
  set_doing("wait");
  if (is_lost(at(instance))) return lost(status);
  return device_of(instance).wait(at(instance).inner, queue, event, status);
}

// What the session must not free while it is in use is waited for in earnest, on a lost device too.
AshlarCode synchronize(void* instance, void* event, std::int64_t timeout_ns, std::int32_t* signalled, AshlarStatus* status) {
  set_doing("synchronize");
  const bool gone = is_lost(at(instance));
  const AshlarCode code = device_of(instance).synchronize(at(instance).inner, event, timeout_ns, signalled, status);
  return gone ? lost(status) : code;
}

AshlarCode event_time(void* instance, void* event, std::int64_t* ns, AshlarStatus* status) {
  set_doing("event_time");
  return device_of(instance).event_time(at(instance).inner, event, ns, status);
}

AshlarCode copy(void* instance, void* queue, void* to, std::uint32_t to_space, const void* from, std::uint32_t from_space,
                std::uint64_t bytes, AshlarStatus* status) {
  SpyInstance& spy = at(instance);
  set_doing(fmt::format("copy of {} bytes from space {} to space {}", bytes, from_space, to_space));
  if (Spy::get().fails(Fault::kCopy)) return planted(status, ASHLAR_DEVICE_ERROR, "a copy failed (planted)");
  if (is_lost(spy)) return lost(status);
  spy.delay(queue);
  return device_of(instance).copy(spy.inner, queue, to, to_space, from, from_space, bytes, status);
}

AshlarCode drain(void* instance, void* queue, AshlarStatus* status) {
  set_doing("drain");
  const bool gone = is_lost(at(instance));
  const AshlarCode code = device_of(instance).drain(at(instance).inner, queue, status);
  return gone ? lost(status) : code;
}

AshlarCode capture_begin(void* instance, void* queue, AshlarStatus* status) {
  set_doing("capture_begin");
  return device_of(instance).capture_begin(at(instance).inner, queue, status);
}

AshlarCode capture_end(void* instance, void* queue, void** recording, AshlarStatus* status) {
  set_doing("capture_end");
  if (const AshlarCode code = device_of(instance).capture_end(at(instance).inner, queue, recording, status)) return code;
  at(instance).take(SpyInstance::kRecording, *recording);
  return ASHLAR_OK;
}

AshlarCode replay(void* instance, void* queue, void* recording, AshlarStatus* status) {
  set_doing("replay");
  if (is_lost(at(instance))) return lost(status);
  return device_of(instance).replay(at(instance).inner, queue, recording, status);
}

void recording_destroy(void* instance, void* recording) {
  set_doing("recording_destroy");
  at(instance).give_back(SpyInstance::kRecording, recording);
  device_of(instance).recording_destroy(at(instance).inner, recording);
}

AshlarCode state(void* instance, AshlarStatus* status) {
  if (is_lost(at(instance))) return lost(status);
  return device_of(instance).state(at(instance).inner, status);
}

}  // namespace

const AshlarDevice& spy_device() {
  static const AshlarDevice table = {.struct_size = sizeof(AshlarDevice),
                                     .reserved = 0,
                                     .allocate = &allocate,
                                     .free = &free_memory,
                                     .queue_create = &queue_create,
                                     .queue_destroy = &queue_destroy,
                                     .event_create = &event_create,
                                     .event_destroy = &event_destroy,
                                     .signal = &signal,
                                     .wait = &wait,
                                     .synchronize = &synchronize,
                                     .event_time = &event_time,
                                     .copy = &copy,
                                     .drain = &drain,
                                     .capture_begin = &capture_begin,
                                     .capture_end = &capture_end,
                                     .replay = &replay,
                                     .recording_destroy = &recording_destroy,
                                     .state = &state};
  return table;
}

}  // namespace ashlar::check
