#define SET amx
#define VL 16
#define ROWS 6
#define BPTT_BF16
#define BPTT_AMX
#include "kernels.h"
