// Orientations of a human in every frame; `human_frames.py` has the same in NumPy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vector.hpp"

namespace nextscale {

inline double smoothstep(double x, double low, double high) {
  const double u = std::min(std::max((x - low) / (high - low), 0.0), 1.0);
  return u * u * (3.0 - 2.0 * u);
}

inline double size(const double* v) { return std::sqrt(dot(v, v)); }

// A unit vector, the fallback (or zeros) where there is no length.
inline void unit(const double* v, const double* fallback, double* out) {
  const double length = size(v);
  for (int i = 0; i < 3; ++i)
    out[i] = length > 1e-6 ? v[i] / length : fallback ? fallback[i] : 0.0;
}

// Columns x, y, z of a frame: column `first` along `primary`, column `second` near `secondary`;
// see `frame_from`.
inline void frame_from(const double* primary, const double* secondary, int first, int second,
                       const double fallback[3][3], double frame[3][3]) {
  const int third = 3 - first - second;
  double base[3][3], b[3], spare[3];
  std::memcpy(base, fallback, sizeof base);
  double* a = frame[first];
  unit(primary, base[first], a);
  const auto across = [a](const double* v, double* out) {
    const double along = dot(v, a);
    for (int i = 0; i < 3; ++i) out[i] = v[i] - along * a[i];
  };
  across(secondary, b);
  if (size(b) < 1e-4) {
    across(base[second], spare);
    if (size(spare) < 1e-4) std::copy_n(base[third], 3, spare);
    across(spare, b);
  }
  unit(b, nullptr, frame[second]);
  const double sign = (first + 1) % 3 == second ? 1.0 : -1.0;
  cross(frame[first], frame[second], frame[third]);
  for (int i = 0; i < 3; ++i) frame[third][i] *= sign;
}

// The columns turned about the frame's own y axis.
inline void pitched(double frame[3][3], double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  for (int i = 0; i < 3; ++i) {
    const double x = frame[0][i], z = frame[2][i];
    frame[0][i] = c * x - s * z;
    frame[2][i] = s * x + c * z;
  }
}

inline void write(const double frame[3][3], double* matrix) {
  for (int i = 0; i < 3; ++i)
    for (int axis = 0; axis < 3; ++axis) matrix[3 * i + axis] = frame[axis][i];
}

struct HumanInput {
  int64_t frames, joints;
  const double* at;  // (frames, joints, 3)
  // Joints: hip, ankle, foot, collar, shoulder of the left, the same of the right, spine, neck.
  const int64_t* named;
  const int64_t* limbs;  // (8, 2) thigh, shank, upper arm, forearm; left ones first
  const uint8_t* flat;   // (frames, 2)
  double lean, standard;
  const double* rest;  // (2,) pitch of feet that do not stand flat often enough to tell
  double reach;
  double *pelvis, *torso, *feet, *bones;  // (frames, 3, 3) twice, (frames, 2, 3, 3), (8, frames, 3)
};

inline void human(const HumanInput& in) {
  const double upright[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  std::vector<double> feet(18 * in.frames), pitch(2 * in.frames);
  for (int64_t t = 0; t < in.frames; ++t) {
    const auto at = [&](int64_t joint) { return in.at + 3 * (t * in.joints + joint); };
    const int64_t *left = in.named, *right = in.named + 5;
    const double *spine = at(in.named[10]), *neck = at(in.named[11]);
    double primary[3], secondary[3], pelvis[3][3], torso[3][3], one[3], two[3];
    subtract(at(left[0]), at(right[0]), primary);
    for (int i = 0; i < 3; ++i) secondary[i] = spine[i] - (at(left[0])[i] + at(right[0])[i]) / 2;
    frame_from(primary, secondary, 1, 2, upright, pelvis);
    pitched(pelvis, in.lean);
    subtract(at(left[3]), at(right[3]), primary);
    unit(primary, nullptr, one);
    subtract(at(left[4]), at(right[4]), primary);
    unit(primary, nullptr, two);
    for (int i = 0; i < 3; ++i) secondary[i] = one[i] + two[i];
    subtract(neck, spine, primary);
    frame_from(primary, secondary, 2, 1, pelvis, torso);
    write(pelvis, in.pelvis + 9 * t);
    write(torso, in.torso + 9 * t);
    for (int limb = 0; limb < 8; ++limb) {
      subtract(at(in.limbs[2 * limb + 1]), at(in.limbs[2 * limb]), primary);
      unit(primary, nullptr, in.bones + 3 * (limb * in.frames + t));
    }
    for (int n = 0; n < 2; ++n) {
      const int64_t* side = n ? right : left;
      double toe[3], hinge[3], ahead[3], lateral[3];
      subtract(at(side[2]), at(side[1]), primary);
      unit(primary, pelvis[0], toe);
      cross(in.bones + 3 * (4 * n * in.frames + t), in.bones + 3 * ((4 * n + 1) * in.frames + t), hinge);
      const double trust = smoothstep(size(hinge), 0.15, 0.45);
      unit(hinge, nullptr, one);
      for (int i = 0; i < 3; ++i) one[i] = trust * one[i] + (1 - trust) * pelvis[1][i];
      unit(one, nullptr, two);
      const double level[3] = {-toe[1], toe[0], 0.0};
      const double flat = smoothstep(size(level), 0.25, 0.6);
      unit(level, nullptr, ahead);
      for (int i = 0; i < 3; ++i) lateral[i] = flat * ahead[i] + (1 - flat) * two[i];
      frame_from(toe, lateral, 0, 1, pelvis,
                 reinterpret_cast<double(*)[3]>(feet.data() + 9 * (2 * t + n)));
      pitch[n * in.frames + t] = std::asin(std::min(std::max(toe[2], -1.0), 1.0));
    }
  }
  for (int n = 0; n < 2; ++n) {
    std::vector<double> standing;
    for (int64_t t = 0; t < in.frames; ++t)
      if (in.flat[2 * t + n]) standing.push_back(pitch[n * in.frames + t]);
    double rest = in.rest[n];
    if (standing.size() >= 5) {
      std::sort(standing.begin(), standing.end());
      const size_t half = standing.size() / 2;
      rest = standing.size() % 2 ? standing[half] : (standing[half - 1] + standing[half]) / 2;
    }
    rest = std::min(std::max(rest, in.standard - in.reach), in.standard + in.reach);
    for (int64_t t = 0; t < in.frames; ++t) {
      auto* frame = reinterpret_cast<double(*)[3]>(feet.data() + 9 * (2 * t + n));
      pitched(frame, rest);
      write(frame, in.feet + 9 * (2 * t + n));
    }
  }
}

}  // namespace nextscale
