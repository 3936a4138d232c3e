#define SET avx512_bf16
#define VL 16
#define ROWS 6
#define BPTT_BF16
#include "kernels.h"
