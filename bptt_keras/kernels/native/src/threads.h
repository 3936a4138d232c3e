// Threads for a call: those of XLA, or the library's own.
#pragma once
#include "call.h"

namespace bptt {

// A pool of threads. What is scheduled may run at any time later, or only after the caller
// has ended.
struct Pool {
  virtual int threads() = 0;
  virtual bool schedule(void (*task)(void*), void* data) = 0;
};

Pool& own_pool();
void set_own_threads(int count);  // 0: as many as the process may use

// Runs `work` in up to `wanted` members at the same time, of which the caller is one.
//
// Threads that do not come in time are not waited for: a member that waits for another
// one knows that it has begun. So two calls whose threads hold each other up both go on.
// `patience_ns`: how long the caller waits for threads to come.
void run_together(Pool& pool, int wanted, int64_t patience_ns, void (*work)(const Member&, void*),
                  void* data);

}  // namespace bptt
