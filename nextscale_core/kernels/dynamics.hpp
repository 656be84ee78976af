// Inverse dynamics of a trajectory; `dynamics.py` has the same in NumPy.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "contact.hpp"
#include "model.hpp"

namespace nextscale {

struct DynamicsInput {
  int64_t samples, count, moments, stride, corners, steps, halvings;
  const double *times, *q, *v, *base;     // (samples,), (samples, J) twice, (samples, 7)
  const double* inside;                   // (count,) steps of smoothing
  const int64_t* soles;                   // (corners,) rows of keypoints
  const double *mass, *inertia;           // (1 + B,), (1 + B, 3, 3) about the centre, turned frame
  double fine, sigma, leg, gravity, free_fall, height, speed, friction, spread, enough;
  double *centre, *pace, *point, *lowest;                 // (moments, 3 | 1 | 2 | 1)
  uint8_t* contact;                                       // (moments, corners)
  double *centre_depth, *point_depth, *missing, *torque;  // (moments,) thrice, (moments, J)
};

class Dynamics {
 public:
  Dynamics(const Model& model, const DynamicsInput& in) : model_(model), in_(in) {}

  void run() {
    const int64_t moments = in_.moments, corners = in_.corners;
    smooth();
    corner_.resize(3 * corners * moments);
    std::vector<double> wrench(6 * moments), torque(model_.bodies * moments);
    std::vector<Frame> frames((model_.bodies + 1) * moments);
    double mass = 0.0;
    for (int b = 0; b <= model_.bodies; ++b) mass += in_.mass[b];
    for (int64_t n = 0; n < moments; ++n) {
      Frame* frame = frames.data() + n * (model_.bodies + 1);
      newton_euler(n, frame, mass, wrench.data() + 6 * n, torque.data() + n * model_.bodies);
      in_.lowest[n] = std::numeric_limits<double>::infinity();
      for (int64_t c = 0; c < corners; ++c) {
        const int64_t row = in_.soles[c];
        double* corner = corner_.data() + 3 * (n * corners + c);
        frame[model_.body[row]].place(model_.local.data() + 3 * row, corner);
        in_.lowest[n] = std::min(in_.lowest[n], corner[2]);
      }
    }
    const double period = in_.fine * static_cast<double>(in_.stride), weight = mass * in_.gravity;
    ContactForces solver{int(corners), int(in_.steps), int(in_.halvings), in_.friction,
                         in_.spread,   in_.enough,     {},                {}};
    std::vector<double> arm(3 * corners), force(3 * corners);
    for (int64_t n = 0; n < moments; ++n) {
      const double *centre = in_.centre + 3 * n, *pushed = wrench.data() + 6 * n;
      in_.pace[n] = rate(in_.centre, 3, 2, n, period);
      uint8_t* contact = in_.contact + n * corners;
      for (int64_t c = 0; c < corners; ++c) {
        const double* corner = corner_.data() + 3 * (n * corners + c);
        contact[c] = corner[2] < in_.height &&
                     rate(corner_.data() + 3 * c, 3 * corners, 3, n, period) < in_.speed;
        for (int i = 0; i < 3; ++i) arm[3 * c + i] = (corner[i] - centre[i]) / in_.leg;
      }
      double share[6];
      for (int i = 0; i < 6; ++i) share[i] = pushed[i] / (i < 3 ? 1.0 : in_.leg) / weight;
      in_.missing[n] = solver.run(share, arm.data(), contact, force.data());
      through_joints(n, frames.data() + n * (model_.bodies + 1), force.data(), weight,
                     torque.data() + n * model_.bodies);
      const double none = std::nan("");
      const bool supported = pushed[2] > in_.free_fall * weight;
      for (int i = 0; i < 2; ++i) {
        const double about = (i ? pushed[3] : -pushed[4]) - pushed[i] * centre[2];
        in_.point[2 * n + i] = supported ? centre[i] + about / pushed[2] : none;
      }
      depths(n);
    }
  }

 private:
  const double* place(int rate, int64_t n) const {
    return track_.data() + (rate * in_.moments + n) * width();
  }
  int64_t width() const { return 7 + model_.joints; }

  // Base and joints at the moments, with their first two derivatives.
  void smooth() {
    const int64_t w = width(), count = in_.count, reach = static_cast<int64_t>(4.0 * in_.sigma + 0.5);
    std::vector<double> fine(count * w), weight(reach + 1);
    int64_t knot = 0;
    for (int64_t i = 0; i < count; ++i) sampled(in_.inside[i], knot, fine.data() + i * w);
    double total = 0.0;
    for (int64_t k = 0; k <= reach; ++k) {
      weight[k] = std::exp(-0.5 / (in_.sigma * in_.sigma) * static_cast<double>(k * k));
      total += k ? 2.0 * weight[k] : weight[k];
    }
    for (double& one : weight) one /= total;
    // Point reflection keeps the velocity at both ends.
    const int64_t all = count + 2 * (reach + 1);
    std::vector<double> wide(all * w), mean(3 * w);
    for (int64_t i = 0; i < all; ++i)
      for (int64_t c = 0; c < w; ++c) wide[i * w + c] = reflected(fine, i - reach - 1, c);
    track_.resize(3 * in_.moments * w);
    for (int64_t n = 0; n < in_.moments; ++n) {
      for (int64_t side = 0; side < 3; ++side) {
        const double* at = wide.data() + (n * in_.stride + side + reach) * w;
        double* out = mean.data() + side * w;
        for (int64_t c = 0; c < w; ++c) out[c] = weight[0] * at[c];
        for (int64_t k = 1; k <= reach; ++k)
          for (int64_t c = 0; c < w; ++c) out[c] += weight[k] * (at[c - k * w] + at[c + k * w]);
      }
      const double *before = mean.data(), *here = before + w, *after = here + w;
      const double length = std::sqrt(dot(here + 3, here + 3) + here[6] * here[6]);
      for (int64_t c = 0; c < w; ++c) {
        const double scale = c > 2 && c < 7 ? 1.0 / length : 1.0;
        double* out = track_.data() + n * w + c;
        out[0] = scale * here[c];
        out[in_.moments * w] = scale * (after[c] - before[c]) / (2 * in_.fine);
        out[2 * in_.moments * w] =
            scale * (after[c] - 2 * here[c] + before[c]) / (in_.fine * in_.fine);
      }
    }
  }

  double reflected(const std::vector<double>& fine, int64_t i, int64_t c) const {
    const int64_t w = width(), last = in_.count - 1;
    if (i < 0) return 2 * fine[c] - reflected(fine, -i, c);
    if (i > last) return 2 * fine[last * w + c] - reflected(fine, 2 * last - i, c);
    return fine[i * w + c];
  }

  // The trajectory at a time; `knot` is the sample before an earlier one.
  void sampled(double time, int64_t& knot, double* out) const {
    const int64_t last = in_.samples - 1, joints = model_.joints;
    while (knot + 2 <= last && in_.times[knot + 1] <= time) ++knot;
    const int64_t next = std::min(knot + 1, last);
    const double *base = in_.base + 7 * knot, *q = in_.q + knot * joints, *v = in_.v + knot * joints;
    const double *base1 = in_.base + 7 * next, *q1 = in_.q + next * joints, *v1 = in_.v + next * joints;
    const double h = next > knot ? in_.times[next] - in_.times[knot] : 1.0;
    const double x = next > knot ? time - in_.times[knot] : 0.0;
    for (int i = 0; i < 7; ++i) out[i] = base[i] + (base1[i] - base[i]) / h * x;
    for (int64_t j = 0; j < joints; ++j) {
      const double slope = (q1[j] - q[j]) / h, bend = (v[j] + v1[j] - 2 * slope) / h;
      out[7 + j] = q[j] + x * (v[j] + x * ((slope - v[j]) / h - bend + x * bend / h));
    }
  }

  // Speed of a point over the moments, in its first `axes` coordinates.
  double rate(const double* track, int64_t stride, int axes, int64_t n, double period) const {
    const int64_t before = std::max<int64_t>(n - 1, 0), after = std::min(n + 1, in_.moments - 1);
    double square = 0.0;
    for (int i = 0; i < axes; ++i) {
      const double way = track[after * stride + i] - track[before * stride + i];
      square += way * way;
    }
    return std::sqrt(square) / (period * static_cast<double>(after - before));
  }

  // Frames, centre of mass, wrench about it that the floor must give, and torques of all bodies.
  void newton_euler(int64_t n, Frame* frame, double mass, double* wrench, double* torque) {
    const int bodies = model_.bodies;
    const double *x = place(0, n), *v = place(1, n), *a = place(2, n);
    const double *p = x + 3, s = x[6];
    const double r[9] = {
        1 - 2 * (p[1] * p[1] + p[2] * p[2]), 2 * (p[0] * p[1] - p[2] * s), 2 * (p[0] * p[2] + p[1] * s),
        2 * (p[0] * p[1] + p[2] * s), 1 - 2 * (p[0] * p[0] + p[2] * p[2]), 2 * (p[1] * p[2] - p[0] * s),
        2 * (p[0] * p[2] - p[1] * s), 2 * (p[1] * p[2] + p[0] * s), 1 - 2 * (p[0] * p[0] + p[1] * p[1])};
    model_.tree().forward(x, r, x + 7, frame);
    motion_.resize(bodies + 1);
    double spin[2][3];
    for (int k = 0; k < 2; ++k) {
      const double* rate = k ? a : v;
      double own[3], turned[3];
      cross(p, rate + 3, turned);
      for (int i = 0; i < 3; ++i) own[i] = 2 * (s * rate[3 + i] - rate[6] * p[i] - turned[i]);
      for (int i = 0; i < 3; ++i)
        spin[k][i] = r[3 * i] * own[0] + r[3 * i + 1] * own[1] + r[3 * i + 2] * own[2];
    }
    double* centre = in_.centre + 3 * n;
    std::fill_n(centre, 3, 0.0);
    for (int b = 0; b <= bodies; ++b) {
      Motion& here = motion_[b];
      if (b == 0) {
        std::copy_n(spin[0], 3, here.spin), std::copy_n(spin[1], 3, here.turn);
        std::copy_n(a, 3, here.push);
      } else {
        const Motion& above = motion_[model_.above[b - 1]];
        const double* axis = frame[b].axes[2];
        const int64_t j = model_.leader[b - 1];
        const double fast = model_.multiplier[b - 1] * v[7 + j], more = model_.multiplier[b - 1] * a[7 + j];
        double way[3], one[3];
        subtract(frame[b].origin, frame[model_.above[b - 1]].origin, way);
        accelerated(above, way, here.push);
        cross(above.spin, axis, one);
        for (int i = 0; i < 3; ++i) {
          here.spin[i] = above.spin[i] + fast * axis[i];
          here.turn[i] = above.turn[i] + more * axis[i] + fast * one[i];
        }
      }
      double at[3], way[3], push[3];
      frame[b].place(model_.mass_local.data() + 3 * b, at);
      subtract(at, frame[b].origin, way);
      accelerated(here, way, push);
      // Turning of the body about its centre of mass, in its own frame.
      double spin_own[3], turn_own[3], angular[3], moment[3];
      for (int i = 0; i < 3; ++i)
        spin_own[i] = dot(frame[b].axes[i], here.spin), turn_own[i] = dot(frame[b].axes[i], here.turn);
      const double* inertia = in_.inertia + 9 * b;
      for (int i = 0; i < 3; ++i) angular[i] = dot(inertia + 3 * i, spin_own);
      cross(spin_own, angular, moment);
      for (int i = 0; i < 3; ++i) moment[i] += dot(inertia + 3 * i, turn_own);
      for (int i = 0; i < 3; ++i) {
        here.force[i] = in_.mass[b] * (push[i] + (i == 2 ? in_.gravity : 0.0));
        centre[i] += in_.mass[b] / std::max(mass, 1e-9) * at[i];
      }
      cross(way, here.force, here.moment);
      for (int i = 0; i < 3; ++i)
        here.moment[i] += moment[0] * frame[b].axes[0][i] + moment[1] * frame[b].axes[1][i] +
                          moment[2] * frame[b].axes[2][i];
    }
    for (int b = bodies; b > 0; --b) {
      const Motion& here = motion_[b];
      Motion& above = motion_[model_.above[b - 1]];
      torque[b - 1] = dot(frame[b].axes[2], here.moment);
      double way[3], lever[3];
      subtract(frame[b].origin, frame[model_.above[b - 1]].origin, way);
      cross(way, here.force, lever);
      for (int i = 0; i < 3; ++i) above.force[i] += here.force[i], above.moment[i] += here.moment[i] + lever[i];
    }
    double way[3], lever[3];
    subtract(frame[0].origin, centre, way);
    cross(way, motion_[0].force, lever);
    for (int i = 0; i < 3; ++i)
      wrench[i] = motion_[0].force[i], wrench[3 + i] = motion_[0].moment[i] + lever[i];
  }

  struct Motion {  // of a body's origin, and force and moment about it
    double spin[3], turn[3], push[3], force[3], moment[3];
  };

  // Acceleration of a point of a body, `way` from its origin.
  static void accelerated(const Motion& body, const double* way, double* out) {
    double one[3], two[3], three[3];
    cross(body.turn, way, one);
    cross(body.spin, way, two);
    cross(body.spin, two, three);
    for (int i = 0; i < 3; ++i) out[i] = body.push[i] + one[i] + three[i];
  }

  // Takes the torques of the forces at the corners away; torques of the commanded joints.
  void through_joints(int64_t n, const Frame* frame, const double* force, double weight, double* torque) {
    double* out = in_.torque + n * model_.joints;
    std::fill_n(out, model_.joints, 0.0);
    for (int b = 0; b < model_.bodies; ++b) {
      double moment[3] = {};
      for (int64_t c = 0; c < in_.corners; ++c) {
        if (!model_.carried[in_.soles[c] * model_.bodies + b]) continue;
        double arm[3], lever[3];
        subtract(corner_.data() + 3 * (n * in_.corners + c), frame[b + 1].origin, arm);
        cross(arm, force + 3 * c, lever);
        for (int i = 0; i < 3; ++i) moment[i] += weight * lever[i];
      }
      out[model_.leader[b]] += model_.multiplier[b] * (torque[b] - dot(frame[b + 1].axes[2], moment));
    }
  }

  // Distances of centre of mass and zero-moment point to the edge of the support polygon, as in
  // `SupportPolygon.depth`.
  void depths(int64_t n) {
    const double* corner = corner_.data() + 3 * n * in_.corners;
    const uint8_t* contact = in_.contact + n * in_.corners;
    const double *centre = in_.centre + 3 * n, *point = in_.point + 2 * n;
    double least[2] = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    const bool any = std::any_of(contact, contact + in_.corners, [](uint8_t on) { return on; });
    for (int64_t i = 0; any && i < in_.corners; ++i)
      for (int64_t j = i + 1; j < in_.corners; ++j) {
        double x = corner[3 * j] - corner[3 * i], y = corner[3 * j + 1] - corner[3 * i + 1];
        const double length = std::sqrt(x * x + y * y);
        x = length > 1e-9 ? x / length : 1.0, y = length > 1e-9 ? y / length : 0.0;
        for (int side = 0; side < 4; ++side) {
          const double across = -y;
          y = x, x = across;
          double reach = -std::numeric_limits<double>::infinity();
          for (int64_t c = 0; c < in_.corners; ++c)
            if (contact[c]) reach = std::max(reach, x * corner[3 * c] + y * corner[3 * c + 1]);
          least[0] = std::min(least[0], reach - (x * centre[0] + y * centre[1]));
          least[1] = std::min(least[1], reach - (x * point[0] + y * point[1]));
        }
      }
    in_.centre_depth[n] = any ? least[0] : std::nan("");
    in_.point_depth[n] = any && !std::isnan(point[0]) ? least[1] : std::nan("");
  }

  const Model& model_;
  const DynamicsInput& in_;
  std::vector<double> track_, corner_;
  std::vector<Motion> motion_;
};

}  // namespace nextscale
