// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace ashlar::core {

/// Ashlar's fork-join pool, one per process. Thread-safe; nothing is started before the first call that needs it, nothing is allocated
/// by a call after that, and there is nothing to shut down. Idle workers spin for a moment, then sleep. After fork() the child has a pool
/// without workers and starts its own; fork() from inside a body is for exec alone.
class ThreadPool {
 public:
  /// Computes [begin, end). Must not throw, and must not wait for another chunk.
  using Body = void (*)(void* context, std::int64_t begin, std::int64_t end);

  static constexpr int kMaxThreads = 256;

  static ThreadPool& process() noexcept;

  /// Runs `body` once for each chunk of [0, count) and returns when all are done, their writes visible. The caller takes part; workers are
  /// started as a call first needs them, and where the system refuses one, those that are there do its share. A call made while the
  /// pool is at work (from inside a body, or by another thread) runs its chunks in order on its own thread. Workers take the
  /// caller's rounding and denormal mode, so what a chunk computes does not depend on who runs it. Chunk 0 is the caller's and chunk i worker
  /// i's if they come in time: in a row of calls, parts of the same data stay with the same caches.
  void parallel_for(int threads, std::int64_t count, std::int64_t grain, Body body, void* context) noexcept;

  /// Says for its lifetime that its thread is at work, calls or not. While that many threads are as there are processors, every call runs its
  /// chunks on its own thread: a worker could only take a processor from another caller.
  class AtWork {
   public:
    AtWork() noexcept { instance_.at_work_.fetch_add(1, std::memory_order_relaxed); }
    ~AtWork() { instance_.at_work_.fetch_sub(1, std::memory_order_relaxed); }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;
  };

  /// Into how many chunks a call divides [0, count): min(threads, ceil(count / grain)), with `threads` between 1 and kMaxThreads and
  /// `grain` at least 1; none when there is nothing to do. Chunk i of n is [count * i / n, count * (i + 1) / n).
  static int chunk_count(int threads, std::int64_t count, std::int64_t grain) noexcept;

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

 private:
  friend struct Executor;

  struct Job {
    Body body = nullptr;
    void* context = nullptr;
    std::int64_t count = 0;
    int chunks = 0;
    unsigned float_mode = 0;  // the caller's MXCSR
    void run(int chunk) const;
    void run_all() const;
  };

  static ThreadPool instance_;

  constexpr ThreadPool() = default;
  static void* worker(void*);
  static void after_fork();
  bool all_at_work() noexcept;
  void start_workers(int wanted);
  void wake(int chunks);
  int run_chunks(int thread);
  int claim(int thread);
  void finish(std::uint32_t done);
  template <class Condition> bool spin_until(Condition condition) const;

  alignas(64) std::atomic<bool> busy_{false};  // held by the caller whose job it is; guards what follows
  int workers_ = 0;
  int wanted_ = 0;
  bool watches_fork_ = false;
  Job job_;                                                                           // read by a worker only while it has a chunk of it
  alignas(64) std::atomic<std::uint32_t> open_{0};                                    // chunks nobody has claimed; idle workers sleep on it
  alignas(64) std::array<std::atomic<std::uint64_t>, kMaxThreads / 64> unclaimed_{};  // a bit each
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};                              // chunks not yet done; the caller sleeps on it
  std::atomic<bool> caller_sleeps_{false};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> crowded_{false};  // more threads than processors
  alignas(64) std::atomic<int> at_work_{0};
  std::atomic<int> processors_{0};  // 0: not asked yet
};

/// Where a session's loops run: on the pool, or in the application's own parallel_for.
struct Executor {
  /// Runs task(0) to task(n - 1), each once, on threads of its choice, and returns when all are done. Exceptions pass to the caller.
  using Custom = std::function<void(int n, const std::function<void(int)>& task)>;

  ThreadPool* pool = &ThreadPool::process();
  Custom custom;  ///< used instead of `pool` when set
  int threads = 1;

  /// ThreadPool::parallel_for with `threads`, in the same chunks wherever they run; a call from inside a custom task runs inline. Throws
  /// Error (kInvalidArgument) when `custom` has not run each task once.
  void parallel_for(std::int64_t count, std::int64_t grain, ThreadPool::Body body, void* context) const;
};

}  // namespace ashlar::core
