// What a call of a kernel is given, and what the kernels of an instruction set offer.
//
// Nothing here depends on an instruction set, and nothing here is an inline function of
// the standard library: the linker keeps one copy of those, which might be that of a
// unit with instructions that the processor lacks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace bptt {

enum Kind {
  LSTM,
  GRU,
  GRU_RESET_BEFORE,
  SIMPLE_RNN_TANH,
  SIMPLE_RNN_RELU,
  SIMPLE_RNN_LINEAR,
  KINDS
};
enum Type { FLOAT32, BFLOAT16, TYPES };

// A window of `rows` rows, `steps` steps, with `features` inputs and `units` units; all
// arrays are batch-major and contiguous, as in calls.py. Null: absent.
struct Call {
  Kind kind;
  Type type;
  bool backward;
  int64_t rows, steps, features, units;
  int64_t first, last;  // the rows to compute: [first, last)
  const void *x, *states[2], *kernel, *recurrent_kernel, *biases[2];
  const uint8_t *mask, *reset;  // (rows, steps)
  // Written by the forward pass, read by the backward pass. `saved` is in the kernels'
  // own order and null if nothing is to be saved.
  void *h_seq, *saved;
  void* last_states[2];  // of the forward pass
  // Of the backward pass: what it gets, and what it computes.
  const void *d_h_seq, *d_last_states[2];
  void *d_x, *d_states[2], *d_weights[4];  // of W, U and the biases
  // Where `d_weights` go in place of the results, in float32, if
  // they are to be added to those of other rows.
  float* d_sums[4];
};

// The threads that compute the same rows together split the units. They meet at every step.
struct Meeting;
void wait_for_all(Meeting*);

struct Member {
  int index, count;
  Meeting* meeting;
  void meet() const {
    if (count > 1) wait_for_all(meeting);
  }
};

// The kernels of an instruction set, by kind.
struct Kernel {
  size_t (*workspace)(const Call&, int members);  // bytes
  // Called by every member at the same time, with the same workspace.
  void (*run)(const Call&, const Member&, char* workspace);
};

struct Kernels {
  Kernel of[KINDS][TYPES];
};

// Sizes that the kernels share with those who call them.
struct Traits {
  int gates, states, biases, saved;  // saved: numbers a unit and step
};
static constexpr Traits traits[KINDS] = {
    {4, 2, 1, 5}, {3, 1, 2, 4}, {3, 1, 1, 3}, {1, 1, 1, 0}, {1, 1, 1, 0}, {1, 1, 1, 0},
};
static constexpr int64_t UNIT_GROUP = 16;  // `saved` has room for a multiple of this many units
static constexpr int64_t saved_size(Kind kind, int64_t units) {
  return traits[kind].saved * ((units + UNIT_GROUP - 1) / UNIT_GROUP * UNIT_GROUP);
}

}  // namespace bptt
