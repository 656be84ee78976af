// One foot of the robot, locked while it stands; `foot_locking.py` has the same in NumPy.
#pragma once

#include <limits>
#include <utility>

#include "human.hpp"
#include "rotation.hpp"

namespace nextscale {

struct FootInput {
  int64_t frames, relocate, min_stance;
  double slip, slip_turn, half_width;
  const double *toe, *heel;
  // (frames, 2, ...) of both feet, from this foot on.
  const double *ankle, *rotation;
  const uint8_t *heel_down, *ball_down;
  double *place, *turn, *stance;
};

class Foot {
 public:
  explicit Foot(const FootInput& in) : in_(in) {}

  void run() {
    const int64_t frames = in_.frames;
    heading_.resize(frames), lain_.resize(2 * frames);
    shift_.assign(3 * frames, 0.0), twist_.assign(3 * frames, 0.0), standing_.assign(frames, 0.0);
    for (int64_t t = 0; t < frames; ++t) {
      const double* r = rotation(t);
      double angle = std::atan2(r[3], r[0]);
      if (t) {  // without jumps
        const double step = angle - std::atan2(rotation(t - 1)[3], rotation(t - 1)[0]);
        double wrapped = std::fmod(step + M_PI, 2 * M_PI);
        wrapped = (wrapped < 0 ? wrapped + 2 * M_PI : wrapped) - M_PI;
        if (wrapped == -M_PI && step > 0) wrapped = M_PI;
        angle = heading_[t - 1] + (std::abs(step) < M_PI ? step : wrapped);
      }
      heading_[t] = angle;
      lay_flat(t);
    }
    find_spans();
    for (const auto& span : spans_) stand(span.first, span.second);
    fill();
    std::vector<double> ramp = blurred(standing_.data(), frames);
    for (int64_t t = 0; t < frames; ++t) {
      double *place = in_.place + 6 * t, *turned = in_.turn + 18 * t;
      for (int i = 0; i < 3; ++i) place[i] = ankle(t)[i] + shift_[3 * t + i];
      if (spans_.empty()) std::copy_n(rotation(t), 9, turned);
      else nextscale::turn(twist_.data() + 3 * t, rotation(t), turned);
      in_.stance[2 * t] = std::max(ramp[t] * ramp[t], 0.8 * standing_[t]);
      double lowest = 0.0;
      for (const double* end : {in_.toe, in_.heel})
        for (double side : {in_.half_width, -in_.half_width})
          lowest = std::min(lowest, place[2] + turned[6] * end[0] + turned[7] * (end[1] + side) +
                                        turned[8] * end[2]);
      place[2] -= lowest;
    }
  }

 private:
  const double* ankle(int64_t t) const { return in_.ankle + 6 * t; }
  const double* rotation(int64_t t) const { return in_.rotation + 18 * t; }
  bool heel(int64_t t) const { return in_.heel_down[2 * t]; }
  bool ball(int64_t t) const { return in_.ball_down[2 * t]; }

  static void apply(const double* matrix, const double* v, double* out) {
    for (int i = 0; i < 3; ++i) out[i] = dot(matrix + 3 * i, v);
  }

  void lay_flat(int64_t t) {
    const double* about = ball(t) && !heel(t) ? in_.toe : in_.heel;
    double there[3];
    apply(rotation(t), about, there);
    const double c = std::cos(heading_[t]), s = std::sin(heading_[t]);
    const double here[2] = {c * about[0] - s * about[1], s * about[0] + c * about[1]};
    for (int i = 0; i < 2; ++i)
      lain_[2 * t + i] = ankle(t)[i] + (heel(t) != ball(t) ? there[i] - here[i] : 0.0);
  }

  // See `stance_spans`.
  void find_spans() {
    const double none = std::numeric_limits<double>::infinity();
    for (int64_t begin = 0; begin < in_.frames;) {
      if (!heel(begin) && !ball(begin)) { ++begin; continue; }
      int64_t end = begin;
      while (end < in_.frames && (heel(end) || ball(end))) ++end;
      int64_t first = begin;
      double low[2] = {none, none}, high[2] = {-none, -none};
      for (int64_t t = begin; t < end; ++t) {
        if (t < first) continue;
        for (int i = 0; i < 2; ++i) {
          low[i] = std::min(low[i], lain_[2 * t + i]);
          high[i] = std::max(high[i], lain_[2 * t + i]);
        }
        const double wide = high[0] - low[0], tall = high[1] - low[1];
        if (wide * wide + tall * tall <= 4.0 * in_.slip * in_.slip) continue;
        double furthest = 0.0;
        for (int64_t k = first; k <= t; ++k)
          furthest = std::max(furthest, std::hypot(lain_[2 * k] - (low[0] + high[0]) / 2,
                                                   lain_[2 * k + 1] - (low[1] + high[1]) / 2));
        if (!(furthest > in_.slip)) continue;
        if (t - 1 - first >= in_.min_stance) spans_.emplace_back(first, t - 1);
        first = t + in_.relocate;
        low[0] = low[1] = none, high[0] = high[1] = -none;
      }
      if (end - first >= in_.min_stance) spans_.emplace_back(first, end);
      begin = end;
    }
  }

  // See `steady_heading`.
  std::vector<double> steady(const double* heading, int64_t frames) const {
    std::vector<int64_t> steps;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (int64_t t = 0; t < frames; ++t) {
      low = std::min(low, heading[t]), high = std::max(high, heading[t]);
      if (high - low > 2 * in_.slip_turn) steps.push_back(t), low = high = heading[t];
    }
    std::vector<double> value(frames);
    for (size_t n = 0; n <= steps.size(); ++n) {
      const int64_t begin = n ? steps[n - 1] : 0, end = n < steps.size() ? steps[n] : frames;
      double mean = 0.0;
      for (int64_t t = begin; t < end; ++t) mean += heading[t];
      for (int64_t t = begin; t < end; ++t) value[t] = mean / static_cast<double>(end - begin);
    }
    std::vector<double> result = value;
    for (int64_t step : steps) {
      const int64_t a = std::max<int64_t>(step - in_.relocate, 0);
      const int64_t b = std::min(step + in_.relocate - 1, frames - 1);
      for (int64_t t = a; t <= b; ++t)
        result[t] += (value[step] - value[step - 1]) *
                     (smoothstep(double(t), double(a), double(b)) - (t >= step));
    }
    return result;
  }

  // As `gaussian_filter1d` with a standard deviation of 0.7 and the ends held.
  static std::vector<double> blurred(const double* track, int64_t frames) {
    constexpr int kReach = 3;
    double weight[kReach + 1], total = 0.0;
    for (int k = 0; k <= kReach; ++k) weight[k] = std::exp(-0.5 / (0.7 * 0.7) * k * k);
    for (int k = -kReach; k <= kReach; ++k) total += weight[std::abs(k)];
    std::vector<double> out(frames, 0.0);
    for (int64_t t = 0; t < frames; ++t)
      for (int k = -kReach; k <= kReach; ++k)
        out[t] += weight[std::abs(k)] / total *
                  track[std::min(std::max<int64_t>(t + k, 0), frames - 1)];
    return out;
  }

  // See `_stand`: sets shift and twist of one span.
  void stand(int64_t begin, int64_t end) {
    const int64_t frames = end - begin;
    const std::vector<double> level = steady(heading_.data() + begin, frames);
    std::vector<double> front(3 * frames), rest(2 * frames, 0.0), pitch(frames);
    bool any = false;
    for (int64_t n = 0; n < frames; ++n) any |= heel(begin + n) && ball(begin + n);
    double mean[2] = {}, sure = 0.0;
    for (int64_t n = 0; n < frames; ++n) {
      const int64_t t = begin + n;
      const double c = std::cos(level[n]), s = std::sin(level[n]);
      front[3 * n] = c * in_.toe[0] - s * in_.toe[1];
      front[3 * n + 1] = s * in_.toe[0] + c * in_.toe[1];
      front[3 * n + 2] = in_.toe[2];
      const bool flat = heel(t) && ball(t);
      const bool rolls = n && ball(t) && !heel(t) && ball(t - 1) && !heel(t - 1);
      for (int i = 0; n && i < 2; ++i)
        rest[2 * n + i] = rest[2 * n - 2 + i] - (rolls ? front[3 * n + i] - front[3 * n - 3 + i] : 0.0);
      if (flat || !any) {
        for (int i = 0; i < 2; ++i) mean[i] += lain_[2 * t + i] - rest[2 * n + i];
        sure += 1.0;
      }
      const double angle = -std::asin(std::min(std::max(rotation(t)[6], -1.0), 1.0));
      pitch[n] = flat ? 0.0 : ball(t) ? std::max(angle, 0.0) : std::min(angle, 0.0);
    }
    pitch = blurred(pitch.data(), frames);
    for (int64_t n = 0; n < frames; ++n) {
      const int64_t t = begin + n;
      double angle = std::min(std::max(pitch[n], -0.8), 1.2);
      if (heel(t) && ball(t)) angle = 0.0;
      const double c = std::cos(level[n]), s = std::sin(level[n]);
      const double p = std::cos(angle), q = std::sin(angle);
      const double turned[9] = {c * p, -s, c * q, s * p, c, s * q, -q, 0.0, p};
      const double* pivot = angle >= 0 ? in_.toe : in_.heel;
      const double flat[3] = {c * pivot[0] - s * pivot[1], s * pivot[0] + c * pivot[1], pivot[2]};
      double away[3];
      apply(turned, pivot, away);
      for (int i = 0; i < 3; ++i) {
        const double base = i < 2 ? rest[2 * n + i] + mean[i] / sure : -in_.toe[2];
        shift_[3 * t + i] = base + flat[i] - away[i] - ankle(t)[i];
      }
      log_between(turned, rotation(t), twist_.data() + 3 * t);
      standing_[t] = 1.0;
    }
  }

  // The corrections between the spans, and before and after them.
  void fill() {
    if (spans_.empty()) return;
    const auto copy = [this](int64_t from, int64_t to) {
      std::copy_n(shift_.data() + 3 * from, 3, shift_.data() + 3 * to);
      std::copy_n(twist_.data() + 3 * from, 3, twist_.data() + 3 * to);
    };
    for (int64_t t = 0; t < spans_.front().first; ++t) copy(spans_.front().first, t);
    for (int64_t t = spans_.back().second; t < in_.frames; ++t) copy(spans_.back().second - 1, t);
    for (size_t n = 0; n + 1 < spans_.size(); ++n) {
      const int64_t a = spans_[n].second - 1, b = spans_[n + 1].first;
      for (int64_t t = a + 1; t < b; ++t) {
        const double u = smoothstep(double(t), double(a), double(b));
        for (auto* track : {&shift_, &twist_})
          for (int i = 0; i < 3; ++i)
            (*track)[3 * t + i] = (1 - u) * (*track)[3 * a + i] + u * (*track)[3 * b + i];
      }
    }
  }

  const FootInput& in_;
  std::vector<double> heading_, lain_, shift_, twist_, standing_;
  std::vector<std::pair<int64_t, int64_t>> spans_;
};

}  // namespace nextscale
