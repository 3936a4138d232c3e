// Vectors of VL numbers, and the functions of the gates. Included in the namespace of an
// instruction set, which defines VL.

typedef float Vec __attribute__((vector_size(VL * 4), may_alias));
typedef float VecAnywhere __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(VL * 4), may_alias));
typedef uint16_t Shorts __attribute__((vector_size(VL * 2), may_alias));
typedef uint16_t ShortsAnywhere __attribute__((vector_size(VL * 2), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define NOT_INLINE __attribute__((noinline))  // for the compiler's time

INLINE Vec all(float x) { return x - Vec{}; }  // adding would turn -0 into 0
INLINE Vec load(const float* p) { return *(const VecAnywhere*)p; }
INLINE void store(float* p, Vec v) { *(VecAnywhere*)p = v; }

// bfloat16 is the upper half of a float.
INLINE Vec load(const uint16_t* p) {
  return (Vec)(__builtin_convertvector(*(const ShortsAnywhere*)p, Ints) << 16);
}
INLINE Ints rounded_bits(Vec v) {  // to the nearest even, in the upper half
  Ints bits = (Ints)v;
  Ints odd = (bits >> 16) & 1;
  Ints rounded = bits + 0x7fff + odd;
  return v != v ? bits | 0x400000 : rounded;  // NaN stays one
}
INLINE void store(uint16_t* p, Vec v) {
#ifdef BPTT_BF16
  *(__m256i_u*)p = (__m256i)_mm512_cvtneps_pbh((__m512)v);
#else
  *(ShortsAnywhere*)p = __builtin_convertvector((rounded_bits(v) >> 16) & 0xffff, Shorts);
#endif
}

// The first n numbers; zeros after them.
template <class T>
INLINE Vec load(const T* p, int64_t n) {
  if (n >= VL) return load(p);
  T numbers[VL] = {};
  for (int64_t i = 0; i < n; i++) numbers[i] = p[i];
  return load(numbers);
}
template <class T>
INLINE void store(T* p, Vec v, int64_t n) {
  if (n >= VL) return store(p, v);
  T numbers[VL];
  store(numbers, v);
  for (int64_t i = 0; i < n; i++) p[i] = numbers[i];
}

static constexpr int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Of a NaN in `a` these make a NaN.
INLINE Vec at_most(Vec a, Vec b) { return b < a ? b : a; }
INLINE Vec at_least(Vec a, Vec b) { return b > a ? b : a; }

INLINE Vec inverse(Vec x) {  // of a normal number
#if VL == 16
  Vec y = (Vec)_mm512_maskz_rcp14_ps(0xffff, (__m512)x);
  return y + y * (1.f - x * y);
#else
  return 1.f / x;
#endif
}

// A rational function of degree 13 / 6, within 4e-7. Source: Eigen.
INLINE Vec tanh(Vec x) {
  x = at_most(at_least(x, all(-7.90531110763549805f)), all(7.90531110763549805f));
  Vec x2 = x * x;
  Vec p = all(-2.76076847742355e-16f);
  p = p * x2 + 2.00018790482477e-13f;
  p = p * x2 + -8.60467152213735e-11f;
  p = p * x2 + 5.12229709037114e-08f;
  p = p * x2 + 1.48572235717979e-05f;
  p = p * x2 + 6.37261928875436e-04f;
  p = p * x2 + 4.89352455891786e-03f;
  Vec q = all(1.19825839466702e-06f);
  q = q * x2 + 1.18534705686654e-04f;
  q = q * x2 + 2.26843463243900e-03f;
  q = q * x2 + 4.89352518554385e-03f;
  return x * p * inverse(q);
}
INLINE Vec sigmoid(Vec x) { return .5f * tanh(.5f * x) + .5f; }
