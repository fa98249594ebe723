// SPDX-License-Identifier: Apache-2.0
// A provider between a session and the provider that is checked: it forwards every call, looks at what crosses the border both ways, and
// does what a mode asks for. There is one in a process.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <ashlar/provider/abi.h>

#include "report.h"

namespace ashlar::check {

/// The spy's name in a session; options go on to the provider behind it.
inline constexpr const char* kSpyName = "checked";

/// What the spy makes of steps besides running them. Takes effect when a session is made.
enum class Mode {
  kPlain,
  kApart,     ///< no storage is shared, memory behind outputs and workspaces is watched, inputs are compared afterwards
  kShared,    ///< storage is shared wherever the step allows it
  kRecorded,  ///< what can be recorded is, and replayed
  kRepeated,  ///< prepare, bind and run are done many times, and what they leave behind is measured
};

/// Calls that can be made to fail. kLost: from the given call on, all that needs the device.
enum class Fault { kNone, kAllocate, kQueue, kEvent, kCopy, kLost, kPacked, kSetOutput };

/// What verdicts said of an operator: dtypes of the first operand where it was accepted, codes where it was refused.
struct Claims {
  std::set<std::string> accepted;
  std::map<std::string, int> refused;
};

class Spy {
 public:
  static Spy& get();

  /// Watches the provider of this entry from now on.
  void watch(AshlarProviderEntry entry);
  AshlarProviderEntry watched() const { return entry_; }

  void set_mode(Mode mode) { mode_ = mode; }
  Mode mode() const { return mode_; }
  /// Work of queues of this number begins late; 0: none.
  void slow(std::uint32_t queue) { slowed_ = queue; }
  std::uint32_t slowed() const { return slowed_; }

  /// The call of that kind with that number, from 1 on, fails, counted from now.
  void inject(Fault fault, int at);
  /// Whether a call is to fail; counts it.
  bool fails(Fault fault);
  /// Whether a call did.
  bool injected() const { return injected_; }

  void find(std::string check, std::string sentence);
  /// A shape that is not what the graph says. ONNX's inference is not always right, so this explains a failure and is none.
  void doubt_shape(std::string sentence);
  /// The doubts since the last call, as findings of the check "shapes".
  std::vector<Finding> take_doubts();
  /// What was found since the last call, each once.
  std::vector<Finding> take_findings();
  void claim(const std::string& op, const std::string& dtype);
  void refuse(const std::string& op, const std::string& code);
  std::map<std::string, Claims> take_claims();
  /// Steps that ran since the last call.
  void count_step() { ++steps_; }
  int take_steps() { return steps_.exchange(0); }

 private:
  Spy() = default;
  AshlarProviderEntry entry_ = nullptr;
  std::atomic<Mode> mode_{Mode::kPlain};
  std::atomic<std::uint32_t> slowed_{0};
  std::atomic<Fault> fault_{Fault::kNone};
  std::atomic<int> calls_left_{0};
  std::atomic<bool> injected_{false};
  std::atomic<int> steps_{0};
  std::mutex mutex_;
  std::vector<Finding> findings_;
  std::vector<Finding> doubts_;
  std::set<std::string> known_;  ///< sentences in findings_
  std::map<std::string, Claims> claims_;
};

}  // namespace ashlar::check
