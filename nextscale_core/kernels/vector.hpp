// Vectors of doubles: eight, of which the compiler makes one, two or four registers, and as many as
// one register holds.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __AVX__
#include <immintrin.h>
#endif

#if defined(__GNUC__)
#define NS_EXPORT extern "C" __attribute__((visibility("default")))
#else
#error "nextscale's kernels need vector extensions: GCC or Clang"
#endif

namespace nextscale {

constexpr int kLanes = 8;
typedef double Lanes __attribute__((vector_size(64)));

// As many doubles as one register holds: comparisons of larger vectors are made one by one.
#if defined(__AVX512F__)
constexpr int kPack = 8;
#elif defined(__AVX__)
constexpr int kPack = 4;
#else
constexpr int kPack = 2;
#endif
typedef double Pack __attribute__((vector_size(8 * kPack)));
constexpr int kParts = kLanes / kPack;  // packs of a column of a tile

inline Pack load(const double* at) {
  Pack lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  return lanes;
}

template <class Vector>
void store(double* at, Vector lanes) {
  std::memcpy(at, &lanes, sizeof lanes);
}

inline double sum(Pack a) {
  double out = a[0];
  for (int i = 1; i < kPack; ++i) out += a[i];
  return out;
}

// A bit for each lane above 0.
inline unsigned positive(Pack a) {
#if defined(__AVX512F__)
  return _mm512_cmp_pd_mask(a, Pack{}, _CMP_GT_OQ);
#elif defined(__AVX__)
  return _mm256_movemask_pd(_mm256_cmp_pd(a, Pack{}, _CMP_GT_OQ));
#else
  unsigned out = 0;
  for (int i = 0; i < kPack; ++i) out |= static_cast<unsigned>(a[i] > 0.0) << i;
  return out;
#endif
}

inline Pack magnitude(Pack a) { return a < 0.0 ? -a : a; }

inline int padded(int count) { return (count + kLanes - 1) / kLanes * kLanes; }

inline void cross(const double* a, const double* b, double* out) {
  const double x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2];
  out[2] = a[0] * b[1] - a[1] * b[0];
  out[0] = x;
  out[1] = y;
}

inline double dot(const double* a, const double* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

inline void subtract(const double* a, const double* b, double* out) {
  for (int i = 0; i < 3; ++i) out[i] = a[i] - b[i];
}

}  // namespace nextscale
