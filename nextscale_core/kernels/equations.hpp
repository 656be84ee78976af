// The residuals of one frame and their normal equations; `normal_equations.py` derives them.
#pragma once

#include <algorithm>
#include <vector>

#include "model.hpp"

namespace nextscale {

enum Kind : int64_t { kPoint = 0, kTurn = 1, kHeight = 2 };

class Equations {
 public:
  int columns;  // 6 + joints that are solved for

  Equations(const Model& model, int asked, const int64_t* joints, int units, const int64_t* kind,
            const int64_t* first, const int64_t* second, const int64_t* rows, const int64_t* limb)
      : columns(6 + asked), model_(model), column_(model.joints, -1) {
    for (int a = 0; a < asked; ++a) column_[joints[a]] = 6 + a;
    for (int u = 0; u < units; ++u) {
      Unit unit{static_cast<Kind>(kind[u]), {}, {}, second[u], {}};
      std::copy(first + 3 * u, first + 3 * u + 3, unit.first);
      std::copy(rows + 3 * u, rows + 3 * u + 3, unit.rows);
      for (int b = 0; b < model.bodies; ++b) {
        const bool one = carries(unit.first[0], b), two = carries(unit.second, b);
        if (one || two) unit.moved.push_back({b, 0, one, two});
      }
      if (limb[u] >= static_cast<int64_t>(limbs_.size())) limbs_.resize(limb[u] + 1);
      limbs_[limb[u]].units.push_back(unit);
    }
    for (Limb& limb : limbs_) {
      std::vector<int> place(model.bodies, -1);
      for (const Unit& unit : limb.units)
        for (const Moved& moved : unit.moved) place[moved.body] = 0;
      for (int c = 0; c < 6; ++c) limb.where.push_back(c), limb.scale.push_back(1.0);
      for (int b = 0; b < model.bodies; ++b)
        if (place[b] == 0) {
          place[b] = static_cast<int>(limb.where.size());
          limb.where.push_back(column_[model.leader[b]]);
          limb.scale.push_back(model.multiplier[b]);
        }
      int height = 0;
      for (Unit& unit : limb.units) {
        for (Moved& moved : unit.moved) moved.place = place[moved.body];
        height += unit.kind == kHeight ? 1 : 3;
      }
      const int last = static_cast<int>(limb.where.size());
      limb.width = padded(last + 1);
      for (int i = 0; i < last; ++i)
        for (int j = 0; j <= i; ++j) {
          const auto [low, high] = std::minmax(limb.where[i], limb.where[j]);
          // Two bodies that one joint turns count twice.
          const double twice = low == high && i != j ? 2.0 : 1.0;
          if (low >= 0)
            limb.entries.push_back({i * limb.width + j, high * columns + low, twice * limb.scale[i] * limb.scale[j]});
        }
      jacobian_.resize(std::max<size_t>(jacobian_.size(), limb.width * height));
      product_.resize(std::max<size_t>(product_.size(), limb.width * limb.width));
    }
    frames_.resize(model.bodies + 1);
    points_.resize(3 * model.points);
  }

  const std::vector<Frame>& frames() const { return frames_; }
  int column(int body) const { return column_[model_.leader[body]]; }

  // Adds goals (M, 3) with weights (M,) and the floor to H (columns, columns), lower part, and g.
  void add(const double* base, const double* rotation, const double* q, const double* goal,
           const double* weight, double ground, double* h, double* g) {
    model_.tree().forward(base, rotation, q, frames_.data());
    for (int k = 0; k < model_.points; ++k)
      frames_[model_.body[k]].place(model_.local.data() + 3 * k, points_.data() + 3 * k);
    for (const Limb& limb : limbs_) {
      int height = 0;
      for (const Unit& unit : limb.units) {
        double* row = jacobian_.data() + height * limb.width;
        if (unit.kind == kHeight) {
          height += sunk(unit, ground, row, limb);
        } else {
          std::fill_n(row, 3 * limb.width, 0.0);
          if (unit.kind == kPoint) point(unit, goal, weight, row, limb);
          if (unit.kind == kTurn) turned(unit, goal, weight, row, limb);
          height += 3;
        }
      }
      gather(limb, height, h, g);
    }
  }

  // Adds (distance - wanted)^2 of two bodies (2,) with points (2, 3) on them, after `add`. The base
  // is left out: moving the whole robot does not separate its bodies.
  void separate(const int64_t* body, const double* at, const double* normal, double wanted,
                double weight, double* h, double* g) {
    double value = -wanted, point[2][3];
    for (int n = 0; n < 2; ++n) {
      frames_[body[n]].place(at + 3 * n, point[n]);
      value += (n ? 1.0 : -1.0) * dot(point[n], normal);
    }
    row_.assign(columns, 0.0);
    for (int b = 0; b < model_.bodies; ++b) {
      if (column(b) < 0) continue;
      for (int n = 0; n < 2; ++n)
        if (model_.moves(static_cast<int>(body[n]), b)) {
          double arm[3], slope[3];
          subtract(point[n], frames_[b + 1].origin, arm);
          cross(frames_[b + 1].axes[2], arm, slope);
          row_[column(b)] += (n ? 1.0 : -1.0) * model_.multiplier[b] * dot(slope, normal);
        }
    }
    add_row(row_.data(), weight, value, h, g);
  }

  void add_row(const double* row, double weight, double value, double* h, double* g) const {
    for (int i = 0; i < columns; ++i) {
      if (row[i] == 0.0) continue;
      const double part = weight * row[i];
      g[i] += part * value;
      for (int j = 0; j <= i; ++j) h[i * columns + j] += part * row[j];
    }
  }

 private:
  struct Moved {
    int body, place;
    bool first, second;
  };
  struct Unit {
    Kind kind;
    int64_t first[3], rows[3], second;
    std::vector<Moved> moved;
  };
  struct Limb {
    struct Entry {
      int from, to;  // places in the product and in H
      double scale;
    };
    std::vector<Unit> units;
    std::vector<int> where;
    std::vector<double> scale;
    std::vector<Entry> entries;
    int width;
  };

  bool carries(int64_t point, int body) const {
    return point >= 0 && model_.carried[point * model_.bodies + body];
  }
  const double* at(int64_t point) const { return points_.data() + 3 * point; }

  void arm(const Unit& unit, const Moved& moved, double* out) const {
    const double* origin = frames_[moved.body + 1].origin;
    subtract(moved.first ? at(unit.first[0]) : origin, moved.second ? at(unit.second) : origin, out);
  }

  void point(const Unit& unit, const double* goal, const double* weight, double* row,
             const Limb& limb) const {
    const int n = limb.width, last = static_cast<int>(limb.where.size());
    const double root = std::sqrt(weight[unit.rows[0]]);
    const double *p = at(unit.first[0]), *base = frames_[0].origin, *wanted = goal + 3 * unit.rows[0];
    double way[3];
    subtract(p, unit.second < 0 ? base : at(unit.second), way);
    for (int i = 0; i < 3; ++i) {
      const int after = (i + 1) % 3, before = (i + 2) % 3;
      row[i * n + last] = root * (way[i] + (unit.second < 0 ? base[i] : 0.0) - wanted[i]);
      row[after * n + 3 + i] = -root * way[before];
      row[before * n + 3 + i] = root * way[after];
      if (unit.second < 0) row[i * n + i] = root;
    }
    for (const Moved& moved : unit.moved) {
      double lever[3], slope[3];
      arm(unit, moved, lever);
      cross(frames_[moved.body + 1].axes[2], lever, slope);
      for (int i = 0; i < 3; ++i) row[i * n + moved.place] = root * slope[i];
    }
  }

  void turned(const Unit& unit, const double* goal, const double* weight, double* row,
              const Limb& limb) const {
    const int n = limb.width, last = static_cast<int>(limb.where.size());
    const double root = std::sqrt(weight[unit.rows[0]]), root2 = std::sqrt(2.0);
    double pull[3] = {}, length = 0.0;
    for (int k = 0; k < 3; ++k) {
      double lever[3], part[3];
      subtract(at(unit.first[k]), at(unit.second), lever);
      if (k == 0) length = std::sqrt(dot(lever, lever));
      cross(goal + 3 * unit.rows[k], lever, part);
      for (int i = 0; i < 3; ++i) pull[i] += part[i];
    }
    const double strength = root2 * length * root;
    for (int i = 0; i < 3; ++i) {
      row[i * n + last] = pull[i] * root / (root2 * length);
      row[i * n + 3 + i] = strength;
      for (const Moved& moved : unit.moved)
        row[i * n + moved.place] = strength * frames_[moved.body + 1].axes[2][i];
    }
  }

  int sunk(const Unit& unit, double ground, double* row, const Limb& limb) const {
    const double *p = at(unit.first[0]), *base = frames_[0].origin;
    if (!(p[2] < 0)) return 0;
    std::fill_n(row, limb.width, 0.0);
    row[2] = ground;
    row[3] = ground * (p[1] - base[1]);
    row[4] = -ground * (p[0] - base[0]);
    for (const Moved& moved : unit.moved) {
      double lever[3];
      arm(unit, moved, lever);
      const double* axis = frames_[moved.body + 1].axes[2];
      row[moved.place] = ground * (axis[0] * lever[1] - axis[1] * lever[0]);
    }
    row[limb.where.size()] = ground * p[2];
    return 1;
  }

  // The product of the limb's Jacobian with itself, into the equations; of the blocks above its
  // diagonal nothing is needed.
  void gather(const Limb& limb, int height, double* h, double* g) {
    const int n = limb.width, last = static_cast<int>(limb.where.size());
    for (int begin = 0; begin < n; begin += kPack)
      for (int block = 0; block <= begin; block += kLanes) {
        Pack sums[kPack][kParts] = {};
        for (int row = 0; row < height; ++row) {
          const double* line = jacobian_.data() + row * n;
          for (int i = 0; i < kPack; ++i)
            for (int p = 0; p < kParts; ++p) sums[i][p] += load(line + block + p * kPack) * line[begin + i];
        }
        for (int i = 0; i < kPack; ++i)
          for (int p = 0; p < kParts; ++p) store(product_.data() + (begin + i) * n + block + p * kPack, sums[i][p]);
      }
    for (const Limb::Entry& entry : limb.entries) h[entry.to] += entry.scale * product_[entry.from];
    for (int i = 0; i < last; ++i)
      if (limb.where[i] >= 0) g[limb.where[i]] += limb.scale[i] * product_[last * n + i];
  }

  const Model& model_;
  std::vector<int> column_;
  std::vector<Limb> limbs_;
  std::vector<Frame> frames_;
  std::vector<double> points_, jacobian_, product_, row_;
};

}  // namespace nextscale
