// Rotation vectors and row-major matrices.
#pragma once

#include <cmath>

#include "vector.hpp"

namespace nextscale {

inline void multiply(const double* a, const double* b, double* out) {
  double result[9];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      result[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
  std::memcpy(out, result, sizeof result);
}

// exp(v) a
inline void turn(const double* v, const double* a, double* out) {
  const double angle = std::sqrt(dot(v, v)), half = 0.5 * angle;
  const double first = angle > 1e-9 ? std::sin(angle) / angle : 1.0;
  const double sinc = half > 1e-9 ? std::sin(half) / half : 1.0;
  const double k[9] = {0, -v[2], v[1], v[2], 0, -v[0], -v[1], v[0], 0};
  double rotation[9];
  multiply(k, k, rotation);
  for (int i = 0; i < 9; ++i)
    rotation[i] = (i % 4 == 0) + first * k[i] + 0.5 * sinc * sinc * rotation[i];
  multiply(rotation, a, out);
}

// Unit quaternion x y z w of a row-major matrix.
inline void quaternion(const double m[3][3], double* q) {
  // From the largest of its squared entries.
  double best = m[0][0] + m[1][1] + m[2][2];
  int choice = 3;
  for (int i = 0; i < 3; ++i)
    if (m[i][i] > best) best = m[i][i], choice = i;
  if (choice == 3) {
    q[0] = m[2][1] - m[1][2], q[1] = m[0][2] - m[2][0], q[2] = m[1][0] - m[0][1], q[3] = 1.0 + best;
  } else {
    const int i = choice, j = (i + 1) % 3, k = (i + 2) % 3;
    q[i] = 1.0 + m[i][i] - m[j][j] - m[k][k];
    q[j] = m[j][i] + m[i][j];
    q[k] = m[k][i] + m[i][k];
    q[3] = m[k][j] - m[j][k];
  }
  const double length = std::sqrt(dot(q, q) + q[3] * q[3]);
  for (int i = 0; i < 4; ++i) q[i] /= length;
}

// Rotation vector of a b^T.
inline void log_between(const double* a, const double* b, double* out) {
  double m[3][3], q[4];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) m[i][j] = dot(a + 3 * i, b + 3 * j);
  quaternion(m, q);
  const double length = std::sqrt(dot(q, q)), sign = q[3] < 0 ? -1.0 : 1.0;
  const double angle = 2.0 * std::atan2(length, sign * q[3]);
  const double scale = length > 1e-12 * std::abs(q[3]) ? sign * angle / length : 2.0 / q[3];
  for (int i = 0; i < 3; ++i) out[i] = scale * q[i];
}

}  // namespace nextscale
