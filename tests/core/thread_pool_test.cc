// SPDX-License-Identifier: Apache-2.0
#include "core/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ashlar/error.h>

namespace ashlar::core {
namespace {

using Range = std::pair<std::int64_t, std::int64_t>;
using Work = std::function<void(std::int64_t, std::int64_t)>;
constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

void call(void* work, std::int64_t begin, std::int64_t end) { (*static_cast<Work*>(work))(begin, end); }

void run(int threads, std::int64_t count, std::int64_t grain, Work work) {
  ThreadPool::process().parallel_for(threads, count, grain, call, &work);
}

/// The ranges of one call, by where they begin.
std::vector<Range> ranges(const std::function<void(Work)>& parallel_for) {
  std::mutex mutex;
  std::vector<Range> out;
  parallel_for([&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    out.emplace_back(begin, end);
  });
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Range> ranges(int threads, std::int64_t count, std::int64_t grain) {
  return ranges([&](Work work) { run(threads, count, grain, std::move(work)); });
}

/// Runs two chunks that can end only when both have begun, on two threads.
bool two_run_at_once() {
  std::atomic<int> begun{0}, met{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  run(2, 2, 1, [&](std::int64_t, std::int64_t) {
    ++begun;
    while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    met += begun == 2;
  });
  return met == 2;
}

/// Of this process, those on a processor or waiting for one: the caller at least.
int running_threads() {
  int running = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "stat");
    std::string line;
    std::getline(in, line);
    running += line.find(") R ") != std::string::npos;
  }
  return running;
}

/// What `test` returns in a child process.
bool in_child(const std::function<bool()>& test) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(test() ? 0 : 1);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#ifdef __SANITIZE_THREAD__
constexpr bool kForkedChildMayStartThreads = false;
#else
constexpr bool kForkedChildMayStartThreads = true;
#endif

TEST(ThreadPool, CountsChunks) {
  EXPECT_EQ(ThreadPool::chunk_count(4, 100, 1), 4);
  EXPECT_EQ(ThreadPool::chunk_count(4, 100, 40), 3);
  EXPECT_EQ(ThreadPool::chunk_count(4, 100, 100), 1);
  EXPECT_EQ(ThreadPool::chunk_count(4, 1, 1), 1);
  EXPECT_EQ(ThreadPool::chunk_count(4, 0, 1), 0);
  EXPECT_EQ(ThreadPool::chunk_count(4, -5, 1), 0);
  EXPECT_EQ(ThreadPool::chunk_count(0, 100, 0), 1);
  EXPECT_EQ(ThreadPool::chunk_count(4, 100, -1), 4);
  EXPECT_EQ(ThreadPool::chunk_count(4, kHuge, kHuge), 1);
  EXPECT_EQ(ThreadPool::chunk_count(std::numeric_limits<int>::max(), kHuge, 1), ThreadPool::kMaxThreads);
}

TEST(ThreadPool, ChunksAreContiguousAndEven) {
  EXPECT_EQ(ranges(3, 10, 1), (std::vector<Range>{{0, 3}, {3, 6}, {6, 10}}));
  EXPECT_EQ(ranges(4, 10, 4), (std::vector<Range>{{0, 3}, {3, 6}, {6, 10}}));
  EXPECT_EQ(ranges(4, 0, 1), std::vector<Range>{});
  EXPECT_EQ(ranges(4, 1, 1), (std::vector<Range>{{0, 1}}));
  const std::int64_t half = kHuge / 2;
  EXPECT_EQ(ranges(2, kHuge, 1), (std::vector<Range>{{0, half}, {half, kHuge}}));
  const std::vector<Range> many = ranges(1000, kHuge, 1);
  ASSERT_EQ(many.size(), 256u);
  for (std::size_t i = 1; i < many.size(); ++i) EXPECT_EQ(many[i].first, many[i - 1].second);
  EXPECT_EQ(many.back().second, kHuge);
}

TEST(ThreadPool, UsesAnotherThread) {
  EXPECT_TRUE(two_run_at_once());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long enough for the workers to sleep
  EXPECT_TRUE(two_run_at_once());
}

TEST(ThreadPool, NestedCallsRunTheSameChunksInOrderOnTheirThread) {
  std::atomic<int> right{0};
  run(4, 4, 1, [&](std::int64_t, std::int64_t) {
    std::vector<Range> inner;
    bool here = true;
    const std::thread::id self = std::this_thread::get_id();
    run(3, 10, 1, [&](std::int64_t begin, std::int64_t end) {
      inner.emplace_back(begin, end);
      here = here && std::this_thread::get_id() == self;
    });
    right += here && inner == std::vector<Range>{{0, 3}, {3, 6}, {6, 10}};
  });
  EXPECT_EQ(right, 4);
}

TEST(ThreadPool, ASecondCallerRunsInOrderOnItsOwnThread) {
  std::vector<Range> second;
  std::atomic<bool> once{false};
  run(2, 2, 1, [&](std::int64_t, std::int64_t) {
    if (once.exchange(true)) return;
    std::thread([&] { run(2, 9, 1, [&](std::int64_t begin, std::int64_t end) { second.emplace_back(begin, end); }); }).join();
  });
  EXPECT_EQ(second, (std::vector<Range>{{0, 4}, {4, 9}}));
}

TEST(ThreadPool, CallersThatFillTheProcessorsRunInOrderOnTheirOwnThreads) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor";
  const auto alone = [] {
    const auto self = std::this_thread::get_id();
    std::atomic<bool> own = true;
    std::int64_t next = 0;
    run(4, 8, 1, [&](std::int64_t begin, std::int64_t end) {
      own = own && std::this_thread::get_id() == self && begin == next;
      next = end;
    });
    return own.load();
  };
  {
    std::vector<std::unique_ptr<ThreadPool::AtWork>> callers;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) callers.push_back(std::make_unique<ThreadPool::AtWork>());
    EXPECT_TRUE(alone());
    callers.pop_back();
    if (callers.size() < 2) {
      EXPECT_TRUE(two_run_at_once());
    }
  }
  EXPECT_TRUE(two_run_at_once());
}

TEST(ThreadPool, WorkersComputeInTheCallersFloatMode) {
  const unsigned before = _mm_getcsr();
  const unsigned wanted = before | 0x8040;  // flush to zero, denormals are zero
  std::atomic<int> as_wanted{0}, begun{0};
  const auto both = [&](unsigned mode) {
    as_wanted = begun = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    _mm_setcsr(mode);
    run(2, 2, 1, [&](std::int64_t, std::int64_t) {
      as_wanted += (_mm_getcsr() & 0x8040) == (mode & 0x8040);
      ++begun;
      while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    _mm_setcsr(before);
    return as_wanted == 2;
  };
  EXPECT_TRUE(both(before));
  EXPECT_TRUE(both(wanted));
  EXPECT_TRUE(both(before));
}

TEST(ThreadPool, StressedByEightCallers) {
  static constexpr std::int64_t kCounts[] = {0, 1, 2, 7, 64, 1000};
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 8; ++caller)
    callers.emplace_back([&wrong, caller] {
      unsigned random = caller + 1;
      for (int round = 0; round < 1500; ++round) {
        random = random * 1664525u + 1013904223u;
        const std::int64_t count = kCounts[(random >> 8) % 6];
        const int threads = 1 + static_cast<int>((random >> 16) % 9);
        std::vector<int> hits(static_cast<std::size_t>(count), 0);
        run(threads, count, 1 + (random >> 24) % 4, [&](std::int64_t begin, std::int64_t end) {
          run(2, end - begin, 1, [&, begin](std::int64_t from, std::int64_t to) {
            for (std::int64_t i = from; i < to; ++i) ++hits[static_cast<std::size_t>(begin + i)];
          });
        });
        for (const int n : hits) wrong += n != 1;
        if (round % 500 == 499) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, IdleWorkersSleep) {
  run(4, 4, 1, [](std::int64_t, std::int64_t) {});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (running_threads() > 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(running_threads(), 1);
}

TEST(ThreadPool, WorksInAForkedChildAndStillInTheParent) {
  if (!kForkedChildMayStartThreads) GTEST_SKIP() << "the thread sanitizer allows no threads in a forked child";
  EXPECT_TRUE(two_run_at_once());
  EXPECT_TRUE(in_child(two_run_at_once));
  EXPECT_TRUE(two_run_at_once());
}

TEST(ThreadPool, AChildForkedWhileAnotherThreadUsesThePoolHasItsOwn) {
  if (!kForkedChildMayStartThreads) GTEST_SKIP() << "the thread sanitizer allows no threads in a forked child";
  std::atomic<bool> inside{false}, forked{false};
  std::thread other([&] {
    run(2, 2, 1, [&](std::int64_t, std::int64_t) {
      inside = true;
      while (!forked) std::this_thread::yield();
    });
  });
  while (!inside) std::this_thread::yield();
  const bool child = in_child(two_run_at_once);
  forked = true;
  other.join();
  EXPECT_TRUE(child);
}

TEST(ThreadPool, ComputesWithoutThreadsWhenNoneCanBeStarted) {
  if (!kForkedChildMayStartThreads) GTEST_SKIP() << "the thread sanitizer allows no threads in a forked child";
  EXPECT_TRUE(in_child([] {
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, std::size_t{1} << 52);
    if (pthread_setattr_default_np(&huge) != 0) return false;
    pthread_t thread;
    if (pthread_create(
            &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0)
      return false;
    return ranges(3, 10, 1) == std::vector<Range>{{0, 3}, {3, 6}, {6, 10}};
  }));
}

TEST(Executor, RunsThePoolsChunksOnThePool) {
  Executor executor;
  executor.threads = 3;
  EXPECT_EQ(ranges([&](Work work) { executor.parallel_for(10, 1, call, &work); }), ranges(3, 10, 1));
}

TEST(Executor, RunsTheSameChunksInTheApplicationsParallelFor) {
  Executor executor;
  executor.threads = 3;
  int asked = 0;
  executor.custom = [&](int n, const std::function<void(int)>& task) {
    asked += n;
    std::vector<std::thread> threads;
    for (int i = 0; i < n; ++i) threads.emplace_back(task, i);
    for (std::thread& thread : threads) thread.join();
  };
  EXPECT_EQ(ranges([&](Work work) { executor.parallel_for(10, 1, call, &work); }), ranges(3, 10, 1));
  EXPECT_EQ(asked, 3);

  std::atomic<int> inner{0};
  Work nested = [&](std::int64_t, std::int64_t) {
    Work count = [&](std::int64_t, std::int64_t) { ++inner; };
    executor.parallel_for(10, 1, call, &count);
  };
  executor.parallel_for(3, 1, call, &nested);
  EXPECT_EQ(inner, 9);
  EXPECT_EQ(asked, 6);
}

TEST(Executor, RefusesAParallelForThatDoesNotRunEachTaskOnce) {
  const std::function<void(int, const std::function<void(int)>&)> bad[] = {
      [](int, const auto&) {},
      [](int n, const auto& task) {
        for (int i = 1; i < n; ++i) task(i);
      },
      [](int n, const auto& task) {
        for (int i = 0; i <= n; ++i) task(i);
      },
      [](int n, const auto& task) {
        for (int i = -1; i < n; ++i) task(i);
      },
      [](int n, const auto& task) {
        for (int i = 0; i < n; ++i) task(0), task(i);
      },
  };
  for (const auto& custom : bad) {
    std::vector<int> hits(10, 0);
    Work work = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++hits.at(static_cast<std::size_t>(i));
    };
    Executor executor;
    executor.threads = 4;
    executor.custom = custom;
    try {
      executor.parallel_for(10, 1, call, &work);
      ADD_FAILURE() << "not refused";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(e.message().find("4 tasks"), std::string::npos) << e.message();
    }
    for (const int n : hits) EXPECT_LE(n, 1);
  }
}

}  // namespace
}  // namespace ashlar::core
