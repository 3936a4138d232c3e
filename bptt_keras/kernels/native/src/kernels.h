// All kernels of one instruction set, in a namespace of its own. Included once by each
// file that is compiled for an instruction set, which defines
//     SET       the name of the namespace, and of the table of kernels
//     VL        numbers of a vector
//     ROWS      rows of a tile of float32 products
//     BPTT_BF16, BPTT_AMX   for kernels of bfloat16 alone, with instructions for it
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include "call.h"

namespace bptt {
namespace SET {
#include "vector.h"
#include "tile.h"
#ifdef BPTT_BF16
#include "tile_bf16.h"
#endif
#include "recurrence.h"
#include "lstm.h"
#include "gru.h"
#include "gru_reset_before.h"
#include "simple_rnn.h"

template <class W>
struct Entry {
  static size_t workspace(const Call& c, int members) {
    const W w(c, Member{0, members, nullptr});
    return c.backward ? w.backward(nullptr) : w.forward(nullptr);
  }
  static void run(const Call& c, const Member& m, char* workspace) {
    const W w(c, m);
    c.backward ? w.backward(workspace) : w.forward(workspace);
  }
};
template <class W>
constexpr Kernel kernel() {
  return {Entry<W>::workspace, Entry<W>::run};
}
#if defined(BPTT_AMX)
#define OF(window, R) {{}, kernel<window<R, uint16_t, Amx>>()}
#elif defined(BPTT_BF16)
#define OF(window, R) {{}, kernel<window<R, uint16_t, Dot>>()}
#else
#define OF(window, R) {kernel<window<R, float, Float>>(), kernel<window<R, uint16_t, Float>>()}
#endif
extern const Kernels table;
const Kernels table = {{
    OF(Window, Lstm),
    OF(Window, Gru),
    OF(WindowResetBefore, GruResetBefore),
    OF(Window, SimpleRnn),
    OF(Window, SimpleRnn),
    OF(Window, SimpleRnn),
}};
#undef OF
}  // namespace SET
}  // namespace bptt
