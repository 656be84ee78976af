// Distance and nearest points of two convex hulls: GJK, and EPA where they overlap.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "model.hpp"

namespace nextscale {

struct Hull {
  int64_t body;
  double centre[3], half[3], radius;
  std::vector<double> vertices[3];  // padded with the first vertex

  Hull(int64_t body, int64_t count, const double* points) : body(body), radius(0.0) {
    double low[3], high[3];
    for (int i = 0; i < 3; ++i) {
      low[i] = high[i] = points[i];
      vertices[i].assign(padded(static_cast<int>(count)), points[i]);
      for (int64_t v = 0; v < count; ++v) {
        vertices[i][v] = points[3 * v + i];
        low[i] = std::min(low[i], points[3 * v + i]);
        high[i] = std::max(high[i], points[3 * v + i]);
      }
      centre[i] = (low[i] + high[i]) / 2;
      half[i] = (high[i] - low[i]) / 2;
    }
    for (int64_t v = 0; v < count; ++v) {
      double way[3];
      subtract(points + 3 * v, centre, way);
      radius = std::max(radius, std::sqrt(dot(way, way)));
    }
  }

  Lanes along(const double* direction, size_t v) const {
    return load(vertices[0].data() + v) * direction[0] + load(vertices[1].data() + v) * direction[1] +
           load(vertices[2].data() + v) * direction[2];
  }

  double lowest(const double* direction) const {
    Lanes least = along(direction, 0);
    for (size_t v = kLanes; v < vertices[0].size(); v += kLanes) {
      const Lanes here = along(direction, v);
      least = here < least ? here : least;
    }
    double result = least[0];
    for (int i = 1; i < kLanes; ++i) result = std::min(result, least[i]);
    return result;
  }

  void furthest(const double* direction, double* out) const {
    Lanes most = along(direction, 0), number{}, at{};
    for (size_t v = kLanes; v < vertices[0].size(); v += kLanes) {
      number += 1.0;
      const Lanes here = along(direction, v);
      at = here > most ? number : at;
      most = here > most ? here : most;
    }
    int lane = 0;
    for (int i = 1; i < kLanes; ++i)
      if (most[i] > most[lane]) lane = i;
    const size_t v = static_cast<size_t>(at[lane]) * kLanes + lane;
    for (int i = 0; i < 3; ++i) out[i] = vertices[i][v];
  }
};

struct Witness {
  double distance;      // negative where the hulls overlap
  double normal[3];     // from the first to the second, in the frame of the first body
  double points[2][3];  // nearest points, each in the frame of its body
};

class NarrowPhase {
 public:
  NarrowPhase(const Hull& one, const Hull& two, const Frame& at, const Frame& to)
      : one_(one), two_(two) {
    double way[3];
    subtract(to.origin, at.origin, way);
    for (int i = 0; i < 3; ++i) {
      shift_[i] = dot(at.axes[i], way);
      for (int j = 0; j < 3; ++j) turn_[i][j] = dot(at.axes[i], to.axes[j]);
    }
  }

  // False where the hulls overlap or touch.
  bool apart(Witness& out) {
    double v[3], square = 0.0;
    for (int i = 0; i < 3; ++i)
      v[i] = one_.centre[i] - shift_[i] - dot(turn_[i], two_.centre);
    if (!(dot(v, v) > 0.0)) v[0] = 1.0;
    for (count_ = 0; ;) {
      const double back[3] = {-v[0], -v[1], -v[2]};
      const Corner next = corner(back);
      // No point of the difference is further along, or rounding leaves no way on.
      bool done = count_ && square - dot(v, next.w) <= 1e-12 * square;
      for (int n = 0; n < count_; ++n) done |= !std::memcmp(simplex_[n].w, next.w, sizeof next.w);
      if (done) break;
      const Corner before[4] = {simplex_[0], simplex_[1], simplex_[2], simplex_[3]};
      double share[4] = {share_[0], share_[1], share_[2], share_[3]}, was[3] = {v[0], v[1], v[2]};
      const int held = count_;
      simplex_[count_++] = next;
      if (!reduce(v)) return false;
      const double now = dot(v, v);
      if (!(now > 1e-18)) return false;
      if (held && !(now < square)) {
        std::copy_n(before, 4, simplex_), std::copy_n(share, 4, share_), std::copy_n(was, 3, v);
        count_ = held;
        break;
      }
      square = now;
    }
    out.distance = std::sqrt(square);
    for (int i = 0; i < 3; ++i) out.normal[i] = -v[i] / out.distance;
    mix(simplex_, share_, count_, out);
    return true;
  }

  // After `apart` returned false; false where rounding leaves no depth to be found.
  bool depth(Witness& out) {
    if (count_ != 4) return false;
    std::vector<Corner> corners(simplex_, simplex_ + 4);
    std::vector<Face> faces;
    double a[3], b[3], c[3], normal[3];
    subtract(corners[1].w, corners[0].w, a);
    subtract(corners[2].w, corners[0].w, b);
    subtract(corners[3].w, corners[0].w, c);
    cross(a, b, normal);
    if (dot(normal, c) > 0) std::swap(corners[1], corners[2]);
    for (auto [i, j, k] : {std::array<int, 3>{0, 1, 2}, {0, 3, 1}, {1, 3, 2}, {2, 3, 0}})
      if (!add(corners, faces, i, j, k)) return false;
    for (int round = 0; round < 256 && !faces.empty(); ++round) {
      const Face face = *std::min_element(
          faces.begin(), faces.end(), [](const Face& x, const Face& y) { return x.height < y.height; });
      const Corner next = corner(face.normal);
      if (dot(next.w, face.normal) - face.height <= 1e-9) {
        out.distance = -face.height;
        std::copy_n(face.normal, 3, out.normal);
        return foot(corners, face, out);
      }
      std::vector<std::pair<int, int>> edges;
      std::vector<Face> kept;
      for (const Face& one : faces) {
        if (dot(next.w, one.normal) <= one.height + 1e-12) {
          kept.push_back(one);
          continue;
        }
        for (int n = 0; n < 3; ++n) {
          const std::pair<int, int> edge{one.at[n], one.at[(n + 1) % 3]};
          const auto twin = std::find(edges.begin(), edges.end(), std::make_pair(edge.second, edge.first));
          if (twin == edges.end()) edges.push_back(edge); else edges.erase(twin);
        }
      }
      faces.swap(kept);
      corners.push_back(next);
      for (const auto& edge : edges)
        if (!add(corners, faces, edge.first, edge.second, static_cast<int>(corners.size()) - 1))
          return false;
    }
    return false;
  }

 private:
  struct Corner {  // of the difference of the hulls, in the frame of the first body
    double w[3], points[2][3];
  };
  struct Face {
    std::array<int, 3> at;
    double normal[3], height;
  };

  Corner corner(const double* direction) const {
    Corner corner;
    double turned[3];
    for (int j = 0; j < 3; ++j)
      turned[j] = -(turn_[0][j] * direction[0] + turn_[1][j] * direction[1] + turn_[2][j] * direction[2]);
    one_.furthest(direction, corner.points[0]);
    two_.furthest(turned, corner.points[1]);
    for (int i = 0; i < 3; ++i)
      corner.w[i] = corner.points[0][i] - shift_[i] - dot(turn_[i], corner.points[1]);
    return corner;
  }

  // Leaves the corners around the point nearest to the origin, which becomes v; false where the
  // origin is inside. That point is in a part of the simplex with its newest corner.
  bool reduce(double* v) {
    const int last = count_ - 1;
    const Corner& newest = simplex_[last];
    const double* p = newest.w;
    double edge[3][3], best = dot(p, p), shares[3] = {};
    int chosen = 0;
    for (int n = 0; n < last; ++n) subtract(simplex_[n].w, p, edge[n]);
    std::copy_n(p, 3, v);
    for (int part = 1; part < 1 << last; ++part) {
      double share[3] = {};
      if (!within(edge, part, p, share)) continue;
      double at[3] = {p[0], p[1], p[2]};
      for (int n = 0; n < last; ++n)
        for (int i = 0; i < 3; ++i) at[i] += share[n] * edge[n][i];
      if (part == 7) return false;
      if (dot(at, at) < best)
        best = dot(at, at), chosen = part, std::copy_n(share, 3, shares), std::copy_n(at, 3, v);
    }
    double rest = 1.0;
    count_ = 0;
    for (int n = 0; n < last; ++n)
      if (chosen >> n & 1) {
        simplex_[count_] = simplex_[n];
        share_[count_++] = shares[n];
        rest -= shares[n];
      }
    if (count_ < last) simplex_[count_] = newest;
    share_[count_++] = rest;
    return true;
  }

  // Shares of the chosen edges from p in the foot of the origin; false where it is not inside.
  static bool within(const double edge[3][3], int part, const double* p, double* share) {
    int at[3], count = 0;
    for (int n = 0; n < 3; ++n)
      if (part >> n & 1) at[count++] = n;
    const double* a = edge[at[0]];
    if (count == 1) {
      share[at[0]] = -dot(a, p) / dot(a, a);
    } else if (count == 2) {
      const double* b = edge[at[1]];
      const double aa = dot(a, a), bb = dot(b, b), ab = dot(a, b), size = aa * bb - ab * ab;
      if (!(size > 1e-14 * aa * bb)) return false;
      share[at[0]] = (ab * dot(b, p) - bb * dot(a, p)) / size;
      share[at[1]] = (ab * dot(a, p) - aa * dot(b, p)) / size;
    } else {
      double sides[3][3];
      for (int n = 0; n < 3; ++n) cross(edge[(n + 1) % 3], edge[(n + 2) % 3], sides[n]);
      const double size = dot(edge[0], sides[0]);
      if (!(std::abs(size) > 1e-18)) return false;
      for (int n = 0; n < 3; ++n) share[n] = -dot(p, sides[n]) / size;
    }
    double total = 0.0;
    for (int n = 0; n < count; ++n) {
      if (!(share[at[n]] > 0.0)) return false;
      total += share[at[n]];
    }
    return total < 1.0;
  }

  static void mix(const Corner* corners, const double* share, int count, Witness& out) {
    std::fill_n(out.points[0], 6, 0.0);
    for (int n = 0; n < count; ++n)
      for (int body = 0; body < 2; ++body)
        for (int i = 0; i < 3; ++i) out.points[body][i] += share[n] * corners[n].points[body][i];
  }

  // False for a face without area, or with the origin outside.
  static bool add(const std::vector<Corner>& corners, std::vector<Face>& faces, int i, int j, int k) {
    Face face{{i, j, k}, {}, 0.0};
    double a[3], b[3];
    subtract(corners[j].w, corners[i].w, a);
    subtract(corners[k].w, corners[i].w, b);
    cross(a, b, face.normal);
    const double size = std::sqrt(dot(face.normal, face.normal));
    if (!(size > 1e-14)) return false;
    for (int n = 0; n < 3; ++n) face.normal[n] /= size;
    face.height = dot(face.normal, corners[i].w);
    faces.push_back(face);
    return face.height > -1e-9;
  }

  static bool foot(const std::vector<Corner>& corners, const Face& face, Witness& out) {
    const Corner three[3] = {corners[face.at[0]], corners[face.at[1]], corners[face.at[2]]};
    double a[3], b[3], p[3], share[3];
    subtract(three[1].w, three[0].w, a);
    subtract(three[2].w, three[0].w, b);
    for (int i = 0; i < 3; ++i) p[i] = three[0].w[i] - face.height * face.normal[i];
    const double aa = dot(a, a), bb = dot(b, b), ab = dot(a, b), size = aa * bb - ab * ab;
    share[1] = (ab * dot(b, p) - bb * dot(a, p)) / size;
    share[2] = (ab * dot(a, p) - aa * dot(b, p)) / size;
    share[0] = 1.0 - share[1] - share[2];
    mix(three, share, 3, out);
    return true;
  }

  const Hull &one_, &two_;
  double turn_[3][3], shift_[3], share_[4];
  Corner simplex_[4];
  int count_ = 0;
};

}  // namespace nextscale
