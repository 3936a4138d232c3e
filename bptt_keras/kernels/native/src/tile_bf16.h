// Products of bfloat16 numbers with float32 sums, by the instructions AVX512_BF16 and AMX.
// Included in the namespace of an instruction set that has them.
//
// Panels hold pairs of rows: [k / 2][vector][VL][2], K filled up with zeros to a multiple
// of 32, the depth of a tile of AMX.

typedef int32_t Pair __attribute__((aligned(2), may_alias));  // two numbers, from the lower half

INLINE Ints pairs(Vec even, Vec odd) {
  Ints low = (Ints)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)even));
  Ints high = (Ints)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)odd));
  return low | (high << 16);
}

struct BFloat {
  typedef uint16_t Number;
  static int64_t depth(int64_t k) { return up(k, 32); }
  static int64_t panel(int64_t k, int64_t nv) { return depth(k) * nv * VL; }

  template <class F>
  static void pack(int64_t k_count, int nv, uint16_t* to, const F& at) {
    int64_t depth_of = depth(k_count);
    for (int64_t k = 0; k < depth_of; k += 2)
      for (int v = 0; v < nv; v++, to += 2 * VL) {
        Vec even = k < k_count ? at(k, v) : Vec{}, odd = k + 1 < k_count ? at(k + 1, v) : Vec{};
        *(Ints*)to = pairs(even, odd);
      }
  }
};

#ifndef BPTT_AMX

// sums[r][v] += a[r][k] panel[k][v], two k at a time.
template <int R, int NV>
INLINE void multiply_pairs(const uint16_t* a, int64_t row, int64_t step, int64_t k_count,
                           const uint16_t* panel, int64_t panel_row, Vec (&sums)[R][NV]) {
#pragma GCC unroll 2
  for (int64_t k = 0; k < k_count; k += 2, a += step, panel += panel_row) {
    __m512bh w[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) w[v] = (__m512bh)_mm512_loadu_si512(panel + v * 2 * VL);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      __m512bh b = (__m512bh)_mm512_set1_epi32(*(const Pair*)(a + r * row));
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) sums[r][v] = (Vec)_mm512_dpbf16_ps((__m512)sums[r][v], b, w[v]);
    }
  }
}

struct Dot : BFloat, Tiles<Dot, uint16_t> {
  static constexpr int64_t VECTOR = 2 * VL;
  static constexpr int64_t GROUP = ROWS;
  static void begin() {}
  static void end() {}

  template <int R, int NV>
  INLINE void along(const uint16_t* a, int64_t row, int64_t k_count, const uint16_t* panel,
                    int64_t panel_row, Vec (&sums)[R][NV]) {
    multiply_pairs<R, NV>(a, row, 2, k_count, panel, panel_row, sums);
  }
  template <int R, int NV>
  INLINE void down(const uint16_t* columns, int64_t k_count, const uint16_t* panel,
                   int64_t panel_row, Vec (&sums)[R][NV]) {
    multiply_pairs<R, NV>(columns, 2, GROUP * 2, k_count, panel, panel_row, sums);
  }

  // [k / 2][GROUP][2]
  static int64_t columns(int64_t k) { return depth(k) * GROUP; }
  static void pack_columns(int64_t k_count, int64_t m, int64_t count, const uint16_t* const* rows,
                           uint16_t* to) {
    int64_t depth_of = depth(k_count);
    for (int64_t k = 0; k < depth_of; k++) {
      const uint16_t* from = k < k_count ? rows[k] : nullptr;
      uint16_t* group = to + (k / 2) * GROUP * 2 + k % 2;
      for (int64_t i = 0; i < GROUP; i++) group[2 * i] = from && i < count ? from[m + i] : 0;
    }
  }
};

#else

// Tiles of 16 rows by 64 bytes: 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 vectors of
// the panel.
struct Amx : BFloat {
  static constexpr int64_t GROUP = 32;

  static void begin() {
    alignas(64) static const struct Configuration {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } configuration;
    _tile_loadconfig(&configuration);
  }
  static void end() { _tile_release(); }

  // Two tiles of rows by two vectors: sums in z, of which all rows of a tile exist.
  // Strides are in bytes.
  template <bool SECOND_ROWS, bool SECOND_VECTOR>
  INLINE void four(const char* a, int64_t a_row, int64_t a_tile, int64_t a_step, int64_t k_count,
                   const char* panel, int64_t panel_row, float* z, int64_t z_row, bool zero) {
    float* z1 = z + 16 * z_row;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (!zero) {
      _tile_loadd(0, z, z_row * 4);
      if (SECOND_VECTOR) _tile_loadd(1, z + 16, z_row * 4);
      if (SECOND_ROWS) _tile_loadd(2, z1, z_row * 4);
      if (SECOND_ROWS && SECOND_VECTOR) _tile_loadd(3, z1 + 16, z_row * 4);
    }
    for (int64_t k = 0; k < k_count; k += 32, a += a_step, panel += 16 * panel_row) {
      _tile_loadd(4, a, a_row);
      _tile_loadd(6, panel, panel_row);
      _tile_dpbf16ps(0, 4, 6);
      if (SECOND_VECTOR) {
        _tile_loadd(7, panel + 64, panel_row);
        _tile_dpbf16ps(1, 4, 7);
      }
      if (SECOND_ROWS) {
        _tile_loadd(5, a + a_tile, a_row);
        _tile_dpbf16ps(2, 5, 6);
      }
      if (SECOND_ROWS && SECOND_VECTOR) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, z, z_row * 4);
    if (SECOND_VECTOR) _tile_stored(1, z + 16, z_row * 4);
    if (SECOND_ROWS) _tile_stored(2, z1, z_row * 4);
    if (SECOND_ROWS && SECOND_VECTOR) _tile_stored(3, z1 + 16, z_row * 4);
  }
  static void tiles(int rows, int nv, const char* a, int64_t a_row, int64_t a_tile, int64_t a_step,
                    int64_t k_count, const char* panel, int64_t panel_row, float* z, int64_t z_row,
                    bool zero) {
    for (int v = 0; v < nv; v += 2, panel += 128, z += 32) {
      auto run = rows > 16    ? nv - v > 1 ? four<true, true> : four<true, false>
                 : nv - v > 1 ? four<false, true>
                              : four<false, false>;
      run(a, a_row, a_tile, a_step, k_count, panel, panel_row, z, z_row, zero);
    }
  }

  static void product(int rows, int nv, const uint16_t* a, int64_t row, int64_t k_count,
                      const uint16_t* panel, float* z, int64_t z_row) {
    tiles(rows, nv, (const char*)a, row * 2, row * 32, 64, k_count, (const char*)panel, nv * 64, z,
          z_row, false);
  }

  // [k / 32][tile][16][32]: rows of a tile are columns of the matrix.
  static int64_t columns(int64_t k) { return depth(k) * GROUP; }
  static void pack_columns(int64_t k_count, int64_t m, int64_t count, const uint16_t* const* rows,
                           uint16_t* to) {
    for (int64_t k = 0; k < k_count; k += 32)
      for (int tile = 0; tile < 2; tile++, to += 512) {
        int64_t n = least(count - tile * 16, 16);
        if (n <= 0) {
          __builtin_memset(to, 0, 1024);
          continue;
        }
        Ints pairs_of[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
          auto numbers = [&](int64_t at) {
            const uint16_t* from = at < k_count ? rows[at] : nullptr;
            __mmask16 lanes = from ? (__mmask16)((1 << n) - 1) : 0;
            return _mm512_cvtepu16_epi32(
                _mm256_maskz_loadu_epi16(lanes, from ? from + m + tile * 16 : nullptr));
          };
          pairs_of[i] = (Ints)numbers(k + 2 * i) | ((Ints)numbers(k + 2 * i + 1) << 16);
        }
        transpose(pairs_of);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + 32 * i, (__m512i)pairs_of[i]);
      }
  }

  INLINE void transpose(Ints (&x)[16]) {
    const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma GCC unroll 4
    for (int d = 1; d < 16; d *= 2) {
      // Lanes with the bit d set change places between rows i and i + d.
      Ints low = (lane & d) ? lane - d + 16 : lane, high = (lane & d) ? lane + 16 : lane + d;
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++)
        if (!(i & d)) {
          __m512i a = (__m512i)x[i], b = (__m512i)x[i + d];
          x[i] = (Ints)_mm512_permutex2var_epi32(a, (__m512i)low, b);
          x[i + d] = (Ints)_mm512_permutex2var_epi32(a, (__m512i)high, b);
        }
    }
  }

  static void outer(int count, int64_t k_count, const uint16_t* columns, const uint16_t* panel,
                    int skip, int width, const Columns& at, float* sums, int64_t row, bool first) {
    alignas(64) float z[32 * 4 * VL];
    tiles(count, at.count, (const char*)columns, 64, 1024, 2048, k_count,
          (const char*)(panel + skip * 2 * VL), width * 64, z, 4 * VL, true);
    for (int r = 0; r < count; r++)
      for (int v = 0; v < at.count; v++)
        add_to(sums, row, r, at, v, load(z + (r * 4 + v) * VL), first);
  }
};

#endif
