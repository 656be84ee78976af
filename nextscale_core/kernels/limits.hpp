// Cubics between samples against the limits of joints; `spline_limits.py` has the same in NumPy.
#pragma once

#include <cmath>
#include <vector>

#include "vector.hpp"

// Fused, a difference of two infinite products would be a number instead of NaN.
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")

namespace nextscale {

// As NumPy's maximum and minimum: NaN where either is.
inline Pack top(Pack a, Pack b) { return a != a ? a : a > b ? a : b; }
inline Pack bottom(Pack a, Pack b) { return a != a ? a : a < b ? a : b; }

inline double highest(Pack a) {
  double most = a[0];
  for (int i = 1; i < kPack; ++i) most = a[i] > most || a[i] != a[i] ? a[i] : most;
  return most;
}

inline Pack root(Pack a) {
  for (int i = 0; i < kPack; ++i) a[i] = std::sqrt(a[i]);
  return a;
}

// The first `count` of a pack; the others repeat the first one.
inline Pack some(const double* at, int64_t count) {
  if (count == kPack) return load(at);
  Pack lanes = Pack{} + at[0];
  std::memcpy(&lanes, at, static_cast<size_t>(count) * sizeof(double));
  return lanes;
}

inline void put(double* at, Pack lanes, int64_t count) {
  if (count == kPack) return store(at, lanes);
  std::memcpy(at, &lanes, static_cast<size_t>(count) * sizeof(double));
}

// Cubics of some joints: accelerations at both ends, extremes of position, highest speed.
struct Segment {
  Pack first, second, low, high, speed;

  Segment(Pack q0, Pack q1, Pack v0, Pack v1, double h) {
    const double rate = 1.0 / h;
    const Pack slope = (q1 - q0) * rate, tiny = Pack{} + 1e-12, none{};
    first = (6.0 * slope - 4.0 * v0 - 2.0 * v1) * rate;
    second = (4.0 * v1 + 2.0 * v0 - 6.0 * slope) * rate;
    const Pack jerk = (second - first) * rate;
    low = bottom(q0, q1), high = top(q0, q1);
    const Pack way = root(top(first * first - 2.0 * jerk * v0, none));
    for (double sign : {1.0, -1.0}) {
      const Pack under = first + sign * way;
      const Pack u = inside(-2.0 * v0 / (magnitude(under) < tiny ? tiny : under), h);
      const Pack q = q0 + u * (v0 + u * (0.5 * first + u * jerk * (1.0 / 6.0)));
      low = bottom(low, q), high = top(high, q);
    }
    const Pack u = inside(-first / (magnitude(jerk) < tiny ? tiny : jerk), h);
    speed = top(magnitude(v0 + u * (first + 0.5 * u * jerk)), top(magnitude(v0), magnitude(v1)));
  }

  static Pack inside(Pack u, double h) { return bottom(top(u, Pack{}), Pack{} + h); }
};

// Calls `done(first joint, number of joints, segment)` for the joints after a sample.
template <typename Done>
void segments(int64_t sample, int64_t joints, const double* q, const double* v, const double* t,
              Done done) {
  const double h = t[sample + 1] - t[sample];
  for (int64_t j = 0; j < joints; j += kPack) {
    const int64_t count = joints - j < kPack ? joints - j : kPack;
    const int64_t at = sample * joints + j, next = at + joints;
    done(j, count,
         Segment(some(q + at, count), some(q + next, count), some(v + at, count),
                 some(v + next, count), h));
  }
}

inline void extremes(int64_t samples, int64_t joints, const double* q, const double* v,
                     const double* t, double* low, double* high, double* speed) {
  for (int64_t n = 0; n + 1 < samples; ++n)
    segments(n, joints, q, v, t, [&](int64_t j, int64_t count, const Segment& segment) {
      const int64_t at = n * joints + j;
      put(low + at, segment.low, count), put(high + at, segment.high, count);
      put(speed + at, segment.speed, count);
    });
}

inline void limit_use(int64_t samples, int64_t joints, const double* q, const double* v,
                      const double* t, const double* most_speed, const double* most_push,
                      double* speed_use, double* push_use) {
  std::vector<double> share(2 * joints);
  for (int64_t j = 0; j < joints; ++j) share[j] = 1.0 / most_speed[j], share[joints + j] = 1.0 / most_push[j];
  for (int64_t n = 0; n + 1 < samples; ++n) {
    Pack speed{}, push{};
    segments(n, joints, q, v, t, [&](int64_t j, int64_t count, const Segment& segment) {
      speed = top(speed, segment.speed * some(&share[j], count));
      const Pack most = top(magnitude(segment.first), magnitude(segment.second));
      push = top(push, most * some(&share[joints + j], count));
    });
    speed_use[n] = highest(speed), push_use[n] = highest(push);
  }
}

// Values and derivatives of cubic splines, (count, tracks); those at null are not wanted.
// Coefficients (4, knots - 1, tracks), highest power first; the ends go on beyond the knots.
inline void cubics(int64_t knots, int64_t tracks, const double* x, const double* c, int64_t count,
                   const double* at, double* value, double* slope, double* bend) {
  const int64_t plane = (knots - 1) * tracks;
  int64_t k = 0;
  for (int64_t n = 0; n < count; ++n) {
    while (k + 2 < knots && at[n] >= x[k + 1]) ++k;
    while (k > 0 && at[n] < x[k]) --k;
    const double u = at[n] - x[k];
    const double *c3 = c + k * tracks, *c2 = c3 + plane, *c1 = c2 + plane, *c0 = c1 + plane;
    const int64_t row = n * tracks;
    for (int64_t j = 0; value && j < tracks; ++j)
      value[row + j] = ((c3[j] * u + c2[j]) * u + c1[j]) * u + c0[j];
    for (int64_t j = 0; slope && j < tracks; ++j)
      slope[row + j] = (3.0 * c3[j] * u + 2.0 * c2[j]) * u + c1[j];
    for (int64_t j = 0; bend && j < tracks; ++j) bend[row + j] = 6.0 * c3[j] * u + 2.0 * c2[j];
  }
}

// What the acceleration of a path leaves for a change of its pace; `TimeScaling.pace`.
inline void room_to_change(int64_t cells, int64_t joints, const double* bend, const double* push,
                           const double* square, double total, double* room) {
  for (int64_t g = 0; g < cells; ++g) {
    Pack least = Pack{} + INFINITY;
    for (int64_t j = 0; j < joints; j += kPack) {
      const int64_t count = joints - j < kPack ? joints - j : kPack, at = g * joints + j;
      const Pack left = top(total - some(bend + at, count) * square[g], Pack{} + (1.0 - total));
      least = bottom(left / some(push + at, count), least);
    }
    room[g] = -highest(-least);
  }
}

// The largest curve below this one that changes by at most `change` from cell to cell.
inline void gentle(int64_t cells, double* curve, const double* change) {
  for (int64_t g = 1; g < cells; ++g) curve[g] = std::fmin(curve[g], curve[g - 1] + change[g - 1]);
  for (int64_t g = cells - 2; g >= 0; --g) curve[g] = std::fmin(curve[g], curve[g + 1] + change[g + 1]);
}

}  // namespace nextscale

#pragma GCC pop_options
