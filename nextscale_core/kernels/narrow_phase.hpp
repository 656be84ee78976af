// Distance and nearest points of two convex hulls: GJK, and EPA where they overlap.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "model.hpp"

namespace nextscale {

// Vertices in groups of neighbours, of which a search along a direction looks at few.
struct Hull {
  static constexpr int64_t kMost = 32;  // groups

  int64_t body, rows, groups;  // rows of eight vertices a group
  double centre[3], half[3], radius;
  std::vector<Lanes> vertices;  // x, y, z of each row; the last vertex fills it
  Lanes centres[kMost / kLanes][3] = {}, halves[kMost / kLanes][3] = {};

  Hull(int64_t body, int64_t count, const double* points)
      : body(body), rows(1 + count / (kMost * kLanes)), radius(0.0) {
    const int64_t size = rows * kLanes;
    groups = (count + size - 1) / size;
    std::vector<const double*> order;
    for (int64_t v = 0; v < count; ++v) order.push_back(points + 3 * v);
    box(order.data(), count, centre, half);
    split(order.data(), count, size);
    for (const double* point : order) {
      double way[3];
      subtract(point, centre, way);
      radius = std::max(radius, std::sqrt(dot(way, way)));
    }
    order.resize(groups * size, order.back());
    vertices.resize(3 * groups * rows);
    for (size_t v = 0; v < order.size(); ++v)
      for (int i = 0; i < 3; ++i) vertices[3 * (v / kLanes) + i][v % kLanes] = order[v][i];
    for (int64_t g = 0; g < groups; ++g) {
      double middle[3], reach[3];
      box(order.data() + g * size, size, middle, reach);
      for (int i = 0; i < 3; ++i) {
        centres[g / kLanes][i][g % kLanes] = middle[i];
        halves[g / kLanes][i][g % kLanes] = reach[i];
      }
    }
  }

  double lowest(const double* direction) const {
    const double back[3] = {-direction[0], -direction[1], -direction[2]};
    double point[3];
    return -furthest(back, point);
  }

  // How far the hull reaches along a direction, and where.
  double furthest(const double* direction, double* point) const {
    const double size[3] = {std::abs(direction[0]), std::abs(direction[1]), std::abs(direction[2])};
    const Lanes* best = vertices.data();
    int lane = 0;
    // NaN stays NaN.
    double bound[kMost], most = best[0][0] * direction[0] + best[1][0] * direction[1] + best[2][0] * direction[2];
    for (int64_t g = 0; g < groups; g += kLanes) {
      const Lanes *at = centres[g / kLanes], *by = halves[g / kLanes];
      store(bound + g, at[0] * direction[0] + at[1] * direction[1] + at[2] * direction[2] + by[0] * size[0] +
                           by[1] * size[1] + by[2] * size[2]);
    }
    const auto look = [&](int64_t g) {
      for (const Lanes *v = &vertices[3 * g * rows], *end = v + 3 * rows; v < end; v += 3) {
        double along[kLanes];
        store(along, v[0] * direction[0] + v[1] * direction[1] + v[2] * direction[2]);
        for (int i = 0; i < kLanes; ++i)
          if (along[i] > most) most = along[i], best = v, lane = i;
      }
    };
    const int64_t first = std::max_element(bound, bound + groups) - bound;
    look(first);
    for (int64_t g = 0; g < groups; ++g)
      if (bound[g] > most && g != first) look(g);
    for (int i = 0; i < 3; ++i) point[i] = best[i][lane];
    return most;
  }

 private:
  static void box(const double** points, int64_t count, double* centre, double* half) {
    for (int i = 0; i < 3; ++i) {
      double low = points[0][i], high = low;
      for (int64_t v = 0; v < count; ++v) low = std::min(low, points[v][i]), high = std::max(high, points[v][i]);
      centre[i] = (low + high) / 2;
      half[i] = (high - low) / 2;
    }
  }

  // Sort points so that each `size` of them are neighbours.
  static void split(const double** points, int64_t count, int64_t size) {
    if (count <= size) return;
    double centre[3], half[3];
    box(points, count, centre, half);
    const int64_t axis = std::max_element(half, half + 3) - half, left = (count / size + 1) / 2 * size;
    std::nth_element(points, points + left, points + count,
                     [axis](const double* a, const double* b) { return a[axis] < b[axis]; });
    split(points, left, size);
    split(points + left, count - left, size);
  }
};

struct Witness {
  double distance;      // negative where the hulls overlap
  double normal[3];     // from the first to the second, in the frame of the first body
  double points[2][3];  // nearest points, each in the frame of its body
};

struct Corner {  // of the difference of two hulls, in the frame of the first body
  double w[3], points[2][3];
};

struct Simplex {
  Corner corners[4];
  double share[4];  // of each corner in its point nearest to the origin
  int count = 0;
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

  // False where the hulls overlap or touch. `guess` is the simplex of a pose nearby.
  bool apart(Witness& out, const Simplex& guess = {}) {
    double v[3], square = 0.0;
    End end = kStuck;
    if (guess.count) {
      bool inside = false;
      for (int n = 0; n < guess.count && !inside; ++n) {
        simplex_.corners[simplex_.count++] = at(guess.corners[n].points[0], guess.corners[n].points[1]);
        inside = !reduce(v);
      }
      square = inside ? 0.0 : dot(v, v);
      end = square > 1e-18 ? search(v, square) : kOverlap;
    }
    // From a guess, the way may end before the nearest point.
    if (end == kStuck) {
      for (int i = 0; i < 3; ++i) v[i] = one_.centre[i] - shift_[i] - dot(turn_[i], two_.centre);
      if (!(dot(v, v) > 0.0)) v[0] = 1.0;
      simplex_.count = 0;
      end = search(v, square);
    }
    if (end == kOverlap) return false;
    out.distance = std::sqrt(square);
    for (int i = 0; i < 3; ++i) out.normal[i] = -v[i] / out.distance;
    mix(simplex_.corners, simplex_.share, simplex_.count, out);
    return true;
  }

  const Simplex& simplex() const { return simplex_; }

  // After `apart` returned false; false where rounding leaves no depth to be found.
  bool depth(Witness& out) {
    if (simplex_.count != 4) return false;
    std::vector<Corner> corners(simplex_.corners, simplex_.corners + 4);
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
  enum End { kNearest, kOverlap, kStuck };
  struct Face {
    std::array<int, 3> at;
    double normal[3], height;
  };

  // From a point v of the simplex, or any direction -v without one, to the point of the difference
  // nearest to the origin, whose square is `square`. `kStuck`: rounding leaves no way on.
  End search(double* v, double& square) {
    for (;;) {
      const double back[3] = {-v[0], -v[1], -v[2]};
      const Corner next = corner(back);
      // No point of the difference is further along.
      if (simplex_.count && square - dot(v, next.w) <= 1e-12 * square) return kNearest;
      for (int n = 0; n < simplex_.count; ++n)
        if (!std::memcmp(simplex_.corners[n].w, next.w, sizeof next.w)) return kStuck;
      const Simplex before = simplex_;
      const double was[3] = {v[0], v[1], v[2]};
      simplex_.corners[simplex_.count++] = next;
      if (!reduce(v)) return kOverlap;
      const double now = dot(v, v);
      if (!(now > 1e-18)) return kOverlap;
      if (before.count && !(now < square)) {
        simplex_ = before;
        std::copy_n(was, 3, v);
        return kStuck;
      }
      square = now;
    }
  }

  Corner at(const double* first, const double* second) const {
    Corner corner;
    std::copy_n(first, 3, corner.points[0]);
    std::copy_n(second, 3, corner.points[1]);
    for (int i = 0; i < 3; ++i) corner.w[i] = first[i] - shift_[i] - dot(turn_[i], second);
    return corner;
  }

  Corner corner(const double* direction) const {
    double turned[3], points[2][3];
    for (int j = 0; j < 3; ++j)
      turned[j] = -(turn_[0][j] * direction[0] + turn_[1][j] * direction[1] + turn_[2][j] * direction[2]);
    one_.furthest(direction, points[0]);
    two_.furthest(turned, points[1]);
    return at(points[0], points[1]);
  }

  // Leaves the corners around the point nearest to the origin, which becomes v; false where the
  // origin is inside. That point is in a part of the simplex with its newest corner.
  bool reduce(double* v) {
    const int last = simplex_.count - 1;
    const Corner& newest = simplex_.corners[last];
    const double* p = newest.w;
    double edge[3][3], best = dot(p, p), shares[3] = {};
    int chosen = 0;
    for (int n = 0; n < last; ++n) subtract(simplex_.corners[n].w, p, edge[n]);
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
    simplex_.count = 0;
    for (int n = 0; n < last; ++n)
      if (chosen >> n & 1) {
        simplex_.corners[simplex_.count] = simplex_.corners[n];
        simplex_.share[simplex_.count++] = shares[n];
        rest -= shares[n];
      }
    if (simplex_.count < last) simplex_.corners[simplex_.count] = newest;
    simplex_.share[simplex_.count++] = rest;
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
  double turn_[3][3], shift_[3];
  Simplex simplex_;
};

}  // namespace nextscale
