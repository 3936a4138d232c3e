#include "threads.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace bptt {
namespace {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Waits actively, as steps take microseconds; after a while other programs get the core.
template <class Done>
void wait_until(const Done& done) {
  for (int i = 0; !done(); i++)
    if (i < 300)
      pause();
    else
      std::this_thread::yield();
}

}  // namespace

struct Meeting {
  explicit Meeting(int members) : count(members) {}
  const int count;
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> round{0};
};

void wait_for_all(Meeting* meeting) {
  int round = meeting->round.load(std::memory_order_relaxed);
  if (meeting->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == meeting->count) {
    meeting->arrived.store(0, std::memory_order_relaxed);
    meeting->round.store(round + 1, std::memory_order_release);
    return;
  }
  wait_until([&] { return meeting->round.load(std::memory_order_acquire) != round; });
}

namespace {

// Shared by the caller and the tasks that it has scheduled; the last one deletes it.
struct Team {
  static constexpr int CLOSED = 1 << 20;
  void (*work)(const Member&, void*);
  void* data;
  std::atomic<int> joined{1};  // members so far, and whether others may still come
  std::atomic<Meeting*> meeting{nullptr};
  std::atomic<int> finished{0};
  std::atomic<int> holders;

  void release() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  static void task(void* p) {
    Team* team = (Team*)p;
    int index = team->joined.load(std::memory_order_relaxed);
    while (!(index & CLOSED) && !team->joined.compare_exchange_weak(index, index + 1)) {
    }
    if (!(index & CLOSED)) {
      wait_until([&] { return team->meeting.load(std::memory_order_acquire) != nullptr; });
      Meeting* meeting = team->meeting.load(std::memory_order_acquire);
      team->work(Member{index, meeting->count, meeting}, team->data);
      team->finished.fetch_add(1, std::memory_order_release);
    }
    team->release();
  }
};

}  // namespace

void run_together(Pool& pool, int wanted, int64_t patience_ns, void (*work)(const Member&, void*),
                  void* data) {
  if (wanted <= 1) return work(Member{0, 1, nullptr}, data);
  Team* team = new Team{work, data};
  team->holders = wanted;
  for (int i = 1; i < wanted; i++)
    if (!pool.schedule(Team::task, team)) team->release();
  auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience_ns);
  while (team->joined.load(std::memory_order_relaxed) < wanted &&
         std::chrono::steady_clock::now() < end)
    pause();
  int count = team->joined.fetch_or(Team::CLOSED);
  Meeting meeting(count);
  team->meeting.store(&meeting, std::memory_order_release);
  work(Member{0, count, &meeting}, data);
  wait_until([&] { return team->finished.load(std::memory_order_acquire) == count - 1; });
  team->release();
}

namespace {

// Threads that wait for work until the process ends. After a fork the child has none of
// them, and its calls run in one thread.
struct OwnPool : Pool {
  std::mutex mutex;
  std::condition_variable more;
  std::deque<std::pair<void (*)(void*), void*>> tasks;
  int wanted = 0, started = 0;

  static int available() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    int count = (int)std::thread::hardware_concurrency();
    return count < 1 ? 1 : count;
  }

  int threads() override {
    std::lock_guard<std::mutex> lock(mutex);
    if (wanted <= 0) wanted = available();
    return wanted;
  }

  bool schedule(void (*task)(void*), void* data) override {
    std::lock_guard<std::mutex> lock(mutex);
    for (; started < wanted - 1; started++) {
      try {
        std::thread([this] { serve(); }).detach();
      } catch (...) {
        break;
      }
    }
    if (started == 0) return false;
    tasks.emplace_back(task, data);
    more.notify_one();
    return true;
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      more.wait(lock, [&] { return !tasks.empty(); });
      auto task = tasks.front();
      tasks.pop_front();
      lock.unlock();
      task.first(task.second);
      lock.lock();
    }
  }
};

OwnPool* pool() {
  static OwnPool* pool = new OwnPool;  // never destroyed: its threads use it to the end
  return pool;
}

}  // namespace

Pool& own_pool() { return *pool(); }

void set_own_threads(int count) {
  std::lock_guard<std::mutex> lock(pool()->mutex);
  pool()->wanted = count;
}

}  // namespace bptt
