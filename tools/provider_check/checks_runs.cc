// SPDX-License-Identifier: Apache-2.0
// Sessions as applications make them: from several threads, again after the library was unloaded, and many times.
#include "same_bits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include <dlfcn.h>
#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "case.h"
#include "device.h"
#include "spy_instance.h"

namespace ashlar::check {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kThreads = 8;
constexpr int kLeastRuns = 8;
constexpr std::chrono::milliseconds kContention{10'000}, kMostContention{60};  ///< for all samples, and for one
constexpr std::size_t kReloadSamples = 3;

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  if (a.dtype() == DType::kString)
    return std::equal(a.span<std::string>().begin(), a.span<std::string>().end(), b.span<std::string>().begin());
  return a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// The inputs with the elements of floats moved on by some places, so that each thread has data of its own.
NamedValues moved(const NamedValues& inputs, int by) {
  NamedValues out;
  for (const auto& [name, value] : inputs) {
    Tensor tensor = value.tensor().clone();
    if (const auto n = tensor.element_count(); tensor.dtype() == DType::kFloat32 && n > 1) {
      float* data = tensor.mutable_data<float>();
      std::rotate(data, data + by % n, data + n);
    }
    out.add(name, tensor);
  }
  return out;
}

SessionOptions options_of(const Context& context, const Sample& sample) {
  std::vector<std::string> providers = {context.target.text};
  if (is_chain(*sample.row) && context.target.name != "reference") providers.push_back("reference");
  return {.providers = providers, .threads = 1, .passes = PassOptions::none()};
}

/// What goes wrong when threads run sessions at once; empty when nothing.
std::string run_at_once(const std::vector<Session>& sessions, const std::vector<NamedValues>& inputs,
                        const std::vector<NamedValues>& expected, Clock::duration time) {
  std::mutex mutex;
  std::string fault;
  std::atomic<bool> go_on{true};
  const auto end = Clock::now() + time;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const auto mine = static_cast<std::size_t>(t);
      for (int i = 0; go_on && (i < kLeastRuns || Clock::now() < end); ++i) {
        std::string what;
        try {
          if (!same_bits(sessions[mine % sessions.size()].run(inputs[mine]), expected[mine])) what = "gives other bits than alone";
        } catch (const Error& e) {
          what = fmt::format("fails, and alone it does not: {}", e.what());
        }
        if (what.empty()) continue;
        const std::lock_guard lock(mutex);
        fault = what;
        go_on = false;
      }
    });
  for (std::thread& thread : threads) thread.join();
  return fault;
}

/// False where the provider gives other bits each time, alone too.
bool contend(const Context& context, const Sample& sample, const Tell& tell) {
  const Drawn drawn = draw(sample);
  const SessionOptions options = options_of(context, sample);
  set_doing(fmt::format("{} from {} threads", sample.row->name, kThreads));
  std::vector<Session> sessions = {Session(drawn.model, options)};
  std::vector<NamedValues> inputs, expected;
  for (int t = 0; t < kThreads; ++t) {
    inputs.push_back(moved(drawn.inputs, t * 7));
    expected.push_back(sessions[0].run(inputs.back()));
    if (!same_bits(sessions[0].run(inputs.back()), expected.back())) return false;
  }
  const auto say = [&](const char* how, const std::string& fault) {
    if (!fault.empty()) tell(line_of({"concurrency", fmt::format("{} run by {} threads {} {}", sample.row->name, kThreads, how, fault)}));
  };
  const auto time = std::min<Clock::duration>(kMostContention, kContention / (2 * context.samples.size()));
  say("in one session", run_at_once(sessions, inputs, expected, time));
  while (sessions.size() < kThreads / 2) sessions.emplace_back(drawn.model, options);
  say("in several sessions", run_at_once(sessions, inputs, expected, time));
  return true;
}

/// Instances after one another, beside one another and, where it is a library, after it was unloaded.
void make_again(const Target& target, const Tell& tell) {
  const auto attempt = [&](const char* which, const std::function<void()>& body) {
    set_doing(which);
    try {
      body();
    } catch (const Error& e) {
      tell(line_of({"reload", fmt::format("{} fails: {}", which, e.message())}));
    }
  };
  std::optional<Library> library(std::in_place, target);
  const auto make = [&] { const Instance once(table_of(*library), target); };
  attempt("the first instance", make);
  attempt("a second instance after the first has ended", make);
  attempt("one of two instances at once", [&] {
    const Instance a(table_of(*library), target);
    make();
  });
  if (!target.is_path()) return;
  library.reset();
  attempt("the library, loaded again,", [&] {
    library.emplace(target);
    make();
  });
}

void reload(const Context& context, const Sample& sample, const Tell& tell) {
  const Drawn drawn = draw(sample);
  const SessionOptions options = options_of(context, sample);
  std::optional<NamedValues> first;
  const auto run = [&](const Session& session, const char* which) {
    const NamedValues outputs = session.run(drawn.inputs);
    if (!same_bits(outputs, *first))
      tell(line_of({"reload", fmt::format("{}: {} gives other outputs than the first", sample.row->name, which)}));
  };
  const auto attempt = [&](const char* which, const std::function<void()>& body) {
    set_doing(fmt::format("{}: {}", sample.row->name, which));
    try {
      body();
    } catch (const Error& e) {
      tell(line_of({"reload", fmt::format("{}: {} fails: {}", sample.row->name, which, e.what())}));
    }
  };
  std::optional<Library> held(std::in_place, context.target);
  bool steady = true;
  attempt("the first instance", [&] {
    const Session session(drawn.model, options);
    first = session.run(drawn.inputs);
    steady = same_bits(session.run(drawn.inputs), *first);
  });
  if (!steady || !first) return;  // nothing can be said of another instance
  attempt("a second instance after the first has ended",
          [&] { run(Session(drawn.model, options), "a second instance after the first has ended"); });
  attempt("one of two instances at once", [&] {
    std::optional<Session> a(std::in_place, drawn.model, options), b(std::in_place, drawn.model, options);
    run(*a, "one of two instances at once");
    run(*b, "one of two instances at once");
    a.reset();
    run(*b, "an instance after another beside it has ended");
  });
  held.reset();
  if (context.target.is_path())
    attempt("the library, loaded again,", [&] { run(Session(drawn.model, options), "the library, loaded again,"); });
}

bool is_loaded(const Target& target) {
  void* handle =
      dlopen(target.name.find('/') == std::string::npos ? ("./" + target.name).c_str() : target.name.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (handle) dlclose(handle);
  return handle != nullptr;
}

/// What instances, queues, events and memory leave behind.
void repeat_border(const Target& target, const Tell& tell) {
  const Library library(target);
  const AshlarProvider& table = table_of(library);
  AshlarHost host = bare_host();
  SpyInstance measured(table, host);
  measure_leaks(measured, "create and destroy", [&] { const Instance once(table, target); });
  if (table.device) {
    const Instance instance(table, target);
    measured.device = std::make_unique<Device>(table, instance.get());
    const Device& device = *measured.device;
    for (std::uint32_t s = 1; s < device.spaces().size(); ++s)
      measure_leaks(measured, fmt::format("allocate and free in the space '{}'", device.spaces()[s].name),
                    [&] { device.allocate(s, 1000); });
    for (std::uint32_t q = 1; q <= device.info().queue_count; ++q) {
      measure_leaks(measured, fmt::format("queue_create and queue_destroy of queue {}", q), [&] { device.queue(q); });
      const Device::Handle queue = device.queue(q), event = device.event();
      const Device::Memory from = device.allocate(device.host_side(), 64), to = device.allocate(device.host_side(), 64);
      measure_leaks(measured, fmt::format("copy, signal and drain of queue {}", q), [&] {
        device.copy(queue.get(), to.get(), device.host_side(), from.get(), device.host_side(), 64);
        device.signal(queue.get(), event.get());
        device.drain(queue.get());
      });
    }
    measure_leaks(measured, "event_create and event_destroy", [&] { device.event(); });
    measured.device.reset();
  }
  for (const Finding& f : Spy::get().take_findings()) tell(line_of(f));
}

}  // namespace

bool same_bits(const NamedValues& a, const NamedValues& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !a[i].second.is_tensor() || !b[i].second.is_tensor() ||
        !same_tensor(a[i].second.tensor(), b[i].second.tensor()))
      return false;
  return true;
}

void check_concurrency(Context& context) {
  int steady = 0, unsteady = 0;
  context.apart(
      "concurrency",
      [&](const Tell& tell) {
        for (const Sample& sample : context.samples) tell({{"steady", contend(context, sample, tell)}});
      },
      [&](const Json& line) {
        ++(line["steady"].get<bool>() ? steady : unsteady);
        return true;
      });
  if (context.samples.empty()) return context.skip("concurrency", "no draw of an operator runs on it whole");
  context.result("concurrency").found = fmt::format("{} models, {} threads", steady, kThreads) +
                                        (unsteady > 0 ? fmt::format("; {} give other bits each time, alone too", unsteady) : "");
}

void check_reload(Context& context) {
  bool stays = false;
  context.apart(
      "reload",
      [&](const Tell& tell) {
        make_again(context.target, tell);
        const std::size_t n = std::min(kReloadSamples, context.samples.size());
        for (std::size_t i = 0; i < n; ++i) {
          reload(context, context.samples[i * context.samples.size() / n], tell);
          tell({{"stays", context.target.is_path() && is_loaded(context.target)}});
        }
      },
      [&](const Json& line) {
        stays = stays || line["stays"].get<bool>();
        return true;
      });
  context.result("reload").found = !context.target.is_path() ? "after one another, and two at once"
                                   : stays                   ? "after one another, and two at once; the library stays loaded"
                                                             : "after one another, two at once, and loaded again";
}

void check_leaks(Context& context) {
  int models = 0;
  context.apart(
      "leaks",
      [&](const Tell& tell) {
        repeat_border(context.target, tell);
        watch_target(context.target);
        Spy& spy = Spy::get();
        spy.set_mode(Mode::kRepeated);
        for (const Sample& sample : context.samples) {
          const Drawn drawn = draw(sample);
          Session(drawn.model,
                  {.providers = watched_providers(context, *sample.row), .threads = drawn.threads, .passes = PassOptions::none()})
              .run(drawn.inputs);
          for (const Finding& f : spy.take_findings()) tell(line_of(f));
          tell({{"model", 1}});
        }
      },
      [&](const Json&) { return ++models > 0; });
  context.result("leaks").found = fmt::format("{} models: verdict, prepare, bind and run many times{}", models,
                                              heap_bytes() ? "" : "; the allocator does not say what is in use");
}

}  // namespace ashlar::check
