// A robot for the kernels: kinematic tree, keypoints, masses. Frames are those of
// `ForwardKinematics`: the axis of each joint is z of its turned frame; row 0 is the base.
#pragma once

#include <cmath>
#include <vector>

#include "vector.hpp"

namespace nextscale {

// World axes x, y, z of a turned frame, and its origin; of one sample, or of a sample a lane.
template <class T>
struct FrameOf {
  T axes[3][3];
  T origin[3];

  void place(const double* local, T* out) const {
    for (int i = 0; i < 3; ++i)
      out[i] = origin[i] + local[0] * axes[0][i] + local[1] * axes[1][i] + local[2] * axes[2][i];
  }

  // The frame of a body with its axes and origin in this one, turned by an angle about its z.
  void attach(const double* link, T cosine, T sine, FrameOf& out) const {
    T here[4][3];
    for (int row = 0; row < 4; ++row)
      for (int i = 0; i < 3; ++i)
        here[row][i] = link[3 * row] * axes[0][i] + link[3 * row + 1] * axes[1][i] + link[3 * row + 2] * axes[2][i];
    for (int i = 0; i < 3; ++i) {
      out.axes[0][i] = cosine * here[0][i] + sine * here[1][i];
      out.axes[1][i] = cosine * here[1][i] - sine * here[0][i];
      out.axes[2][i] = here[2][i];
      out.origin[i] = origin[i] + here[3][i];
    }
  }
};

using Frame = FrameOf<double>;

// The kinematic tree: row of each body's parent, its axes and origin there, and the commanded joint
// that turns it.
struct Tree {
  int64_t bodies;
  const int64_t* above;
  const double* step;
  const int64_t* leader;
  const double *multiplier, *offset;

  double angle(int64_t body, const double* q) const {
    return q[leader[body]] * multiplier[body] + offset[body];
  }

  // World frames of base and bodies from one pose; `rotation` is row-major.
  void forward(const double* base, const double* rotation, const double* q, Frame* frames) const {
    for (int i = 0; i < 3; ++i) {
      frames[0].origin[i] = base[i];
      for (int axis = 0; axis < 3; ++axis) frames[0].axes[axis][i] = rotation[3 * i + axis];
    }
    for (int64_t b = 0; b < bodies; ++b) {
      const double turn = angle(b, q);
      frames[above[b]].attach(step + 12 * b, std::cos(turn), std::sin(turn), frames[b + 1]);
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
