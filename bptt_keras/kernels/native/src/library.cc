// Chooses an instruction set, and computes a call with its kernels.

#include "library.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace bptt {

#define DECLARE(set)          \
  namespace set {             \
  extern const Kernels table; \
  }
#ifdef BPTT_HAS_AMX
DECLARE(amx)
#endif
#ifdef BPTT_HAS_AVX512_BF16
DECLARE(avx512_bf16)
#endif
#ifdef BPTT_HAS_AVX512
DECLARE(avx512)
#endif
#ifdef BPTT_HAS_AVX2
DECLARE(avx2)
#endif
DECLARE(baseline)

namespace {

// --- Instruction sets ------------------------------------------------------------------

#ifdef __x86_64__
[[maybe_unused]] bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
[[maybe_unused]] bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
[[maybe_unused]] bool has_avx512_bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
// The operating system has to allow a process the tiles of AMX.
[[maybe_unused]] bool has_amx() {
#ifdef __linux__
  unsigned a = 7, b, c = 0, d;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  bool in_processor = (d >> 22 & 1) && (d >> 24 & 1);  // AMX-BF16, AMX-TILE
  constexpr long REQUEST = 0x1023, TILE_DATA = 18;     // arch_prctl
  return in_processor && has_avx512_bf16() && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
  return false;
#endif
}
#endif
bool always() { return true; }

struct Set {
  const char* name;
  const Kernels* kernels[TYPES];
  bool (*supported)();
};
const Set sets[] = {
#ifdef BPTT_HAS_AMX
    {"amx", {&avx512::table, &amx::table}, has_amx},
#endif
#ifdef BPTT_HAS_AVX512_BF16
    {"avx512_bf16", {&avx512::table, &avx512_bf16::table}, has_avx512_bf16},
#endif
#ifdef BPTT_HAS_AVX512
    {"avx512", {&avx512::table, &avx512::table}, has_avx512},
#endif
#ifdef BPTT_HAS_AVX2
    {"avx2", {&avx2::table, &avx2::table}, has_avx2},
#endif
    {"baseline", {&baseline::table, &baseline::table}, always},
};

const Set* best() {
  for (const Set& set : sets)
    if (set.supported()) return &set;
  return nullptr;
}

std::atomic<const Set*>& chosen() {
  static std::atomic<const Set*> set{best()};
  return set;
}

std::atomic<int64_t> calls{0};

// --- Arrays ----------------------------------------------------------------------------

// Goes through the arrays of a call and checks each.
struct Reader {
  const Array* arrays;
  int count;
  const Call& call;
  int next = 0;
  const char* wrong = nullptr;

  void* take(const char* what, int64_t a, int64_t b, int64_t c = -1) {
    const Array& array = arrays[next++];
    const int64_t sizes[3] = {a, b, c};
    int rank = c < 0 ? (b < 0 ? 1 : 2) : 3;
    bool right = !array.flags && array.type == call.type && array.rank == rank;
    for (int i = 0; right && i < rank; i++) right = array.sizes[i] == sizes[i];
    if (!right && !wrong) wrong = what;
    return array.data;
  }
  const uint8_t* take_flags(const char* what) {
    const Array& array = arrays[next++];
    bool right = array.flags && array.rank == 2;
    bool none = right && array.sizes[0] == 0 && array.sizes[1] == 0;
    if (right && !none) right = array.sizes[0] == call.rows && array.sizes[1] == call.steps;
    if (!right && !wrong) wrong = what;
    return right && !none ? (const uint8_t*)array.data : nullptr;
  }
};

}  // namespace

int arguments(Kind kind, bool backward) {
  const Traits& of = traits[kind];
  return backward ? 8 + 2 * of.states : 5 + of.states + of.biases;
}
int results(Kind kind, bool backward) {
  const Traits& of = traits[kind];
  return backward ? 3 + of.states + of.biases : 2 + of.states;
}

const char* set_arguments(Kind kind, bool backward, const Array* arrays, int count, Call* call) {
  const Traits& of = traits[kind];
  *call = Call{};
  if (count < arguments(kind, backward)) return "too few arrays";
  if (arrays[0].flags || arrays[0].rank != 3) return "x has to be (rows, steps, features)";
  if (arrays[1].flags || arrays[1].rank != 2) return "h_0 has to be (rows, units)";
  Call& c = *call;
  c.kind = kind;
  c.type = arrays[0].type;
  c.backward = backward;
  c.rows = c.last = arrays[0].sizes[0];
  c.steps = arrays[0].sizes[1];
  c.features = arrays[0].sizes[2];
  c.units = arrays[1].sizes[1];
  if (c.units < 1) return "units have to be at least 1";
  Reader in{arrays, count, c};
  int64_t width = of.gates * c.units;
  c.x = in.take("x has another type", c.rows, c.steps, c.features);
  for (int s = 0; s < of.states; s++)
    c.states[s] = in.take("a state is not (rows, units)", c.rows, c.units);
  c.kernel = in.take("W is not (features, gates * units)", c.features, width);
  c.recurrent_kernel = in.take("U is not (units, gates * units)", c.units, width);
  if (!backward)
    for (int i = 0; i < of.biases; i++)
      c.biases[i] = in.take("a bias is not (gates * units,)", width, -1);
  c.mask = in.take_flags("the mask is not (rows, steps) booleans");
  c.reset = in.take_flags("the reset is not (rows, steps) booleans");
  if (backward) {
    c.h_seq = in.take("h_seq is not (rows, steps, units)", c.rows, c.steps, c.units);
    c.saved =
        in.take("what was saved has another size", c.rows, c.steps, saved_size(kind, c.units));
    c.d_h_seq = in.take("d_h_seq is not (rows, steps, units)", c.rows, c.steps, c.units);
    for (int s = 0; s < of.states; s++)
      c.d_last_states[s] = in.take("the gradient of a state is not (rows, units)", c.rows, c.units);
  }
  return in.wrong;
}

const char* set_results(const Array* arrays, int count, Call* call) {
  Call& c = *call;
  const Traits& of = traits[c.kind];
  if (count != results(c.kind, c.backward)) return "another number of results";
  Reader out{arrays, count, c};
  int64_t width = of.gates * c.units;
  if (c.backward) {
    c.d_x = out.take("d_x is not like x", c.rows, c.steps, c.features);
    for (int s = 0; s < of.states; s++)
      c.d_states[s] = out.take("d_state is not like the state", c.rows, c.units);
    c.d_weights[0] = out.take("d_W is not like W", c.features, width);
    c.d_weights[1] = out.take("d_U is not like U", c.units, width);
    for (int i = 0; i < of.biases; i++)
      c.d_weights[2 + i] = out.take("d_b is not like b", width, -1);
  } else {
    c.h_seq = out.take("h_seq is not (rows, steps, units)", c.rows, c.steps, c.units);
    for (int s = 0; s < of.states; s++)
      c.last_states[s] = out.take("a last state is not (rows, units)", c.rows, c.units);
    const Array& saved = arrays[out.next];
    bool none = saved.rank == 3 && saved.sizes[2] == 0;
    out.take("what is saved has another size", c.rows, c.steps,
             none ? 0 : saved_size(c.kind, c.units));
    c.saved = none ? nullptr : saved.data;
  }
  return out.wrong;
}

// --- Computing -------------------------------------------------------------------------

namespace {

// Memory of a thread, kept between calls: new pages cost more than a small window.
struct Memory {
  char* data = nullptr;
  size_t size = 0;
  char* get(size_t wanted) {
    if (wanted <= size) return data;
    std::free(data);
    size = 0;
    data = (char*)std::aligned_alloc(64, (wanted + 63) / 64 * 64);
    if (data) size = wanted;
    return data;
  }
  ~Memory() { std::free(data); }
};

// How a call is shared out: rows, in parts that do not wait for one another, or the units
// of all rows. A part reads all weights at every step, which is slow if they are more than
// a core's cache holds, unless for many rows; members that share the units exchange h and
// d_z at every step, which is slow if a step is short.
struct Plan {
  int members = 1, parts = 1;
};
constexpr int64_t CACHE = 2 << 20;  // bytes, of a core

int64_t weights(const Call& call) {
  return traits[call.kind].gates * call.units * (call.features + call.units);
}

Plan plan(const Call& call, Pool& pool) {
  // A meeting takes a fraction of a microsecond, and waking a thread tens of them.
  int64_t step = 2 * call.rows * weights(call), all = step * call.steps;
  if (all < 4000000) return {};
  int64_t threads = pool.threads(), size = call.type == FLOAT32 ? 4 : 2;
  int64_t rows = call.rows / threads;  // of a part
  if (rows >= 4 && (weights(call) * size <= CACHE || rows >= 48))
    return {(int)threads, (int)threads};
  int64_t members = step / 400000, blocks = (call.units + 15) / 16;
  if (members > threads) members = threads;
  if (members > blocks) members = blocks;
  return {members < 1 ? 1 : (int)members, 1};
}

struct Job {
  const Call& call;
  const Kernel& kernel;
  const Plan plan;
  Memory& memory;
  int64_t heights[4] = {}, width = 0;  // of the gradients of W, U and the biases
  size_t workspace = 0, sums = 0;      // bytes of a part
  char* data = nullptr;
  std::atomic<bool> failed{false};
  std::atomic<int> next{0};

  Job(const Call& c, const Kernel& k, Plan p, Memory& m) : call(c), kernel(k), plan(p), memory(m) {
    const Traits& of = traits[c.kind];
    width = of.gates * c.units;
    const int64_t all[4] = {c.features, c.units, 1, of.biases == 2};
    for (int i = 0; i < 4 && c.backward && p.parts > 1; i++) {
      heights[i] = all[i];
      sums += up(all[i] * width * 4);
    }
  }
  static size_t up(size_t n) { return (n + 63) / 64 * 64; }
  // Where a part puts a gradient: the first one of float32 has the result itself.
  float* sum(int part, int i) const {
    if (part == 0 && call.type == FLOAT32) return (float*)call.d_weights[i];
    char* at = data + part * (workspace + sums) + workspace;
    for (int k = 0; k < i; k++) at += up(heights[k] * width * 4);
    return (float*)at;
  }
  Call part(int index) const {
    Call part = call;
    part.first = call.rows * index / plan.parts;
    part.last = call.rows * (index + 1) / plan.parts;
    for (int i = 0; i < 4 && sums; i++) part.d_sums[i] = heights[i] ? sum(index, i) : nullptr;
    return part;
  }

  void allocate(int members) {
    if (plan.parts > 1)
      for (int i = 0; i < plan.parts; i++) {
        size_t size = up(kernel.workspace(part(i), 1));
        if (size > workspace) workspace = size;
      }
    else
      workspace = kernel.workspace(call, members);
    data = memory.get(plan.parts * (workspace + sums));
    if (!data) failed = true;
  }

  void work(const Member& member) {
    if (plan.parts == 1) return kernel.run(call, member, data);
    for (int i; (i = next.fetch_add(1)) < plan.parts;)
      kernel.run(part(i), Member{0, 1, nullptr}, data + i * (workspace + sums));
    if (!sums) return;
    member.meet();
    for (int i = 0; i < 4; i++) {
      int64_t count = heights[i] * width;
      add(i, count * member.index / member.count, count * (member.index + 1) / member.count);
    }
  }
  void add(int i, int64_t begin, int64_t end) const {
    float* total = sum(0, i);
    for (int p = 1; p < plan.parts; p++) {
      const float* more = sum(p, i);
      for (int64_t k = begin; k < end; k++) total[k] += more[k];
    }
    if (call.type == FLOAT32) return;
    uint16_t* rounded = (uint16_t*)call.d_weights[i];
    for (int64_t k = begin; k < end; k++) {
      uint32_t bits;
      std::memcpy(&bits, total + k, 4);
      bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
      rounded[k] = (uint16_t)((is_nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
  }
};

void work(const Member& member, void* data) {
  Job& job = *(Job*)data;
  if (member.index == 0) job.allocate(member.count);
  member.meet();
  if (!job.failed) job.work(member);
}

void fill_without_steps(const Call& c) {
  const Traits& of = traits[c.kind];
  size_t size = c.type == FLOAT32 ? 4 : 2, states = c.rows * c.units * size;
  size_t width = of.gates * c.units * size;
  auto copy = [&](void* to, const void* from) {
    if (states) std::memcpy(to, from, states);
  };
  for (int s = 0; s < of.states; s++)
    c.backward ? copy(c.d_states[s], c.d_last_states[s]) : copy(c.last_states[s], c.states[s]);
  if (!c.backward) return;
  std::memset(c.d_weights[0], 0, c.features * width);
  std::memset(c.d_weights[1], 0, c.units * width);
  for (int i = 0; i < of.biases; i++) std::memset(c.d_weights[2 + i], 0, width);
}

}  // namespace

const char* compute(const Call& call, Pool& pool) {
  calls.fetch_add(1, std::memory_order_relaxed);
  if (call.rows == 0 || call.steps == 0) {
    fill_without_steps(call);
    return nullptr;
  }
  const Set* set = chosen();
  Plan shared = plan(call, pool);
  // Threads that sleep come after some 50 microseconds; a tenth of the work is worth waiting.
  int64_t patience_ns = 50000 + weights(call) * call.rows * call.steps / 250;
  static thread_local Memory memory;
  Job job(call, set->kernels[call.type]->of[call.kind][call.type], shared, memory);
  run_together(pool, shared.members, patience_ns, work, &job);
  return job.failed ? "no memory" : nullptr;
}

}  // namespace bptt

// --- For ctypes --------------------------------------------------------------------------

EXPORT int bptt_native_interface() { return 1; }

EXPORT const char* bptt_native_sets() {
  static const std::string* names = [] {
    auto* all = new std::string;
    for (const auto& set : bptt::sets)
      if (set.supported()) *all += (all->empty() ? "" : " ") + std::string(set.name);
    return all;
  }();
  return names->c_str();
}

EXPORT int bptt_native_choose(const char* name) {
  for (const auto& set : bptt::sets)
    if (!std::strcmp(set.name, name) && set.supported()) {
      bptt::chosen() = &set;
      return 0;
    }
  return -1;
}

EXPORT const char* bptt_native_chosen() { return bptt::chosen().load()->name; }

EXPORT int bptt_native_saved_size(int kind, int units) {
  return (int)bptt::saved_size((bptt::Kind)kind, units);
}

EXPORT void bptt_native_set_threads(int count) { bptt::set_own_threads(count); }

EXPORT int64_t bptt_native_calls() { return bptt::calls; }
