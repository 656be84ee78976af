// Pairs of bodies that may touch, over all samples of a motion; `broad_phase.py` explains how.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "narrow_phase.hpp"

namespace nextscale {

constexpr int64_t kKept = 4096;  // samples whose memory waits for the next motion

class BroadPhase {
 public:
  BroadPhase(const Model& model, int hulls, const int64_t* bodies, const int64_t* counts,
             const double* vertices, int pairs, const int64_t* pair, const double* distance,
             int planes)
      : model_(model), most_(planes), planes_(pairs) {
    for (int h = 0; h < hulls; ++h) {
      hulls_.emplace_back(bodies[h], counts[h], vertices);
      vertices += 3 * counts[h];
    }
    for (int p = 0; p < pairs; ++p) pairs_.push_back({pair[2 * p], pair[2 * p + 1], distance[p]});
  }

  // (sample, pair) of everything that may touch, in the order of the samples; `known` (K, 2) are
  // left out. `looks` plane tests are spent before the search ends early.
  const std::vector<std::pair<int64_t, int64_t>>& suspects(int64_t samples, const double* q,
                                                           int64_t known_count,
                                                           const int64_t* known, int64_t looks) {
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
        left_.erase(left_.begin() + left_.size() / 2);
        Plane plane;
        if (!plane_of(p, middle, plane) || !parted(p, plane, middle)) {
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
    if (samples > kKept) frames_ = {}, centres_ = {};
    return found_;
  }

  // Distances and nearest points of (sample, pair) in `where` (count, 2); a distance of NaN where
  // rounding leaves none. `samples` rows of joints.
  void nearest(int64_t samples, const double* q, int64_t count, const int64_t* where, Witness* out) {
    const double origin[3] = {}, upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    std::vector<uint8_t> placed(samples, 0);
    frames_.resize(samples * (model_.bodies + 1));
    for (int64_t n = 0; n < count; ++n) {
      const int64_t s = where[2 * n];
      const Pair& pair = pairs_[where[2 * n + 1]];
      if (!placed[s])
        model_.tree().forward(origin, upright, q + s * model_.joints, frames_.data() + s * (model_.bodies + 1));
      placed[s] = 1;
      const Hull &first = hulls_[pair.first], &second = hulls_[pair.second];
      NarrowPhase phase(first, second, frame(s, first.body), frame(s, second.body));
      if (!phase.apart(out[n]) && !phase.depth(out[n])) out[n].distance = std::nan("");
    }
    if (samples > kKept) frames_ = {};
  }

 private:
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
    // Places of the spheres: hulls, coordinates, samples; the last sample fills the lanes.
    const int64_t wide = padded(static_cast<int>(samples));
    centres_.resize(3 * hulls_.size() * wide);
    for (int64_t s = 0; s < wide; ++s) {
      const int64_t at = std::min(s, samples - 1);
      if (s < samples)
        model_.tree().forward(origin, upright, q + s * model_.joints, frames_.data() + s * (model_.bodies + 1));
      for (size_t h = 0; h < hulls_.size(); ++h) {
        double centre[3];
        frame(at, hulls_[h].body).place(hulls_[h].centre, centre);
        for (int i = 0; i < 3; ++i) centres_[(3 * h + i) * wide + s] = centre[i];
      }
    }
    for (size_t p = 0; p < pairs_.size(); ++p) {
      const Pair& pair = pairs_[p];
      const double *one = centres_.data() + 3 * pair.first * wide, *two = centres_.data() + 3 * pair.second * wide;
      const double reach = hulls_[pair.first].radius + hulls_[pair.second].radius + pair.distance;
      for (int64_t s = 0; s < wide; s += kLanes) {
        const Lanes x = load(one + s) - load(two + s), y = load(one + wide + s) - load(two + wide + s),
                    z = load(one + 2 * wide + s) - load(two + 2 * wide + s);
        const Lanes square = x * x + y * y + z * z;
        const auto apart = square >= reach * reach;
        int64_t all = -1;
        for (int i = 0; i < kLanes; ++i) all &= apart[i];
        if (all) continue;
        for (int i = 0; i < kLanes && s + i < samples; ++i)
          if (!apart[i]) near_[p].push_back(s + i);
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

  // False where the bodies touch.
  bool plane_of(size_t pair, int64_t sample, Plane& plane) const {
    const Pair& one = pairs_[pair];
    const Hull &first = hulls_[one.first], &second = hulls_[one.second];
    Witness found;
    if (!NarrowPhase(first, second, frame(sample, first.body), frame(sample, second.body)).apart(found))
      return false;
    double opposite[3];
    for (int i = 0; i < 3; ++i) plane.normal[i] = found.normal[i], opposite[i] = -found.normal[i];
    plane.beyond = one.distance * std::sqrt(dot(plane.normal, plane.normal)) - first.lowest(opposite);
    return true;
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
    return box > 0 || room + second.lowest(turned) > 0;
  }

  const Model& model_;
  size_t most_;
  std::vector<Hull> hulls_;
  std::vector<Pair> pairs_;
  std::vector<std::deque<Plane>> planes_;
  std::vector<Frame> frames_;
  std::vector<double> centres_;
  std::vector<std::vector<int64_t>> near_;
  std::vector<int64_t> left_;
  std::vector<std::pair<int64_t, int64_t>> found_;
};

}  // namespace nextscale
