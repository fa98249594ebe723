// SPDX-License-Identifier: Apache-2.0
// The spy's side of an instance, a program and a step.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "device.h"
#include "spy.h"

namespace ashlar::check {

inline constexpr std::uint64_t kZone = 256;  ///< watched bytes behind a buffer

/// An instance of the watched provider and what the session has of it.
class SpyInstance {
 public:
  SpyInstance(const AshlarProvider& inner_table, const AshlarHost& outer_host);
  ~SpyInstance();
  SpyInstance(const SpyInstance&) = delete;
  SpyInstance& operator=(const SpyInstance&) = delete;

  const AshlarProvider& table;
  const AshlarHost& outer;
  AshlarHost host;  ///< what the provider gets
  void* inner = nullptr;
  /// Set once the instance is described; null without a device.
  std::unique_ptr<Device> device;

  /// Things the session took and must give back, by kind.
  enum Kind { kMemory, kQueue, kEvent, kRecording, kProgram, kBinding, kKinds };
  struct Held {
    std::uint32_t number = 0;  ///< of the space or the queue
    std::uint64_t bytes = 0;
  };
  void take(Kind kind, const void* thing, Held held);
  void take(Kind kind, const void* thing) { take(kind, thing, Held{}); }
  /// Says what is wrong when it was not taken.
  void give_back(Kind kind, const void* thing);
  /// The number of a queue that is held.
  std::uint32_t queue_number(const void* handle);
  /// Makes a queue late, if it is the slowed one.
  void delay(void* handle);

  std::atomic<bool> lost{false};

 private:
  std::mutex mutex_;
  std::map<const void*, Held> held_[kKinds];
  std::map<std::uint32_t, std::unique_ptr<Filler>> fillers_;
};

/// The device's functions with the spy between; defined in spy_device.cc.
const AshlarDevice& spy_device();

/// A step of a prepared program, wrapped.
struct SpyStep {
  SpyInstance* instance;
  const AshlarStep* inner;
  const AshlarGraph* graph;
  Mode mode;
  std::string label;  ///< its operators
  AshlarStep outer;   ///< what the session gets

  /// Fills `outer`; says what is wrong with `inner`.
  void wrap();
  std::uint32_t input_space(std::uint32_t i) const { return inner->input_spaces ? inner->input_spaces[i] : ASHLAR_SPACE_HOST; }
  std::uint32_t output_space(std::uint32_t i) const { return inner->output_spaces ? inner->output_spaces[i] : ASHLAR_SPACE_HOST; }
};

/// A prepared program, wrapped; AshlarProgram::handle of what the session gets.
struct SpyProgram {
  AshlarProgram inner;
  std::deque<SpyStep> steps;
  std::vector<AshlarStep> outer;
};

/// Does `body` three times `kWindow` times and says under "leaks" what heap or device memory stays taken each time.
inline constexpr int kWindow = 16;
void measure_leaks(SpyInstance& instance, const std::string& what, const std::function<void()>& body);
/// Bytes of the heap in use; nothing where the allocator does not say.
std::optional<std::uint64_t> heap_bytes();

/// "Relu of float32[2,3]".
std::string operand_text(const std::string& label, const AshlarTensor* const* inputs, std::uint32_t count);

}  // namespace ashlar::check
