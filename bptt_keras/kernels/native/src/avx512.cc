#define SET avx512
#define VL 16
#define ROWS 6
#include "kernels.h"
