// Products of float matrices, with the second one packed in panels of columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace nextscale {

// Floats of a register, and rows of a tile, whose sums stay in registers: rows x 2 of them.
#if defined(__AVX512F__)
constexpr int kFloats = 16, kRows = 12;
#elif defined(__AVX2__)
constexpr int kFloats = 8, kRows = 6;
#elif defined(__aarch64__)
constexpr int kFloats = 4, kRows = 12;
#else
constexpr int kFloats = 4, kRows = 6;
#endif
constexpr int kPanel = 2 * kFloats;  // columns of a panel

typedef float Floats __attribute__((vector_size(4 * kFloats)));
typedef int32_t Ints __attribute__((vector_size(4 * kFloats)));

inline Floats floats(const float* at) {
  Floats out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

inline void put(float* at, Floats value) { std::memcpy(at, &value, sizeof value); }

inline Floats all(float value) { return value - Floats{}; }

inline float total(Floats a) {
  float sum = 0;
  for (int i = 0; i < kFloats; ++i) sum += a[i];
  return sum;
}

// e^x to 2 units in the last place; 0 below -87.
inline Floats exponential(Floats x) {
  const Floats least = all(-87.0f), most = all(88.0f);
  const Ints zero = x < least;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Floats magic = all(12582912.0f);  // rounds to a whole number
  const Floats n = (x * 1.44269504f + magic) - magic;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats power;
  std::memcpy(&power, &bits, sizeof power);
  return zero ? Floats{} : p * power;
}

// x times the normal distribution function of x, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
inline Floats gelu(Floats x) {
  const Floats z = (x < Floats{} ? -x : x) * 0.70710678f;
  const Floats t = 1.0f / (1.0f + 0.3275911f * z);
  Floats p = t * 1.061405429f - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Floats half = 0.5f * p * t * exponential(-z * z);  // of the side beyond |x|
  return x * (x < Floats{} ? half : 1.0f - half);
}

// One tile of c = start + a b: ROWS rows, one panel of columns.
template <int ROWS>
void tile(int64_t inner, const float* a, int64_t a_row, const Floats* panel, const Floats* start,
          float* c, int64_t c_row) {
  Floats left[ROWS], right[ROWS];
#pragma GCC unroll 12
  for (int r = 0; r < ROWS; ++r) left[r] = start[0], right[r] = start[1];
  for (int64_t k = 0; k < inner; ++k) {
    const Floats first = panel[2 * k], second = panel[2 * k + 1];
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
      const Floats value = all(a[r * a_row + k]);
      left[r] += value * first;
      right[r] += value * second;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < ROWS; ++r) {
    put(c + r * c_row, left[r]);
    put(c + r * c_row + kFloats, right[r]);
  }
}

template <int ROWS>
inline void tile_of(int rows, int64_t inner, const float* a, int64_t a_row, const Floats* panel,
                    const Floats* start, float* c, int64_t c_row) {
  if constexpr (ROWS > 1) {
    if (rows < ROWS) return tile_of<ROWS - 1>(rows, inner, a, a_row, panel, start, c, c_row);
  }
  tile<ROWS>(inner, a, a_row, panel, start, c, c_row);
}

// c (rows, panels x kPanel) = start + a (rows, inner) b; the panels of b are `stride` Floats apart.
inline void product(int64_t rows, int64_t inner, int64_t panels, const float* a, int64_t a_row,
                    const Floats* b, int64_t stride, const Floats* start, float* c,
                    int64_t c_row) {
  static const Floats zero[2] = {};
  const int64_t blocks = (rows + kRows - 1) / kRows;
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t begin = rows * block / blocks, end = rows * (block + 1) / blocks;
      tile_of<kRows>(static_cast<int>(end - begin), inner, a + begin * a_row, a_row,
                     b + p * stride, start ? start + 2 * p : zero, c + begin * c_row + p * kPanel,
                     c_row);
    }
}

// Weights (outputs, inputs) and bias of a linear layer; the number of outputs fills panels.
struct Linear {
  int64_t inputs = 0, outputs = 0;
  std::vector<Floats> panels, bias;

  Linear() = default;

  Linear(int64_t inputs, int64_t outputs, const float* weight, const float* start)
      : inputs(inputs), outputs(outputs), panels(inputs * outputs / kFloats),
        bias(outputs / kFloats) {
    for (int64_t n = 0; n < outputs; ++n) {
      const int64_t lane = n % kFloats, half = n % kPanel / kFloats;
      bias[n / kFloats][lane] = start[n];
      for (int64_t k = 0; k < inputs; ++k)
        panels[(n / kPanel * inputs + k) * 2 + half][lane] = weight[n * inputs + k];
    }
  }

  void operator()(int64_t rows, const float* x, float* out) const {
    product(rows, inputs, outputs / kPanel, x, inputs, panels.data(), 2 * inputs, bias.data(), out,
            outputs);
  }
};

}  // namespace nextscale
