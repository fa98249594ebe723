// SPDX-License-Identifier: Apache-2.0
#include "apart.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ashlar::comparison {
namespace {

/// What a child writes for a piece of work: this, then `size` bytes of detail.
struct Header {
  std::int32_t kind = 0;
  std::uint32_t size = 0;
};
constexpr std::size_t kLongestDetail = 4000;

void write_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
    at += n;
    size -= static_cast<std::size_t>(n);
  }
}

enum class Read { kDone, kEnded, kTooLate };

Read read_all(int fd, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    pollfd ready{fd, POLLIN, 0};
    const int n = poll(&ready, 1, kLongestSeconds * 1000);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) return Read::kTooLate;
    const ssize_t got = read(fd, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Read::kEnded;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return Read::kDone;
}

[[noreturn]] void work(int fd, std::size_t first, std::size_t last, const std::function<Outcome(std::size_t)>& judge) {
  for (std::size_t i = first; i < last; ++i) {
    Outcome outcome;
    try {
      outcome = judge(i);
    } catch (const std::exception& e) {
      outcome = {Outcome::kFailsAlone, e.what()};
    }
    outcome.detail.resize(std::min(outcome.detail.size(), kLongestDetail));
    const Header header{outcome.kind, static_cast<std::uint32_t>(outcome.detail.size())};
    write_all(fd, &header, sizeof header);
    write_all(fd, outcome.detail.data(), outcome.detail.size());
  }
  std::fflush(stdout);
  _exit(0);
}

/// A child and the pipe that it answers through; ended and waited for at the latest when this is destroyed.
class Child {
 public:
  Child(std::size_t first, std::size_t last, const std::function<Outcome(std::size_t)>& judge) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe can be made");
    std::fflush(stdout);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("no process can be made");
    if (pid_ == 0) {
      close(ends[0]);
      work(ends[1], first, last, judge);
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) end();
    close(fd_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Outcome next() {
    Header header;
    Outcome outcome;
    Read state = read_all(fd_, &header, sizeof header);
    if (state == Read::kDone) {
      outcome = {static_cast<Outcome::Kind>(header.kind), std::string(header.size, ' ')};
      state = read_all(fd_, outcome.detail.data(), header.size);
    }
    if (state == Read::kDone) return outcome;
    if (state == Read::kTooLate) {
      end();
      return {Outcome::kHung, fmt::format("no end within {} seconds", kLongestSeconds)};
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    if (WIFSIGNALED(status)) return {Outcome::kCrashed, fmt::format("the process was ended by {}", strsignal(WTERMSIG(status)))};
    return {Outcome::kCrashed, fmt::format("the process ended with status {}", WEXITSTATUS(status))};
  }

 private:
  void end() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace

void judge_apart(std::size_t count, const std::function<Outcome(std::size_t)>& judge,
                 const std::function<bool(std::size_t, const Outcome&)>& report) {
  std::optional<Child> child;
  std::size_t end = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i == end) {
      child.reset();
      end = std::min(count, i + kBatch);
      child.emplace(i, end, judge);
    }
    const Outcome outcome = child->next();
    if (outcome.kind == Outcome::kCrashed || outcome.kind == Outcome::kHung) end = i + 1;
    if (!report(i, outcome)) return;
  }
}

Outcome judge_apart(const std::function<Outcome()>& judge) {
  Outcome result;
  judge_apart(
      1, [&](std::size_t) { return judge(); },
      [&](std::size_t, const Outcome& outcome) {
        result = outcome;
        return true;
      });
  return result;
}

}  // namespace ashlar::comparison
