// Pairs of bodies that may touch, over all samples of a motion; `broad_phase.py` explains how.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "model.hpp"

namespace nextscale {

constexpr int64_t kKept = 4096;  // samples whose memory waits for the next motion

// Writes the direction in which a pair is furthest apart in a sample.
typedef void (*Normal)(int64_t sample, int64_t pair, double* direction);

class BroadPhase {
 public:
  BroadPhase(const Model& model, int hulls, const int64_t* bodies, const int64_t* counts,
             const double* vertices, int pairs, const int64_t* pair, const double* distance,
             int planes)
      : model_(model), most_(planes), planes_(pairs) {
    for (int h = 0; h < hulls; ++h) {
      Hull hull{bodies[h], {}, {}, 0.0, {}};
      const int64_t count = counts[h];
      double low[3], high[3];
      for (int i = 0; i < 3; ++i) {
        low[i] = high[i] = vertices[i];
        for (int64_t v = 0; v < count; ++v) {
          low[i] = std::min(low[i], vertices[3 * v + i]);
          high[i] = std::max(high[i], vertices[3 * v + i]);
        }
        hull.centre[i] = (low[i] + high[i]) / 2;
        hull.half[i] = (high[i] - low[i]) / 2;
        // The first vertex fills the last lanes.
        hull.vertices[i].assign(padded(static_cast<int>(count)), vertices[i]);
        for (int64_t v = 0; v < count; ++v) hull.vertices[i][v] = vertices[3 * v + i];
      }
      for (int64_t v = 0; v < count; ++v) {
        double way[3];
        subtract(vertices + 3 * v, hull.centre, way);
        hull.radius = std::max(hull.radius, std::sqrt(dot(way, way)));
      }
      hulls_.push_back(hull);
      vertices += 3 * count;
    }
    for (int p = 0; p < pairs; ++p) pairs_.push_back({pair[2 * p], pair[2 * p + 1], distance[p]});
  }

  // (sample, pair) of everything that may touch, in the order of the samples; `known` (K, 2) are
  // left out. `looks` plane tests are spent before the search ends early.
  const std::vector<std::pair<int64_t, int64_t>>& suspects(int64_t samples, const double* q,
                                                           int64_t known_count,
                                                           const int64_t* known, Normal normal,
                                                           int64_t looks) {
    place(samples, q);
    std::vector<std::pair<int64_t, int64_t>> out;  // pair, sample
    for (int64_t k = 0; k < known_count; ++k) out.emplace_back(known[2 * k + 1], known[2 * k]);
    std::sort(out.begin(), out.end());
    found_.clear();
    for (size_t p = 0; p < pairs_.size(); ++p) {
      left_.clear();
      const bool search = looks >= 0;
      for (int64_t s : near_[p])
        if (!std::binary_search(out.begin(), out.end(), std::make_pair<int64_t>(p, int64_t(s))) &&
            !(search && kept_plane(p, s)))
          left_.push_back(s);
      while (!left_.empty()) {
        looks -= static_cast<int64_t>(left_.size());
        if (looks < 0) {
          found_.emplace_back(left_[0], p);
          break;
        }
        const int64_t middle = left_[left_.size() / 2];
        const Plane plane = plane_of(p, middle, normal);
        left_.erase(left_.begin() + left_.size() / 2);
        if (!parted(p, plane, middle)) {
          found_.emplace_back(middle, p);
          continue;
        }
        planes_[p].push_front(plane);
        if (planes_[p].size() > most_) planes_[p].pop_back();
        left_.erase(std::remove_if(left_.begin(), left_.end(),
                                   [&](int64_t s) { return parted(p, plane, s); }),
                    left_.end());
      }
    }
    std::sort(found_.begin(), found_.end());
    if (samples > kKept) frames_ = {};
    return found_;
  }

 private:
  struct Hull {
    int64_t body;
    double centre[3], half[3], radius;
    std::vector<double> vertices[3];
  };
  struct Pair {
    int64_t first, second;
    double distance;
  };
  struct Plane {
    double normal[3], beyond;
  };

  const Frame& frame(int64_t sample, int64_t body) const {
    return frames_[sample * (model_.bodies + 1) + body];
  }

  // Frames of all samples, and for each pair the samples in which its bounding spheres overlap.
  void place(int64_t samples, const double* q) {
    const double origin[3] = {}, upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    frames_.resize(samples * (model_.bodies + 1));
    near_.assign(pairs_.size(), {});
    std::vector<double> centres(3 * hulls_.size());
    for (int64_t s = 0; s < samples; ++s) {
      model_.tree().forward(origin, upright, q + s * model_.joints, frames_.data() + s * (model_.bodies + 1));
      for (size_t h = 0; h < hulls_.size(); ++h)
        frame(s, hulls_[h].body).place(hulls_[h].centre, centres.data() + 3 * h);
      for (size_t p = 0; p < pairs_.size(); ++p) {
        const Pair& pair = pairs_[p];
        double gap[3];
        subtract(centres.data() + 3 * pair.first, centres.data() + 3 * pair.second, gap);
        const double reach = hulls_[pair.first].radius + hulls_[pair.second].radius + pair.distance;
        if (!(dot(gap, gap) >= reach * reach)) near_[p].push_back(s);
      }
    }
  }

  bool kept_plane(size_t pair, int64_t sample) {
    std::deque<Plane>& planes = planes_[pair];
    for (size_t n = 0; n < planes.size(); ++n)
      if (parted(pair, planes[n], sample)) {
        // The most useful plane first.
        if (n) std::rotate(planes.begin(), planes.begin() + n, planes.begin() + n + 1);
        return true;
      }
    return false;
  }

  Plane plane_of(size_t pair, int64_t sample, Normal normal) const {
    const Pair& one = pairs_[pair];
    const Hull& first = hulls_[one.first];
    const Frame& at = frame(sample, first.body);
    double direction[3];
    Plane plane;
    normal(sample, static_cast<int64_t>(pair), direction);
    for (int axis = 0; axis < 3; ++axis) plane.normal[axis] = dot(at.axes[axis], direction);
    const double opposite[3] = {-plane.normal[0], -plane.normal[1], -plane.normal[2]};
    plane.beyond = one.distance * std::sqrt(dot(plane.normal, plane.normal)) - lowest(first, opposite);
    return plane;
  }

  bool parted(size_t pair, const Plane& plane, int64_t sample) const {
    const Hull &first = hulls_[pairs_[pair].first], &second = hulls_[pairs_[pair].second];
    const Frame &at = frame(sample, first.body), &to = frame(sample, second.body);
    double direction[3], shift[3], turned[3];
    for (int i = 0; i < 3; ++i)
      direction[i] = plane.normal[0] * at.axes[0][i] + plane.normal[1] * at.axes[1][i] +
                     plane.normal[2] * at.axes[2][i];
    for (int axis = 0; axis < 3; ++axis) turned[axis] = dot(to.axes[axis], direction);
    subtract(to.origin, at.origin, shift);
    const double room = dot(shift, direction) - plane.beyond;
    // The bounding box mostly suffices, and has fewer corners.
    double box = room + dot(second.centre, turned);
    for (int i = 0; i < 3; ++i) box -= second.half[i] * std::abs(turned[i]);
    return box > 0 || room + lowest(second, turned) > 0;
  }

  static double lowest(const Hull& hull, const double* direction) {
    const double *x = hull.vertices[0].data(), *y = hull.vertices[1].data(),
                 *z = hull.vertices[2].data();
    const size_t count = hull.vertices[0].size();
    Lanes least = load(x) * direction[0] + load(y) * direction[1] + load(z) * direction[2];
    for (size_t v = kLanes; v < count; v += kLanes) {
      const Lanes here =
          load(x + v) * direction[0] + load(y + v) * direction[1] + load(z + v) * direction[2];
      least = here < least ? here : least;
    }
    double result = least[0];
    for (int i = 1; i < kLanes; ++i) result = std::min(result, least[i]);
    return result;
  }

  const Model& model_;
  size_t most_;
  std::vector<Hull> hulls_;
  std::vector<Pair> pairs_;
  std::vector<std::deque<Plane>> planes_;
  std::vector<Frame> frames_;
  std::vector<std::vector<int64_t>> near_;
  std::vector<int64_t> left_;
  std::vector<std::pair<int64_t, int64_t>> found_;
};

}  // namespace nextscale
