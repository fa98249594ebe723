// SPDX-License-Identifier: Apache-2.0
// Runs a model many times through the public API and checks what must hold of many runs together:
//   same-bits     eight threads that run one session at once, each set of inputs in another order, get the bits that a single caller of a
//                 session of as many threads gets
//   flat-memory   from the 1,000th run to the 10,000th, shapes changing from run to run, the resident memory grows by 4 MiB at most
// Half the runs go through a Run of their own, half through Session::run. Exit status: 0 the check holds, 1 it does not, or an error.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <exception>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <ashlar/ashlar.h>

#include "random_inputs.h"

namespace {
using namespace ashlar::testing;

constexpr const char* kUsage =
    "ashlar_stress same-bits|flat-memory MODEL [--providers a,b] [--threads N] [SYMBOL=N | SYMBOL=LOW-HIGH]...\n"
    "SYMBOL: a dimension that the model's inputs leave open; each set of inputs gets one of these lengths";
constexpr std::size_t kCallers = 8, kRounds = 5;
constexpr std::size_t kWarmUp = 1'000, kRuns = 10'000;
constexpr double kSlackMiB = 4;

struct Arguments {
  std::string check, model;
  ashlar::SessionOptions session;
  std::map<std::string, Range> lengths;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  std::vector<std::string_view> words;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::size_t equals = word.find('=');
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= argc) throw std::invalid_argument(fmt::format("{} needs a value", word));
      return argv[++i];
    };
    if (word == "--providers") out.session.providers = split(value());
    else if (word == "--threads") out.session.threads = number<int>(value());
    else if (words.size() < 2) words.push_back(word);
    else if (equals != word.npos) out.lengths[std::string(word.substr(0, equals))] = parse_range(word.substr(equals + 1));
    else throw std::invalid_argument(fmt::format("'{}' is one argument too many\n{}", word, kUsage));
  }
  if (words.size() < 2) throw std::invalid_argument(kUsage);
  out.check = words[0];
  out.model = words[1];
  return out;
}

/// One caller of a session, who keeps a Run; its outputs hold until the next call.
class Caller {
 public:
  explicit Caller(const ashlar::Session& session) : session_(session), run_(session.prepare()) {}

  std::vector<ashlar::Tensor> operator()(const ashlar::NamedValues& inputs, bool through_session) {
    std::vector<ashlar::Tensor> outputs;
    if (through_session) {
      for (const auto& [name, value] : session_.run(inputs)) outputs.push_back(value.tensor());
      return outputs;
    }
    for (const auto& [name, value] : inputs) run_.bind_input(name, value);
    run_();
    for (std::size_t i = 0; i < session_.outputs().size(); ++i) outputs.push_back(run_.output(i).tensor());
    return outputs;
  }

 private:
  const ashlar::Session& session_;
  ashlar::Run run_;
};

bool check_same_bits(const ashlar::Session& session, RandomInputs inputs) {
  std::vector<ashlar::NamedValues> sets;
  std::vector<std::vector<ashlar::Tensor>> expected(kCallers);
  Caller single(session);
  for (std::size_t k = 0; k < kCallers; ++k) {
    sets.push_back(inputs.next());
    for (const ashlar::Tensor& output : single(sets[k], false)) expected[k].push_back(output.clone());
  }
  std::atomic<std::size_t> wrong = 0;
  std::vector<std::string> errors(kCallers);
  std::barrier start(static_cast<std::ptrdiff_t>(kCallers));
  const auto call = [&](std::size_t c) {
    start.arrive_and_wait();
    try {
      Caller caller(session);
      for (std::size_t r = 0; r < kRounds * kCallers; ++r) {
        const std::size_t k = (c + r) % kCallers;
        const std::vector<ashlar::Tensor> outputs = caller(sets[k], (c + r / kCallers) % 2 != 0);
        if (!std::equal(outputs.begin(), outputs.end(), expected[k].begin(), expected[k].end(), same_bits)) ++wrong;
      }
    } catch (const std::exception& e) {
      errors[c] = e.what();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t c = 0; c < kCallers; ++c) threads.emplace_back(call, c);
  for (std::thread& t : threads) t.join();
  const auto failed = std::find_if(errors.begin(), errors.end(), [](const std::string& e) { return !e.empty(); });
  if (failed != errors.end()) throw std::runtime_error(*failed);
  fmt::print("{} of {} runs by {} callers at once differ from a single caller's\n", wrong.load(), kRounds * kCallers * kCallers, kCallers);
  return wrong == 0;
}

/// Of this process, without what the allocator could give back.
double resident_mib() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  if (!(statm >> all >> resident)) throw std::runtime_error("/proc/self/statm cannot be read");
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

bool check_flat_memory(const ashlar::Session& session, RandomInputs inputs) {
  Caller caller(session);
  double warm = 0;
  for (std::size_t r = 0; r < kRuns; ++r) {
    if (r == kWarmUp) warm = resident_mib();
    caller(inputs.next(), r % 2 != 0);
  }
  const double end = resident_mib();
  fmt::print("{:.2f} MiB after {} runs, {:.2f} MiB after {}; it may grow by {} MiB\n", warm, kWarmUp, end, kRuns, kSlackMiB);
  return end <= warm + kSlackMiB;
}

bool check(const Arguments& arguments) {
  const ashlar::Session session(ashlar::Model::load(arguments.model), arguments.session);
  const RandomInputs inputs(session, arguments.lengths);
  if (arguments.check == "same-bits") return check_same_bits(session, inputs);
  if (arguments.check == "flat-memory") return check_flat_memory(session, inputs);
  throw std::invalid_argument(fmt::format("there is no check '{}'\n{}", arguments.check, kUsage));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return check(parse(argc, argv)) ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ashlar_stress: error: {}\n", e.what());
    return 1;
  }
}
