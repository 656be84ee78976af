// Forces at the sole corners that give a wrench; `dynamics.py` explains the method.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "vector.hpp"

namespace nextscale {

constexpr int kEdges = 4;

struct ContactForces {
  int corners, steps, halvings;
  double friction, spread, enough;
  std::vector<Pack> unit, load;  // wrenches of unit forces (6 rows of edges), and their amounts

  // Forces (corners, 3) for a wrench (6,) from corners (corners, 3); returns what is missing.
  double run(const double* wrench, const double* arm, const uint8_t* contact, double* forces) {
    const double edge[kEdges][3] = {
        {friction, 0, 1}, {-friction, 0, 1}, {0, friction, 1}, {0, -friction, 1}};
    const int count = (corners * kEdges + kPack - 1) / kPack;
    unit.assign(6 * count, Pack{});
    load.assign(count, Pack{});
    for (int e = 0; e < corners * kEdges; ++e) {
      if (!contact[e / kEdges]) continue;
      double one[6];
      std::copy_n(edge[e % kEdges], 3, one);
      cross(arm + 3 * (e / kEdges), one, one + 3);
      for (int i = 0; i < 6; ++i) unit[i * count + e / kPack][e % kPack] = one[i];
    }
    double missing[6], there[6], gradient[6], step[6], h[6][6];
    std::copy_n(wrench, 6, missing);
    double cost = value(missing, wrench);
    for (int round = 0; round < steps; ++round) {
      for (int i = 0; i < 6; ++i) {
        gradient[i] = missing[i] - wrench[i];
        for (int j = 0; j < 6; ++j) h[i][j] = i == j;
      }
      for (int i = 0; i < 6; ++i) {
        const Pack* u = unit.data() + i * count;
        Pack push{}, products[6] = {};
        for (int e = 0; e < count; ++e) {
          push += load[e] * u[e];
          const Pack bearing = load[e] > 0.0 ? u[e] : Pack{};
          for (int j = 0; j <= i; ++j) products[j] += bearing * unit[j * count + e];
        }
        gradient[i] += sum(push) / spread;
        for (int j = 0; j <= i; ++j) h[i][j] += sum(products[j]) / spread;
      }
      solve(h, gradient, step);
      double share = 1.0, now = cost, largest = 0.0;
      for (int halving = 0; halving < halvings; ++halving) {
        for (int i = 0; i < 6; ++i) there[i] = missing[i] - share * step[i];
        now = value(there, wrench);
        if (!(now > cost)) break;
        share /= 2;
      }
      for (int i = 0; i < 6; ++i) {
        missing[i] -= share * step[i];
        largest = std::max(largest, std::abs(step[i]));
      }
      cost = now;
      if (largest < enough) break;
    }
    std::fill_n(forces, 3 * corners, 0.0);
    double rest = 0.0;
    for (int i = 0; i < 6; ++i) rest += missing[i] * missing[i];
    for (int e = 0; e < corners * kEdges; ++e)
      for (int i = 0; i < 3; ++i)
        forces[3 * (e / kEdges) + i] += load[e / kPack][e % kPack] / spread * edge[e % kEdges][i];
    return std::sqrt(rest);
  }

 private:
  // The function to minimise; sets the loads.
  double value(const double* missing, const double* wrench) {
    const int count = static_cast<int>(load.size());
    double cost = 0.0;
    Pack squares{};
    for (int i = 0; i < 6; ++i) cost += missing[i] * (missing[i] / 2 - wrench[i]);
    for (int e = 0; e < count; ++e) {
      Pack along{};
      for (int i = 0; i < 6; ++i) along += unit[i * count + e] * missing[i];
      load[e] = along > 0.0 ? along : Pack{};
      squares += load[e] * load[e];
    }
    return cost + sum(squares) / (2 * spread);
  }

  static void solve(double h[6][6], const double* right, double* out) {
    std::copy_n(right, 6, out);
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j <= i; ++j) {
        for (int k = 0; k < j; ++k) h[i][j] -= h[i][k] * h[j][k];
        h[i][j] = i == j ? std::sqrt(h[i][i]) : h[i][j] / h[j][j];
      }
      for (int k = 0; k < i; ++k) out[i] -= h[i][k] * out[k];
      out[i] /= h[i][i];
    }
    for (int i = 5; i >= 0; --i) {
      for (int k = i + 1; k < 6; ++k) out[i] -= h[k][i] * out[k];
      out[i] /= h[i][i];
    }
  }
};

}  // namespace nextscale
