// Cubics between samples against the limits of joints; `spline_limits.py` has the same in NumPy.
#pragma once

#include <cmath>

#include "vector.hpp"

// Fused, a difference of two infinite products would be a number instead of NaN.
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")

namespace nextscale {

// As NumPy's maximum and minimum: NaN where either is.
inline double top(double a, double b) { return a > b || a != a ? a : b; }
inline double bottom(double a, double b) { return a < b || a != a ? a : b; }

// One cubic: accelerations at both ends, lowest and highest position, highest speed.
struct Segment {
  double first, second, low, high, speed;

  Segment(double q0, double q1, double v0, double v1, double h) {
    const double slope = (q1 - q0) / h, tiny = 1e-12;
    first = (6 * slope - 4 * v0 - 2 * v1) / h;
    second = (4 * v1 + 2 * v0 - 6 * slope) / h;
    const double jerk = (second - first) / h;
    low = bottom(q0, q1), high = top(q0, q1);
    const double root = std::sqrt(top(first * first - 2 * jerk * v0, 0.0));
    for (double sign : {1.0, -1.0}) {
      const double under = first + sign * root;
      const double u = inside(-2 * v0 / (std::abs(under) < tiny ? tiny : under), h);
      const double q = q0 + u * (v0 + u * (first / 2 + u * jerk / 6));
      low = bottom(low, q), high = top(high, q);
    }
    const double u = inside(-first / (std::abs(jerk) < tiny ? tiny : jerk), h);
    speed = top(std::abs(v0 + u * (first + u * jerk / 2)), top(std::abs(v0), std::abs(v1)));
  }

  static double inside(double u, double h) { return bottom(top(u, 0.0), h); }
};

inline void extremes(int64_t samples, int64_t joints, const double* q, const double* v,
                     const double* t, double* low, double* high, double* speed) {
  for (int64_t n = 0; n + 1 < samples; ++n)
    for (int64_t j = 0; j < joints; ++j) {
      const int64_t at = n * joints + j, next = at + joints;
      const Segment segment(q[at], q[next], v[at], v[next], t[n + 1] - t[n]);
      low[at] = segment.low, high[at] = segment.high, speed[at] = segment.speed;
    }
}

inline void limit_use(int64_t samples, int64_t joints, const double* q, const double* v,
                      const double* t, const double* most_speed, const double* most_push,
                      double* speed_use, double* push_use) {
  for (int64_t n = 0; n + 1 < samples; ++n) {
    double speed = 0.0, push = 0.0;
    for (int64_t j = 0; j < joints; ++j) {
      const int64_t at = n * joints + j, next = at + joints;
      const Segment segment(q[at], q[next], v[at], v[next], t[n + 1] - t[n]);
      speed = top(speed, segment.speed / most_speed[j]);
      push = top(push, top(std::abs(segment.first), std::abs(segment.second)) / most_push[j]);
    }
    speed_use[n] = speed, push_use[n] = push;
  }
}

// The largest curve below this one that changes by at most `change` from cell to cell.
inline void gentle(int64_t cells, double* curve, const double* change) {
  for (int64_t g = 1; g < cells; ++g) curve[g] = std::fmin(curve[g], curve[g - 1] + change[g - 1]);
  for (int64_t g = cells - 2; g >= 0; --g) curve[g] = std::fmin(curve[g], curve[g + 1] + change[g + 1]);
}

}  // namespace nextscale

#pragma GCC pop_options
