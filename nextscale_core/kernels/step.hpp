// One Gauss-Newton step of a whole clip; `trajectory_ik.py` has the same in NumPy.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "band.hpp"
#include "equations.hpp"
#include "rotation.hpp"

namespace nextscale {

constexpr double kFixed = 1e8;  // weight that keeps an unknown where it is

// A matrix whose rows or columns may all be the same: strides in elements.
struct Track {
  const double* data;
  int64_t row, column;
  double at(int64_t r, int64_t c) const { return data[r * row + c * column]; }
};

struct StepInput {
  int64_t frames, rows_count, goals, joints_count;
  const int64_t *rows, *joints;
  const uint8_t* free;
  const double *base, *rotation, *q;                     // (frames, 3 | 9 | J)
  const double *past_base, *past_rotation, *past_q;      // or null
  const double *goal, *weight;                           // (frames, M, 3), (frames, M)
  Track smooth, reference, pull, damping, lower, upper;  // smooth: (frames - 2, 6 + J)
  int64_t terms;                                         // separations, by frame
  const int64_t *term_frame, *term_bodies;               // row of `rows`; (S, 2) body rows
  const double *term_at, *term_normal, *term_distance;   // (S, 2, 3), (S, 3), (S,)
  const double *centre;                                  // (frames, 2), or null
  const uint8_t* centre_joints;                          // (J,)
  double centre_weight, separation, ground, overshoot, max_step;
  int64_t fade;
  double *out_base, *out_rotation, *out_q;  // copies of the clip, changed in place
};

class Step {
 public:
  enum Status { kDone = 0, kSingular = 1, kEndless = 2 };

  int run(const Model& model, Equations& equations, const StepInput& in) {
    const int64_t count = in.rows_count;
    const int m = equations.columns, active = m - 6;
    h_.assign(count * m * m, 0.0);
    g_.assign(count * m, 0.0);
    size_t term = 0;
    for (int64_t f = 0; f < count; ++f) {
      const int64_t t = in.rows[f];
      double *h = h_.data() + f * m * m, *g = g_.data() + f * m;
      equations.add(in.base + 3 * t, in.rotation + 9 * t, in.q + model.joints * t,
                    in.goal + 3 * in.goals * t, in.weight + in.goals * t, in.ground, h, g);
      for (; term < static_cast<size_t>(in.terms) && in.term_frame[term] == f; ++term)
        equations.separate(in.term_bodies + 2 * term, in.term_at + 6 * term, in.term_normal + 3 * term,
                           in.term_distance[term], in.separation, h, g);
      if (in.centre) add_centre(model, equations, in, t, h, g);
    }
    smooth(model, in, m);
    at_.resize(count * active);
    low_.resize(count * active);
    high_.resize(count * active);
    for (int64_t f = 0; f < count; ++f) {
      const int64_t t = in.rows[f];
      const bool loose = in.free[t];
      double *h = h_.data() + f * m * m, *g = g_.data() + f * m;
      for (int i = 0; i < m; ++i) h[i * m + i] += in.damping.at(t, 0);
      for (int a = 0; a < active; ++a) {
        const int64_t j = in.joints[a], i = 6 + a, at = f * active + a;
        const double q = in.q[t * model.joints + j], pull = in.pull.at(t, j);
        const double lower = in.lower.at(t, j), upper = in.upper.at(t, j);
        at_[at] = q, low_[at] = lower, high_[at] = upper;
        g[i] += pull * (q - in.reference.at(t, j));
        h[i * m + i] += pull;
        if (loose && ((q <= lower && g[i] > 0) || (q >= upper && g[i] < 0))) {
          g[i] = 0.0;
          h[i * m + i] += kFixed;
        }
      }
      if (!loose)
        for (int i = 0; i < m; ++i) g[i] = 0.0, h[i * m + i] += kFixed;
    }
    step_.resize(count * m);
    all_.resize(count);
    for (int64_t f = 0; f < count; ++f) all_[f] = f;
    for (size_t i = 0; i < g_.size(); ++i) g_[i] = -g_[i];
    if (int status = solve(all_, m, g_.data(), step_.data())) return status;
    if (int status = within(in, m)) return status;
    apply(model, in, m);
    return kDone;
  }

 private:
  // Gradient and couplings of the second differences.
  void smooth(const Model& model, const StepInput& in, int m) {
    const int64_t count = in.rows_count;
    weight_.assign(std::max<int64_t>(count - 2, 0) * m, 0.0);
    bend(model, in, m, in.base, in.rotation, in.q, 1.0);
    if (in.past_base) bend(model, in, m, in.past_base, in.past_rotation, in.past_q, -1.0);
    for (int64_t f = 0; f + 2 < count; ++f)
      for (int i = 0; i < m; ++i) {
        const double w = weight_[f * m + i];
        h_[f * m * m + i * (m + 1)] += w;
        h_[(f + 1) * m * m + i * (m + 1)] += 4 * w;
        h_[(f + 2) * m * m + i * (m + 1)] += w;
      }
  }

  void bend(const Model& model, const StepInput& in, int m, const double* base,
            const double* rotation, const double* q, double sign) {
    const int64_t count = in.rows_count;
    std::vector<double> before(m), after(m);
    for (int64_t f = 0; f + 1 < count; ++f) {
      const int64_t t = in.rows[f], next = in.rows[f + 1];
      subtract(base + 3 * next, base + 3 * t, after.data());
      log_between(rotation + 9 * next, rotation + 9 * t, after.data() + 3);
      for (int a = 0; a + 6 < m; ++a)
        after[6 + a] = q[next * model.joints + in.joints[a]] - q[t * model.joints + in.joints[a]];
      // Frames that are not side by side are not coupled.
      if (f > 0 && in.rows[f + 1] - in.rows[f - 1] == 2) {
        for (int i = 0; i < m; ++i) {
          const double w = in.smooth.at(t - 1, i < 6 ? i : 6 + in.joints[i - 6]);
          const double push = sign * w * (after[i] - before[i]);
          weight_[(f - 1) * m + i] = w;
          g_[(f - 1) * m + i] += push;
          g_[f * m + i] -= 2 * push;
          g_[(f + 1) * m + i] += push;
        }
      }
      before.swap(after);
    }
  }

  void add_centre(const Model& model, const Equations& equations, const StepInput& in, int64_t t,
                  double* h, double* g) {
    const Frame* frames = equations.frames().data();
    const int bodies = model.bodies, m = equations.columns;
    std::vector<double> place(3 * (bodies + 1));
    double centre[3] = {};
    for (int b = 0; b <= bodies; ++b) {
      frames[b].place(model.mass_local.data() + 3 * b, place.data() + 3 * b);
      for (int i = 0; i < 3; ++i) centre[i] += model.mass_share[b] * place[3 * b + i];
    }
    for (int axis = 0; axis < 2; ++axis) {
      double arm[3];
      subtract(centre, frames[0].origin, arm);
      row_.assign(m, 0.0);
      row_[axis] = 1.0;
      row_[4 - axis] = axis ? -arm[2] : arm[2];
      row_[5] = axis ? arm[0] : -arm[1];
      for (int b = 0; b < bodies; ++b) {
        const int column = equations.column(b);
        if (column < 0 || !in.centre_joints[model.leader[b]]) continue;
        double moment[3] = {}, slope[3];
        for (int c = 0; c < bodies; ++c)
          if (model.moves(c + 1, b))
            for (int i = 0; i < 3; ++i)
              moment[i] += model.mass_share[c + 1] * (place[3 * (c + 1) + i] - frames[b + 1].origin[i]);
        cross(frames[b + 1].axes[2], moment, slope);
        row_[column] += model.multiplier[b] * slope[axis];
      }
      equations.add_row(row_.data(), in.centre_weight, centre[axis] - in.centre[2 * t + axis], h, g);
    }
  }

  // Solves for some of the frames; those of the others stay. Frames that come to be side by side
  // are coupled across a gap of one frame only.
  int solve(const std::vector<int64_t>& part, int m, const double* right, double* out) {
    const int64_t count = static_cast<int64_t>(part.size());
    band_.reset(static_cast<int>(count) * m, 2 * m);
    for (int64_t k = 0; k < count; ++k) {
      const double* h = h_.data() + part[k] * m * m;
      const int first = static_cast<int>(k) * m;
      for (int c = 0; c < m; ++c) band_.put(first + c, first + c, first + m, h + c * (m + 1), m);
      for (int i = 0; i < m; ++i) {
        band_.right()[first + i] = right[k * m + i];
        if (k + 1 < count) {
          const int64_t way = part[k + 1] - part[k];
          double one = way == 1 ? coupling(part[k], i, m) : way == 2 ? second(part[k], i, m) : 0.0;
          band_.at(first + m + i, first + i) = one;
        }
        if (k + 2 < count && part[k + 2] - part[k] == 2)
          band_.at(first + 2 * m + i, first + i) = second(part[k], i, m);
      }
    }
    if (!band_.solve()) return kSingular;
    const double* solution = band_.right();
    for (int64_t i = 0; i < count * m; ++i) {
      if (!std::isfinite(solution[i])) return kEndless;
      out[i] = solution[i];
    }
    return kDone;
  }

  double second(int64_t frame, int i, int m) const {
    const int64_t at = frame * m + i;
    return at < static_cast<int64_t>(weight_.size()) ? weight_[at] : 0.0;
  }
  double coupling(int64_t frame, int i, int m) const {
    return -2.0 * (second(frame, i, m) + (frame > 0 ? second(frame - 1, i, m) : 0.0));
  }

  // Solves again around joints that would leave their limits.
  int within(const StepInput& in, int m) {
    const int64_t count = in.rows_count;
    const int active = m - 6;
    near_.assign(count, 0);
    for (int64_t f = 0; f < count; ++f) {
      if (!in.free[in.rows[f]]) continue;
      for (int a = 0; a < active; ++a) {
        const int64_t at = f * active + a;
        const double step = step_[f * m + 6 + a];
        const double room = std::min(std::max(at_[at] + step, low_[at]), high_[at]) - at_[at];
        if (!(std::abs(step - room) > in.overshoot)) continue;
        for (int64_t n = std::max<int64_t>(f - in.fade, 0); n <= std::min(f + in.fade, count - 1); ++n)
          near_[n] = 1;
      }
    }
    all_.clear();
    for (int64_t f = 0; f < count; ++f)
      if (near_[f]) all_.push_back(f);
    if (all_.empty()) return kDone;
    std::vector<double> change(all_.size() * m, 0.0);
    for (size_t k = 0; k < all_.size(); ++k) {
      const int64_t f = all_[k];
      if (!in.free[in.rows[f]]) continue;
      for (int a = 0; a < active; ++a) {
        const int64_t at = f * active + a;
        const double step = step_[f * m + 6 + a];
        const double room = std::min(std::max(at_[at] + step, low_[at]), high_[at]) - at_[at];
        if (!(std::abs(step - room) > in.overshoot)) continue;
        h_[f * m * m + (6 + a) * (m + 1)] += kFixed;
        change[k * m + 6 + a] = kFixed * (room - step);
      }
    }
    if (int status = solve(all_, m, change.data(), change.data())) return status;
    for (size_t k = 0; k < all_.size(); ++k)
      for (int i = 0; i < m; ++i) step_[all_[k] * m + i] += change[k * m + i];
    return kDone;
  }

  void apply(const Model& model, const StepInput& in, int m) {
    for (int64_t f = 0; f < in.rows_count; ++f) {
      const int64_t t = in.rows[f];
      if (!in.free[t]) continue;
      double* step = step_.data() + f * m;
      for (int i = 0; i < m; ++i) step[i] = std::min(std::max(step[i], -in.max_step), in.max_step);
      for (int i = 0; i < 3; ++i) in.out_base[3 * t + i] += step[i];
      turn(step + 3, in.rotation + 9 * t, in.out_rotation + 9 * t);
      double* q = in.out_q + t * model.joints;
      for (int a = 0; a + 6 < m; ++a) q[in.joints[a]] += step[6 + a];
      for (int j = 0; j < model.joints; ++j)
        q[j] = std::min(std::max(q[j], in.lower.at(t, j)), in.upper.at(t, j));
    }
  }

  BandSolver band_;
  std::vector<int64_t> all_;
  std::vector<uint8_t> near_;
  std::vector<double> h_, g_, weight_, at_, low_, high_, step_, row_;
};

}  // namespace nextscale
