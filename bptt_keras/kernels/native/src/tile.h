// Products of matrices, in tiles of ROWS rows by up to 4 vectors of columns. Included in
// the namespace of an instruction set, which defines ROWS.
//
// A panel is a block of columns of a matrix, rearranged so that a tile reads it from the
// first number to the last: [k][vector][VL].

// Where a tile's vectors belong in a row of a matrix, and how many of their numbers.
struct Columns {
  int count;
  int64_t offset[4], lanes[4];
};

// sums[r][v] += sum over k of a[r][k] * panel[k][v]. `a` is read at r * row + k * STEP.
template <int R, int NV, int STEP>
INLINE void multiply(const float* a, int64_t row, int64_t k_count, const float* panel,
                     int64_t panel_row, Vec (&sums)[R][NV]) {
  // For one row, a second set of sums hides the latency of the additions. It must not depend
  // on NV: how vectors are grouped depends on the number of threads, results must not.
  constexpr int SETS = R == 1 ? 2 : 1;
  Vec s[SETS][R][NV];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
      s[0][r][v] = sums[r][v];
      if (SETS > 1) s[SETS - 1][r][v] = Vec{};
    }
  int64_t k = 0;
  for (; k + SETS <= k_count; k += SETS) {
#pragma GCC unroll 2
    for (int set = 0; set < SETS; set++, a += STEP, panel += panel_row) {
      if (ROWS > 3) {  // 32 registers: 24 sums, 4 vectors of the panel
        Vec w[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) w[v] = load(panel + v * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
          Vec b = all(a[r * row]);
#pragma GCC unroll 4
          for (int v = 0; v < NV; v++) s[set][r][v] += b * w[v];
        }
      } else {  // 16 registers: 12 sums, 3 numbers of a, 1 vector of the panel
        Vec b[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) b[r] = all(a[r * row]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
          Vec w = load(panel + v * VL);
#pragma GCC unroll 8
          for (int r = 0; r < R; r++) s[set][r][v] += b[r] * w;
        }
      }
    }
  }
  if (k < k_count)
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) s[0][r][v] += all(a[r * row]) * load(panel + v * VL);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++)
      sums[r][v] = SETS > 1 ? s[0][r][v] + s[SETS - 1][r][v] : s[0][r][v];
}

// Calls f.run<R, NV>() with a tile's size.
template <int R, class F>
INLINE void with_vectors(int nv, const F& f) {
  switch (nv) {
    case 1:
      return f.template run<R, 1>();
    case 2:
      return f.template run<R, 2>();
    case 3:
      return f.template run<R, 3>();
    default:
      return f.template run<R, 4>();
  }
}
template <class F>
INLINE void with_size(int rows, int nv, const F& f) {
  switch (rows) {
    case 1:
      return with_vectors<1>(nv, f);
    case 2:
      return with_vectors<2>(nv, f);
#if ROWS > 3
    case 3:
      return with_vectors<3>(nv, f);
    case 4:
      return with_vectors<4>(nv, f);
    case 5:
      return with_vectors<5>(nv, f);
#endif
    default:
      return with_vectors<ROWS>(nv, f);
  }
}

// Adds the sums of a tile to rows of a matrix, or replaces them.
INLINE void add_to(float* matrix, int64_t row, int r, const Columns& at, int v, Vec sum,
                   bool first) {
  float* p = matrix + r * row + at.offset[v];
  store(p, first ? sum : load(p, at.lanes[v]) + sum, at.lanes[v]);
}

INLINE float number(float x) { return x; }
INLINE float number(uint16_t x) {
  int32_t bits = (int32_t)x << 16;
  float y;
  __builtin_memcpy(&y, &bits, 4);
  return y;
}

// Products in tiles of registers. P says how the sums of a tile are made: `along` rows of a,
// `down` packed columns; its panels have P::VECTOR numbers for each vector and row.
template <class P, class Number>
struct Tiles {
  struct Product {
    const Number* a;
    int64_t row, k_count;
    const Number* panel;
    float* z;
    int64_t z_row;
    template <int R, int NV>
    NOT_INLINE void run() const {
      Vec sums[R][NV];
#pragma GCC unroll 8
      for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[r][v] = load(z + r * z_row + v * VL);
      P::template along<R, NV>(a, row, k_count, panel, NV * P::VECTOR, sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) store(z + r * z_row + v * VL, sums[r][v]);
    }
  };
  // z (rows, nv vectors) += a (rows, k) panel.
  static void product(int rows, int nv, const Number* a, int64_t row, int64_t k_count,
                      const Number* panel, float* z, int64_t z_row) {
    with_size(rows, nv, Product{a, row, P::depth(k_count), panel, z, z_row});
  }

  struct Outer {
    int64_t k_count;
    const Number *columns, *panel;
    int64_t panel_row;
    float* sums;
    int64_t row;
    const Columns* at;
    bool first;
    template <int R, int NV>
    NOT_INLINE void run() const {
      Vec s[R][NV] = {};
      P::template down<R, NV>(columns, k_count, panel, panel_row, s);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) add_to(sums, row, r, *at, v, s[r][v], first);
    }
  };
  // sums (count, ...) += columns^T panel, for at.count of the panel's `width` vectors.
  static void outer(int count, int64_t k_count, const Number* columns, const Number* panel,
                    int skip, int width, const Columns& at, float* sums, int64_t row, bool first) {
    with_size(count, at.count,
              Outer{P::depth(k_count), columns, panel + skip * P::VECTOR, width * P::VECTOR, sums,
                    row, &at, first});
  }
};

// Products of float32 numbers, whatever the type of the arrays.
struct Float : Tiles<Float, float> {
  typedef float Number;  // of a and of panels
  static constexpr int64_t VECTOR = VL;
  static constexpr int64_t GROUP = ROWS;  // rows of a tile

  static void begin() {}
  static void end() {}

  // K is a multiple of this, filled up with zeros.
  static int64_t depth(int64_t k) { return k; }
  static int64_t panel(int64_t k, int64_t nv) { return k * nv * VL; }

  // `at(k, v)` is the vector v of row k.
  template <class F>
  static void pack(int64_t k_count, int nv, float* to, const F& at) {
    for (int64_t k = 0; k < k_count; k++)
      for (int v = 0; v < nv; v++, to += VL) store(to, at(k, v));
  }

  template <int R, int NV>
  INLINE void along(const float* a, int64_t row, int64_t k_count, const float* panel,
                    int64_t panel_row, Vec (&sums)[R][NV]) {
    multiply<R, NV, 1>(a, row, k_count, panel, panel_row, sums);
  }
  template <int R, int NV>
  INLINE void down(const float* columns, int64_t k_count, const float* panel, int64_t panel_row,
                   Vec (&sums)[R][NV]) {
    multiply<R, NV, ROWS>(columns, 1, k_count, panel, panel_row, sums);
  }

  // The left side of `outer`: GROUP columns of a matrix, from column m on, as [k][GROUP].
  // Of the matrix there are pointers to its rows, null for zeros.
  static int64_t columns(int64_t k) { return k * GROUP; }
  template <class T>
  static void pack_columns(int64_t k_count, int64_t m, int64_t count, const T* const* rows,
                           float* to) {
    for (int64_t k = 0; k < k_count; k++, to += GROUP) {
      const T* from = rows[k];
      if (!from)
        for (int64_t i = 0; i < GROUP; i++) to[i] = 0.f;
      else if (count == GROUP)
        for (int64_t i = 0; i < GROUP; i++) to[i] = number(from[m + i]);
      else
        for (int64_t i = 0; i < GROUP; i++) to[i] = i < count ? number(from[m + i]) : 0.f;
    }
  }
};
