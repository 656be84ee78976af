// Banded Cholesky on tiles of 8 x 8: tile (c, r) is r tiles below the diagonal in tile column c.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "vector.hpp"

namespace nextscale {

class BandSolver {
 public:
  // All entries zero; beyond the last unknown, the identity.
  void reset(int unknowns, int half_band) {
    columns_ = padded(unknowns) / kLanes;
    height_ = (half_band + 2 * kLanes - 1) / kLanes;
    tiles_.resize(static_cast<size_t>(columns_ + height_) * height_ * kLanes);
    std::memset(tiles_.data(), 0, tiles_.size() * sizeof(Lanes));
    right_.assign(columns_ + height_, Lanes{});
    for (int i = unknowns; i < columns_ * kLanes; ++i) at(i, i) = 1.0;
  }

  // Entry of row >= column.
  double& at(int row, int column) {
    const unsigned c = unsigned(column) / kLanes, r = unsigned(row) / kLanes - c;
    return reinterpret_cast<double*>(tile(c, r) + unsigned(column) % kLanes)[unsigned(row) % kLanes];
  }

  // Entries of a column in the rows `begin` to `end`, all below the diagonal, from every `step`-th
  // of an array.
  void put(int column, int begin, int end, const double* from, int step) {
    while (begin < end) {
      double* out = &at(begin, column);
      const int count = std::min(kLanes - begin % kLanes, end - begin);
      for (int i = 0; i < count; ++i, from += step) out[i] = *from;
      begin += count;
    }
  }

  double* right() { return reinterpret_cast<double*>(right_.data()); }

  // Replaces the right-hand side by the solution; false where the matrix is singular.
  bool solve() {
    inverse_.resize(columns_ * kLanes);
    for (int c = 0; c < columns_; ++c) {
      const int height = std::min(height_, columns_ - c);
      double *inverse = inverse_.data() + c * kLanes, *known = right() + c * kLanes;
      for (int r = 0; r < height; ++r) update(c, r);
      if (!factor(column(c, 0), inverse)) return false;
      const double* diagonal = entries(c, 0);
      for (int j = 0; j < kLanes; ++j) {
        known[j] *= inverse[j];
        for (int i = j + 1; i < kLanes; ++i) known[i] -= diagonal[j * kLanes + i] * known[j];
      }
      for (int r = 1; r < height; ++r) {
        Pack* below = column(c, r);
        eliminate(diagonal, inverse, below);
        Pack rest[kParts];
        double* later = known + r * kLanes;
        for (int p = 0; p < kParts; ++p) rest[p] = load(later + p * kPack);
        for (int j = 0; j < kLanes; ++j)
          for (int p = 0; p < kParts; ++p) rest[p] -= below[j * kParts + p] * known[j];
        for (int p = 0; p < kParts; ++p) store(later + p * kPack, rest[p]);
      }
    }
    for (int c = columns_ - 1; c >= 0; --c) {
      double* known = right() + c * kLanes;
      Pack sums[kLanes] = {};
      for (int r = 1; r < height_; ++r)
        for (int p = 0; p < kParts; ++p) {
          const Pack later = load(known + r * kLanes + p * kPack), *below = column(c, r) + p;
          for (int j = 0; j < kLanes; ++j) sums[j] += below[j * kParts] * later;
        }
      const double* diagonal = entries(c, 0);
      for (int j = kLanes - 1; j >= 0; --j) {
        double rest = known[j];
        for (int i = 0; i < kPack; ++i) rest -= sums[j][i];
        for (int i = j + 1; i < kLanes; ++i) rest -= diagonal[j * kLanes + i] * known[i];
        known[j] = rest * inverse_[c * kLanes + j];
      }
    }
    return true;
  }

 private:
  Lanes* tile(int c, int r) {
    return tiles_.data() + (static_cast<size_t>(c) * height_ + r) * kLanes;
  }
  Pack* column(int c, int r) { return reinterpret_cast<Pack*>(tile(c, r)); }
  double* entries(int c, int r) { return reinterpret_cast<double*>(tile(c, r)); }

  static bool factor(Pack* a, double* inverse) {
    double* entry = reinterpret_cast<double*>(a);
    for (int j = 0; j < kLanes; ++j) {
      const double square = entry[j * (kLanes + 1)];
      if (!(square > 0.0)) return false;
      inverse[j] = 1.0 / std::sqrt(square);
      for (int p = 0; p < kParts; ++p) a[j * kParts + p] *= inverse[j];
      for (int k = j + 1; k < kLanes; ++k)
        for (int p = 0; p < kParts; ++p) a[k * kParts + p] -= a[j * kParts + p] * entry[j * kLanes + k];
    }
    return true;
  }

  // a := a L^-T
  static void eliminate(const double* diagonal, const double* inverse, Pack* a) {
    for (int k = 0; k < kLanes; ++k) {
      for (int p = 0; p < kParts; ++p) a[k * kParts + p] *= inverse[k];
      for (int j = k + 1; j < kLanes; ++j)
        for (int p = 0; p < kParts; ++p) a[j * kParts + p] -= a[k * kParts + p] * diagonal[k * kLanes + j];
    }
  }

  // Takes the products of all tile columns before from a tile, which stays in registers meanwhile:
  // as many of its columns at once as there are registers for.
  void update(int c, int r) {
    constexpr int kColumns = kPack;
    Pack* out = column(c, r);
    for (int begin = 0; begin < kLanes; begin += kColumns) {
      Pack sums[kColumns][kParts];
      for (int j = 0; j < kColumns; ++j)
        for (int p = 0; p < kParts; ++p) sums[j][p] = out[(begin + j) * kParts + p];
      for (int before = std::max(0, c + r - height_ + 1); before < c; ++before) {
        const Pack* a = column(before, c - before + r);
        const double* b = entries(before, c - before) + begin;
        for (int k = 0; k < kLanes; ++k)
          for (int j = 0; j < kColumns; ++j)
            for (int p = 0; p < kParts; ++p) sums[j][p] -= a[k * kParts + p] * b[k * kLanes + j];
      }
      for (int j = 0; j < kColumns; ++j)
        for (int p = 0; p < kParts; ++p) out[(begin + j) * kParts + p] = sums[j][p];
    }
  }

  int columns_ = 0, height_ = 0;
  std::vector<Lanes> tiles_, right_;
  std::vector<double> inverse_;
};

}  // namespace nextscale
