// The library's functions that are shared by its ways in (xla.cc, tensorflow.cc, ctypes).
#pragma once
#include "call.h"
#include "threads.h"

namespace bptt {

// One array of a call, as the caller passes it.
struct Array {
  Type type;
  bool flags;  // booleans, and not numbers
  int rank;
  const int64_t* sizes;
  void* data;
};

// Checks the arrays of a call, and sets it up. The results' arrays are set by `set_results`.
// The order is that of calls.py. Returns null, or what is wrong in words.
const char* set_arguments(Kind kind, bool backward, const Array* arrays, int count, Call* call);
const char* set_results(const Array* arrays, int count, Call* call);

// Number of the arrays.
int arguments(Kind kind, bool backward);
int results(Kind kind, bool backward);

// Computes a call. Returns null, or what is wrong in words.
const char* compute(const Call& call, Pool& pool);

}  // namespace bptt
