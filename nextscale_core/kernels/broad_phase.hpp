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
    for (int64_t k = 0; k < known_count; ++k)
      if (known[2 * k] >= 0 && known[2 * k + 1] >= 0) out.emplace_back(known[2 * k + 1], known[2 * k]);
    std::sort(out.begin(), out.end());
    found_.clear();
    auto skipped = out.begin();
    for (size_t p = 0; p < pairs_.size(); ++p) {
      uint8_t* near = near_.data() + p * blocks_;
      for (; skipped != out.end() && skipped->first == static_cast<int64_t>(p); ++skipped)
        if (skipped->second < samples) near[skipped->second / kPack] &= ~(1u << skipped->second % kPack);
      // From here on, those that no plane parts.
      int64_t left = 0;
      for (int64_t block = 0; block < blocks_; ++block) {
        if (near[block] && looks >= 0) near[block] = past_kept(p, block, near[block]);
        left += __builtin_popcount(near[block]);
      }
      while (left) {
        looks -= left;
        const int64_t s = sample_of(near, looks < 0 ? 0 : left / 2);
        if (looks < 0) {
          found_.emplace_back(s, p);
          break;
        }
        const unsigned bit = 1u << s % kPack;
        near[s / kPack] &= ~bit;
        --left;
        Plane plane;
        if (!plane_of(p, s, plane) || past(p, plane, s / kPack, bit)) {
          found_.emplace_back(s, p);
          continue;
        }
        planes_[p].push_front(plane);
        if (planes_[p].size() > most_) planes_[p].pop_back();
        left = 0;
        for (int64_t block = 0; block < blocks_; ++block)
          if (near[block]) left += __builtin_popcount(near[block] = past(p, plane, block, near[block]));
      }
    }
    std::sort(found_.begin(), found_.end());
    if (samples > kKept) wide_ = {}, centres_ = {};
    return found_;
  }

  // Distances and nearest points of (sample, pair) in `where` (count, 2); a distance of NaN where
  // rounding leaves none. `samples` rows of joints. Fast where those of a pair follow each other.
  void nearest(int64_t samples, const double* q, int64_t count, const int64_t* where, Witness* out) {
    const double origin[3] = {}, upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    std::vector<uint8_t> placed(samples, 0);
    frames_.resize(samples * (model_.bodies + 1));
    Simplex before;
    for (int64_t n = 0; n < count; ++n) {
      const int64_t s = where[2 * n];
      const Pair& pair = pairs_[where[2 * n + 1]];
      if (!placed[s])
        model_.tree().forward(origin, upright, q + s * model_.joints, frames_.data() + s * (model_.bodies + 1));
      placed[s] = 1;
      const Hull &first = hulls_[pair.first], &second = hulls_[pair.second];
      NarrowPhase phase(first, second, frame(s, first.body), frame(s, second.body));
      if (n && where[2 * n + 1] != where[2 * n - 1]) before.count = 0;
      if (!phase.apart(out[n], before) && !phase.depth(out[n])) out[n].distance = std::nan("");
      before = phase.simplex();
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

  using WideFrame = FrameOf<Pack>;

  // Frames of all samples, and for each pair the samples in which its bounding spheres overlap, a
  // bit for each; the last sample fills the lanes.
  void place(int64_t samples, const double* q) {
    const Tree tree = model_.tree();
    blocks_ = (samples + kPack - 1) / kPack;
    wide_.resize((tree.bodies + 1) * blocks_);
    near_.assign(pairs_.size() * blocks_, 0);
    if (!blocks_) return;
    centres_.resize(3 * hulls_.size() * blocks_);
    const Pack none{}, one = none + 1.0;
    for (int64_t block = 0; block < blocks_; ++block) {
      const int64_t first = block * kPack;
      wide_[block] = {{{one, none, none}, {none, one, none}, {none, none, one}}, {none, none, none}};
      for (int64_t b = 0; b < tree.bodies; ++b) {
        Pack cosine, sine;
        for (int i = 0; i < kPack; ++i) {
          const double turn = tree.angle(b, q + std::min(first + i, samples - 1) * model_.joints);
          cosine[i] = std::cos(turn), sine[i] = std::sin(turn);
        }
        wide(tree.above[b], block).attach(tree.step + 12 * b, cosine, sine, wide(b + 1, block));
      }
      for (size_t h = 0; h < hulls_.size(); ++h)
        wide(hulls_[h].body, block).place(hulls_[h].centre, &centres_[3 * (h * blocks_ + block)]);
    }
    constexpr unsigned kAll = (1u << kPack) - 1;
    const unsigned last = samples % kPack ? (1u << samples % kPack) - 1 : kAll;
    for (size_t p = 0; p < pairs_.size(); ++p) {
      const Pair& pair = pairs_[p];
      const Pack *one = &centres_[3 * pair.first * blocks_], *two = &centres_[3 * pair.second * blocks_];
      const double reach = hulls_[pair.first].radius + hulls_[pair.second].radius + pair.distance;
      uint8_t* near = near_.data() + p * blocks_;
      for (int64_t block = 0; block < blocks_; ++block, one += 3, two += 3) {
        const Pack x = one[0] - two[0], y = one[1] - two[1], z = one[2] - two[2];
        near[block] = kAll & ~positive(x * x + y * y + z * z - reach * reach);
      }
      near[blocks_ - 1] &= last;
    }
  }

  // The sample of a set bit, counted from 0.
  int64_t sample_of(const uint8_t* bits, int64_t number) const {
    int64_t sample = -1;
    for (++number; number; number -= bits[sample / kPack] >> sample % kPack & 1) ++sample;
    return sample;
  }

  WideFrame& wide(int64_t body, int64_t block) { return wide_[body * blocks_ + block]; }

  Frame frame_of(int64_t sample, int64_t body) const {
    const WideFrame& from = wide_[body * blocks_ + sample / kPack];
    const int lane = sample % kPack;
    Frame frame;
    for (int i = 0; i < 3; ++i) {
      frame.origin[i] = from.origin[i][lane];
      for (int axis = 0; axis < 3; ++axis) frame.axes[axis][i] = from.axes[axis][i][lane];
    }
    return frame;
  }

  // The samples of a block, as bits, that no kept plane parts.
  unsigned past_kept(size_t pair, int64_t block, unsigned samples) {
    std::deque<Plane>& planes = planes_[pair];
    for (size_t n = 0; n < planes.size(); ++n) {
      samples = past(pair, planes[n], block, samples);
      if (samples) continue;
      // The most useful plane first.
      if (n) std::rotate(planes.begin(), planes.begin() + n, planes.begin() + n + 1);
      break;
    }
    return samples;
  }

  // False where the bodies touch.
  bool plane_of(size_t pair, int64_t sample, Plane& plane) const {
    const Pair& one = pairs_[pair];
    const Hull &first = hulls_[one.first], &second = hulls_[one.second];
    Witness found;
    NarrowPhase phase(first, second, frame_of(sample, first.body), frame_of(sample, second.body));
    if (!phase.apart(found)) return false;
    double opposite[3];
    for (int i = 0; i < 3; ++i) plane.normal[i] = found.normal[i], opposite[i] = -found.normal[i];
    plane.beyond = one.distance * std::sqrt(dot(plane.normal, plane.normal)) - first.lowest(opposite);
    return true;
  }

  // The samples of a block, as bits, that a plane does not part.
  unsigned past(size_t pair, const Plane& plane, int64_t block, unsigned samples) const {
    const Hull &first = hulls_[pairs_[pair].first], &second = hulls_[pairs_[pair].second];
    const WideFrame &at = wide_[first.body * blocks_ + block], &to = wide_[second.body * blocks_ + block];
    Pack direction[3], turned[3];
    for (int i = 0; i < 3; ++i)
      direction[i] = plane.normal[0] * at.axes[0][i] + plane.normal[1] * at.axes[1][i] + plane.normal[2] * at.axes[2][i];
    for (int axis = 0; axis < 3; ++axis)
      turned[axis] = to.axes[axis][0] * direction[0] + to.axes[axis][1] * direction[1] + to.axes[axis][2] * direction[2];
    Pack room = Pack{} - plane.beyond;
    for (int i = 0; i < 3; ++i) room += (to.origin[i] - at.origin[i]) * direction[i];
    // The bounding box mostly suffices, and has fewer corners.
    Pack box = room;
    for (int i = 0; i < 3; ++i) box += second.centre[i] * turned[i] - second.half[i] * magnitude(turned[i]);
    samples &= ~positive(box);
    for (int lane = 0; lane < kPack; ++lane)
      if (samples >> lane & 1) {
        const double along[3] = {turned[0][lane], turned[1][lane], turned[2][lane]};
        if (room[lane] + second.lowest(along) > 0.0) samples &= ~(1u << lane);
      }
    return samples;
  }

  const Model& model_;
  size_t most_;
  std::vector<Hull> hulls_;
  std::vector<Pair> pairs_;
  std::vector<std::deque<Plane>> planes_;
  int64_t blocks_ = 0;
  std::vector<Frame> frames_;
  std::vector<WideFrame> wide_;
  std::vector<Pack> centres_;
  std::vector<uint8_t> near_;
  std::vector<std::pair<int64_t, int64_t>> found_;
};

}  // namespace nextscale
