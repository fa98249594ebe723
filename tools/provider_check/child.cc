// SPDX-License-Identifier: Apache-2.0
#include "child.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ashlar::check {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kDoingBytes = 512, kSaidBytes = 2000;

/// Shared with the parent; null outside a child.
char* doing = nullptr;
std::mutex doing_mutex;

/// Pages that the child writes and the parent reads.
class Page {
 public:
  Page() : at_(static_cast<char*>(mmap(nullptr, kDoingBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (at_ == MAP_FAILED) throw std::runtime_error("no memory can be shared with a child");
  }
  ~Page() { munmap(at_, kDoingBytes); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  char* get() const { return at_; }

 private:
  char* at_;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

[[noreturn]] void run_child(int fd, int said, char* page, const std::function<void(const Tell&)>& work) {
  dup2(said, STDOUT_FILENO);
  dup2(said, STDERR_FILENO);
  doing = page;
  const auto line = [fd](const Json& json) { write_all(fd, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"); };
  try {
    work(line);
  } catch (const std::exception& e) {
    line({{"ended", e.what()}});
    _exit(0);
  }
  line({{"ended", nullptr}});
  _exit(0);
}

std::string tail_of(int fd) {
  const off_t size = lseek(fd, 0, SEEK_END), from = std::max<off_t>(0, size - static_cast<off_t>(kSaidBytes));
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, size - from)), '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), from);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

/// What the C library or a sanitizer said of the memory before it ended the process.
const char* meaning_of(std::string_view said) {
  constexpr std::pair<const char*, const char*> kMeanings[] = {
      {"double free", "a double free: memory was given back twice"},
      {"attempting double-free", "a double free: memory was given back twice"},
      {"heap-use-after-free", "memory was used after it was given back"},
      {"heap-buffer-overflow", "memory was written or read beyond its end"},
      {"invalid pointer", "memory was freed that was never allocated, or its bookkeeping was overwritten"},
      {"invalid size", "the heap's bookkeeping was overwritten"},
      {"invalid next size", "the heap's bookkeeping was overwritten"},
      {"corrupted", "the heap's bookkeeping was overwritten"},
      {"stack smashing", "a buffer on the stack was written beyond its end"},
      {"terminate called", "an exception crossed the border, or left a thread"},
      {"pure virtual", "a destroyed object was used"},
  };
  for (const auto& [sign, meaning] : kMeanings)
    if (said.find(sign) != std::string_view::npos) return meaning;
  return nullptr;
}

class Child {
 public:
  Child(const std::function<void(const Tell&)>& work, double seconds) : seconds_(seconds) {
    int ends[2];
    said_ = memfd_create("said", MFD_CLOEXEC);
    if (said_ < 0 || pipe(ends) != 0) throw std::runtime_error("no pipe can be made");
    std::fflush(stdout);
    std::fflush(stderr);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("no process can be made");
    if (pid_ == 0) {
      close(ends[0]);
      run_child(ends[1], said_, page_.get(), work);
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) kill_and_wait();
    close(fd_);
    close(said_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Ended listen(const Hear& hear) {
    std::string line;
    for (;;) {
      const Heard heard = read_line(line);
      if (heard == Heard::kNothing) {
        kill_and_wait();
        return finish(Ended::kHung, fmt::format("nothing happened for {:g} seconds{}", seconds_, doing_text()));
      }
      if (heard == Heard::kEnd) return finish(Ended::kCrashed, crash_sentence());
      const Json json = Json::parse(line);
      if (const auto end = json.find("ended"); end != json.end()) {
        waitpid(std::exchange(pid_, -1), nullptr, 0);
        return end->is_null() ? finish(Ended::kFinished, "") : finish(Ended::kFailed, end->get<std::string>());
      }
      if (!hear(json)) return finish(Ended::kFinished, "");
    }
  }

 private:
  enum class Heard { kLine, kEnd, kNothing };

  Heard read_line(std::string& line) {
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_));
    for (;;) {
      if (const std::size_t end = unread_.find('\n'); end != std::string::npos) {
        line = unread_.substr(0, end);
        unread_.erase(0, end + 1);
        return Heard::kLine;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return Heard::kNothing;
      pollfd ready{fd_, POLLIN, 0};
      const int n = poll(&ready, 1, static_cast<int>(left));
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) return Heard::kNothing;
      char buffer[4096];
      const ssize_t got = read(fd_, buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return Heard::kEnd;
      unread_.append(buffer, static_cast<std::size_t>(got));
    }
  }

  std::string doing_text() const {
    const std::string text(page_.get(), strnlen(page_.get(), kDoingBytes));
    return text.empty() ? "" : "; begun last: " + text;
  }

  std::string crash_sentence() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    const std::string ended = WIFSIGNALED(status) ? fmt::format("the process was ended by SIG{} ({})", sigabbrev_np(WTERMSIG(status)),
                                                                strsignal(WTERMSIG(status)))
                                                  : fmt::format("the process ended itself with status {}", WEXITSTATUS(status));
    const char* meaning = meaning_of(tail_of(said_));
    return (meaning ? meaning + ("; " + ended) : ended) + doing_text();
  }

  Ended finish(Ended::How how, std::string sentence) { return {how, std::move(sentence), tail_of(said_)}; }

  void kill_and_wait() {
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

  Page page_;
  double seconds_;
  pid_t pid_ = -1;
  int fd_ = -1, said_ = -1;
  std::string unread_;
};

}  // namespace

Ended run_apart(const std::function<void(const Tell&)>& work, const Hear& hear, double seconds) {
  return Child(work, seconds).listen(hear);
}

void set_doing(std::string_view what) {
  if (!doing) return;
  const std::lock_guard lock(doing_mutex);
  const std::size_t n = std::min(what.size(), kDoingBytes - 1);
  std::memcpy(doing, what.data(), n);
  doing[n] = '\0';
}

}  // namespace ashlar::check
