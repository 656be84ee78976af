// A robot for the kernels: kinematic tree, keypoints, masses. Frames are those of
// `ForwardKinematics`: the axis of each joint is z of its turned frame; row 0 is the base.
#pragma once

#include <cmath>
#include <vector>

#include "vector.hpp"

namespace nextscale {

// World axes x, y, z of a turned frame, and its origin.
struct Frame {
  double axes[3][3];
  double origin[3];

  void place(const double* local, double* out) const {
    for (int i = 0; i < 3; ++i)
      out[i] = origin[i] + local[0] * axes[0][i] + local[1] * axes[1][i] + local[2] * axes[2][i];
  }
};

// The kinematic tree: row of each body's parent, its axes and origin there, and the commanded joint
// that turns it.
struct Tree {
  int64_t bodies;
  const int64_t* above;
  const double* step;
  const int64_t* leader;
  const double *multiplier, *offset;

  // World frames of base and bodies from one pose; `rotation` is row-major.
  void forward(const double* base, const double* rotation, const double* q, Frame* frames) const {
    for (int i = 0; i < 3; ++i) {
      frames[0].origin[i] = base[i];
      for (int axis = 0; axis < 3; ++axis) frames[0].axes[axis][i] = rotation[3 * i + axis];
    }
    for (int64_t b = 0; b < bodies; ++b) {
      const Frame& parent = frames[above[b]];
      const double* link = step + 12 * b;
      const double angle = q[leader[b]] * multiplier[b] + offset[b];
      const double c = std::cos(angle), s = std::sin(angle);
      double here[4][3];
      for (int row = 0; row < 4; ++row)
        for (int i = 0; i < 3; ++i)
          here[row][i] = link[3 * row] * parent.axes[0][i] + link[3 * row + 1] * parent.axes[1][i] +
                         link[3 * row + 2] * parent.axes[2][i];
      for (int i = 0; i < 3; ++i) {
        frames[b + 1].axes[0][i] = c * here[0][i] + s * here[1][i];
        frames[b + 1].axes[1][i] = c * here[1][i] - s * here[0][i];
        frames[b + 1].axes[2][i] = here[2][i];
        frames[b + 1].origin[i] = parent.origin[i] + here[3][i];
      }
    }
  }
};

struct Model {
  int bodies, joints, points;
  std::vector<int64_t> above, leader, body;
  std::vector<double> step, multiplier, offset, local, mass_local, mass_share;
  std::vector<uint8_t> ancestors, carried;  // (bodies, bodies), (points, bodies)

  bool moves(int body_row, int joint) const {
    return body_row > 0 && ancestors[(body_row - 1) * bodies + joint];
  }

  Tree tree() const {
    return {bodies, above.data(), step.data(), leader.data(), multiplier.data(), offset.data()};
  }
};

}  // namespace nextscale
