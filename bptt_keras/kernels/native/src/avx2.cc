#define SET avx2
#define VL 8
#define ROWS 3
#include "kernels.h"
