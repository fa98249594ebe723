// SPDX-License-Identifier: Apache-2.0
#include "core/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <climits>
#include <cstddef>
#include <string>

#include <ashlar/error.h>

namespace ashlar::core {
namespace {

constexpr auto kSpin = std::chrono::microseconds(100);

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free);

void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake_sleepers(const std::atomic<std::uint32_t>& word, int most) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, most, nullptr, nullptr, 0);
}

int processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : INT_MAX;
}

/// Keeps the application's signals on its own threads; those that a fault or a profiler raises stay where they are raised.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t most;
    sigfillset(&most);
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) sigdelset(&most, s);
    pthread_sigmask(SIG_SETMASK, &most, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

thread_local bool in_custom_task = false;

}  // namespace

constinit ThreadPool ThreadPool::instance_;

ThreadPool& ThreadPool::process() noexcept { return instance_; }

int ThreadPool::chunk_count(int threads, std::int64_t count, std::int64_t grain) noexcept {
  if (count <= 0) return 0;
  const std::int64_t pieces = (count - 1) / std::max<std::int64_t>(grain, 1) + 1;
  return static_cast<int>(std::min<std::int64_t>(std::clamp(threads, 1, kMaxThreads), pieces));
}

void ThreadPool::Job::run(int chunk) const {
  // count * i / n without overflow
  const auto start = [&](std::int64_t i) { return count / chunks * i + count % chunks * i / chunks; };
  constexpr unsigned kFlags = _MM_EXCEPT_MASK;
  const unsigned own = _mm_getcsr();
  const bool same = ((own ^ float_mode) & ~kFlags) == 0;
  if (!same) _mm_setcsr(float_mode);
  body(context, start(chunk), start(chunk + 1));
  if (!same) _mm_setcsr(own);
}

void ThreadPool::Job::run_all() const {
  for (int i = 0; i < chunks; ++i) run(i);
}

void ThreadPool::parallel_for(int threads, std::int64_t count, std::int64_t grain, Body body, void* context) noexcept {
  const Job job = {body, context, count, chunk_count(threads, count, grain), _mm_getcsr()};
  if (job.chunks <= 1 || all_at_work() || busy_.exchange(true, std::memory_order_acquire)) return job.run_all();
  if (job.chunks - 1 > wanted_) start_workers(job.chunks - 1);
  const auto chunks = static_cast<std::uint32_t>(job.chunks);
  job_ = job;
  caller_sleeps_.store(false, std::memory_order_relaxed);
  unfinished_.store(chunks, std::memory_order_relaxed);
  for (int first = 0; first < job.chunks; first += 64)
    unclaimed_[static_cast<std::size_t>(first / 64)].store(~std::uint64_t{0} >> (64 - std::min(64, job.chunks - first)),
                                                           std::memory_order_relaxed);
  open_.store(chunks, std::memory_order_seq_cst);  // before sleepers_ is read: a worker counts itself, then looks here
  wake(job.chunks);
  const auto own = static_cast<std::uint32_t>(run_chunks(0));
  if (unfinished_.fetch_sub(own, std::memory_order_acq_rel) != own &&
      !spin_until([&] { return unfinished_.load(std::memory_order_acquire) == 0; })) {
    caller_sleeps_.store(true, std::memory_order_seq_cst);
    while (const std::uint32_t left = unfinished_.load(std::memory_order_seq_cst)) sleep_while(unfinished_, left);
  }
  busy_.store(false, std::memory_order_release);
}

bool ThreadPool::all_at_work() noexcept {
  const int at_work = at_work_.load(std::memory_order_relaxed);
  if (at_work < 2) return false;
  int there = processors_.load(std::memory_order_relaxed);
  if (there == 0) processors_.store(there = processors(), std::memory_order_relaxed);
  return at_work >= there;
}

/// Claims and runs chunks while there are any; how many. What is in job_ may be read after a claim and until the chunk is finished: the
/// job cannot end before.
int ThreadPool::run_chunks(int thread) {
  int done = 0;
  std::uint32_t open = open_.load(std::memory_order_relaxed);
  while (open > 0) {
    if (!open_.compare_exchange_weak(open, open - 1, std::memory_order_acquire, std::memory_order_relaxed)) continue;
    job_.run(claim(thread));
    ++done;
    open = open_.load(std::memory_order_relaxed);
  }
  return done;
}

/// The chunk for one that open_ granted: the thread's own, else any.
int ThreadPool::claim(int thread) {
  const auto take = [&](int chunk) {
    const std::uint64_t bit = std::uint64_t{1} << (chunk % 64);
    return (unclaimed_[static_cast<std::size_t>(chunk / 64)].fetch_and(~bit, std::memory_order_relaxed) & bit) != 0;
  };
  if (thread < job_.chunks && take(thread)) return thread;
  for (;;)
    for (int word = 0; word * 64 < job_.chunks; ++word)
      for (std::uint64_t left; (left = unclaimed_[static_cast<std::size_t>(word)].load(std::memory_order_relaxed)) != 0;)
        if (const int chunk = word * 64 + std::countr_zero(left); take(chunk)) return chunk;
}

void ThreadPool::finish(std::uint32_t done) {
  if (unfinished_.fetch_sub(done, std::memory_order_seq_cst) == done && caller_sleeps_.load(std::memory_order_seq_cst))
    wake_sleepers(unfinished_, 1);
}

void ThreadPool::wake(int chunks) {
  const int asleep = sleepers_.load(std::memory_order_seq_cst);
  const int missing = chunks - 1 - (workers_ - asleep);
  if (asleep > 0 && missing > 0) wake_sleepers(open_, missing);
}

template <class Condition> bool ThreadPool::spin_until(Condition condition) const {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      _mm_pause();
    }
    if (crowded_.load(std::memory_order_relaxed)) sched_yield();
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void* ThreadPool::worker(void* number) {
  const auto thread = static_cast<int>(reinterpret_cast<std::intptr_t>(number));
  ThreadPool& pool = instance_;
  for (;;) {
    if (const int done = pool.run_chunks(thread)) pool.finish(static_cast<std::uint32_t>(done));
    if (pool.spin_until([&] { return pool.open_.load(std::memory_order_relaxed) > 0; })) continue;
    pool.sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (pool.open_.load(std::memory_order_seq_cst) == 0) sleep_while(pool.open_, 0);
    pool.sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }
  return nullptr;
}

void ThreadPool::start_workers(int wanted) {
  if (!watches_fork_) watches_fork_ = pthread_atfork(nullptr, nullptr, after_fork) == 0;
  wanted_ = wanted;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const SignalsBlocked blocked;
  for (pthread_t thread;
       workers_ < wanted && pthread_create(&thread, &attributes, worker, reinterpret_cast<void*>(std::intptr_t{workers_ + 1})) == 0;
       ++workers_)
    pthread_setname_np(thread, "ashlar");
  pthread_attr_destroy(&attributes);
  crowded_.store(workers_ >= processors(), std::memory_order_relaxed);
}

void ThreadPool::after_fork() {
  instance_.busy_.store(false);
  instance_.workers_ = instance_.wanted_ = 0;
  instance_.open_.store(0);
  instance_.unfinished_.store(0);
  instance_.sleepers_.store(0);
  instance_.at_work_.store(0);
}

void Executor::parallel_for(std::int64_t count, std::int64_t grain, ThreadPool::Body body, void* context) const {
  const ThreadPool::Job job = {body, context, count, ThreadPool::chunk_count(threads, count, grain), _mm_getcsr()};
  if (in_custom_task || job.chunks <= 1) return job.run_all();
  if (!custom) return pool->parallel_for(threads, count, grain, body, context);

  struct {
    const ThreadPool::Job& job;
    std::array<std::atomic<bool>, ThreadPool::kMaxThreads> begun{};
    std::atomic<int> done{0};
    std::atomic<bool> strange{false};
  } call{job};
  custom(job.chunks, [&call](int i) noexcept {
    if (i < 0 || i >= call.job.chunks || call.begun[static_cast<std::size_t>(i)].exchange(true)) {
      call.strange = true;
      return;
    }
    in_custom_task = true;
    call.job.run(i);
    in_custom_task = false;
    ++call.done;
  });
  if (call.strange || call.done != job.chunks)
    throw Error(ErrorCode::kInvalidArgument, "the application's parallel_for was given " + std::to_string(job.chunks) + " tasks and ran " +
                                                 std::to_string(call.done) + (call.strange ? ", and others again or beyond them" : ""));
}

}  // namespace ashlar::core
