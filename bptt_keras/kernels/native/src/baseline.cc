#define SET baseline
#define VL 4
#define ROWS 3
#include "kernels.h"
