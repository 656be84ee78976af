// Eight doubles at a time. The compiler makes one, two or four registers of them.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__GNUC__)
#define NS_EXPORT extern "C" __attribute__((visibility("default")))
#else
#error "nextscale's kernels need vector extensions: GCC or Clang"
#endif

namespace nextscale {

constexpr int kLanes = 8;
typedef double Lanes __attribute__((vector_size(64)));

inline Lanes load(const double* at) {
  Lanes lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  return lanes;
}

inline void store(double* at, Lanes lanes) { std::memcpy(at, &lanes, sizeof lanes); }

inline double sum(Lanes a) { return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7])); }

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
