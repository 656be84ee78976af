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
    tiles_.assign(static_cast<size_t>(columns_ + height_) * height_ * kLanes, Lanes{});
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
    for (int c = 0; c < columns_; ++c) {
      const int height = std::min(height_, columns_ - c);
      for (int r = 0; r < height; ++r) update(c, r);
      if (!factor(tile(c, 0))) return false;
      forward(tile(c, 0), right_[c]);
      for (int r = 1; r < height; ++r) {
        eliminate(tile(c, 0), tile(c, r));
        for (int j = 0; j < kLanes; ++j) right_[c + r] -= tile(c, r)[j] * right_[c][j];
      }
    }
    for (int c = columns_ - 1; c >= 0; --c) {
      Lanes sums[kLanes] = {};
      for (int r = 1; r < height_; ++r)
        for (int j = 0; j < kLanes; ++j) sums[j] += tile(c, r)[j] * right_[c + r];
      const Lanes* diagonal = tile(c, 0);
      for (int j = kLanes - 1; j >= 0; --j) {
        // Entries above the diagonal are zero, as is the part of `later` that is not known yet.
        Lanes later = right_[c];
        for (int i = 0; i <= j; ++i) later[i] = 0.0;
        const double rest = right_[c][j] - sum(sums[j]) - sum(diagonal[j] * later);
        right_[c][j] = rest / diagonal[j][j];
      }
    }
    return true;
  }

 private:
  Lanes* tile(int c, int r) {
    return tiles_.data() + (static_cast<size_t>(c) * height_ + r) * kLanes;
  }

  static bool factor(Lanes* a) {
    for (int j = 0; j < kLanes; ++j) {
      if (!(a[j][j] > 0.0)) return false;
      a[j] /= Lanes{} + std::sqrt(a[j][j]);
      for (int i = 0; i < j; ++i) a[j][i] = 0.0;
      for (int k = j + 1; k < kLanes; ++k) a[k] -= a[j] * a[j][k];
    }
    return true;
  }

  static void forward(const Lanes* diagonal, Lanes& right) {
    for (int j = 0; j < kLanes; ++j) {
      const double value = right[j] / diagonal[j][j];
      right -= diagonal[j] * value;
      right[j] = value;
    }
  }

  // a := a L^-T
  static void eliminate(const Lanes* diagonal, Lanes* a) {
    for (int j = 0; j < kLanes; ++j) {
      Lanes column = a[j];
      for (int k = 0; k < j; ++k) column -= a[k] * diagonal[k][j];
      a[j] = column * (1.0 / diagonal[j][j]);
    }
  }

  // Takes the products of all tile columns before from a tile, which stays in registers meanwhile:
  // as many of its columns at once as there are registers for.
  void update(int c, int r) {
#ifdef __AVX512F__
    constexpr int kColumns = 8;
#else
    constexpr int kColumns = 4;
#endif
    Lanes* out = tile(c, r);
    for (int begin = 0; begin < kLanes; begin += kColumns) {
      Lanes sums[kColumns];
      for (int j = 0; j < kColumns; ++j) sums[j] = out[begin + j];
      for (int before = std::max(0, c + r - height_ + 1); before < c; ++before) {
        const Lanes *a = tile(before, c - before + r), *b = tile(before, c - before);
        for (int k = 0; k < kLanes; ++k) {
          const double* row = reinterpret_cast<const double*>(b + k) + begin;
          for (int j = 0; j < kColumns; ++j) sums[j] -= a[k] * row[j];
        }
      }
      for (int j = 0; j < kColumns; ++j) out[begin + j] = sums[j];
    }
  }

  int columns_ = 0, height_ = 0;
  std::vector<Lanes> tiles_, right_;
};

}  // namespace nextscale
