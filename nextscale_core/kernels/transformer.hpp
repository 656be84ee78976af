// Passes of the next-scale transformer over the tokens of one scale, for inference.
#pragma once

#include <limits>
#include <memory>
#include <thread>

#include "matrix.hpp"

namespace nextscale {

struct Block {
  Linear qkv, out, query, cross, up, down;
  std::vector<Floats> q_norm, k_norm, norm_weight, norm_bias;
};

inline std::vector<Floats> vectors(int64_t count, const float* data) {
  std::vector<Floats> out(count / kFloats);
  std::memcpy(out.data(), data, count * sizeof(float));
  return out;
}

// Weights of all blocks and of the last norm; every width is a multiple of 32, of a head of 16.
struct Blocks {
  int64_t width, heads, dim;
  std::vector<Block> blocks;
  std::vector<Floats> norm_weight, norm_bias;

  Blocks(int64_t width, int64_t heads, int64_t depth, const float* const* at)
      : width(width), heads(heads), dim(width / heads), blocks(depth) {
    const auto linear = [&](int64_t inputs, int64_t outputs) {
      const float* const* own = at;
      at += 2;
      return Linear(inputs, outputs, own[0], own[1]);
    };
    for (Block& block : blocks) {
      block.qkv = linear(width, 3 * width);
      block.q_norm = vectors(dim, *at++);
      block.k_norm = vectors(dim, *at++);
      block.out = linear(width, width);
      block.norm_weight = vectors(width, *at++);
      block.norm_bias = vectors(width, *at++);
      block.query = linear(width, width);
      block.cross = linear(width, width);
      block.up = linear(width, 4 * width);
      block.down = linear(4 * width, width);
    }
    norm_weight = vectors(width, at[0]);
    norm_bias = vectors(width, at[1]);
  }
};

// out = norm(x) factor + shift, one row.
inline void layer_norm(int64_t width, const float* x, const float* factor, const float* shift,
                       float* out) {
  Floats sum{}, square{};
  for (int64_t i = 0; i < width; i += kFloats) sum += floats(x + i);
  const float mean = total(sum) / width;
  for (int64_t i = 0; i < width; i += kFloats) {
    const Floats off = floats(x + i) - mean;
    square += off * off;
  }
  const float scale = 1 / std::sqrt(total(square) / width + 1e-5f);
  for (int64_t i = 0; i < width; i += kFloats)
    put(out + i, (floats(x + i) - mean) * scale * floats(factor + i) + floats(shift + i));
}

// Keys and values of the heads of each sample, in panels, with room for `capacity` tokens.
struct Memory {
  int64_t dim, capacity, key_size, value_size;
  std::unique_ptr<Floats[]> keys, values;  // not initialized: of padding nothing is kept

  Memory(int64_t samples, int64_t heads, int64_t dim, int64_t capacity)
      : dim(dim),
        capacity((capacity + kPanel - 1) / kPanel * kPanel),
        key_size(this->capacity * dim / kFloats),
        value_size(this->capacity * ((dim + kPanel - 1) / kPanel) * 2),
        keys(new Floats[samples * heads * key_size]),
        values(new Floats[samples * heads * value_size]) {}

  void key(int64_t head, int64_t token, const float* data) {
    float* to = reinterpret_cast<float*>(keys.get() + head * key_size) +
                token / kPanel * dim * kPanel + token % kPanel;
    for (int64_t i = 0; i < dim; ++i) to[i * kPanel] = data[i];
  }

  void value(int64_t head, int64_t token, const float* data) {
    float* to = reinterpret_cast<float*>(values.get() + head * value_size) + token * kPanel;
    for (int64_t i = 0; i < dim; i += kFloats)
      put(to + i / kPanel * capacity * kPanel + i % kPanel, floats(data + i));
  }

  // out (count, dim) = softmax(scaled q k^T) v over the first tokens, where `seen`.
  void attend(int64_t head, int64_t count, int64_t tokens, const float* q, int64_t q_row,
              const uint8_t* seen, std::vector<Floats>& scratch, float* out,
              int64_t out_row) const {
    const int64_t row = (tokens + kPanel - 1) / kPanel * kPanel, panels = (dim + kPanel - 1) / kPanel;
    scratch.resize(count * (row + panels * kPanel) / kFloats);
    float* scores = reinterpret_cast<float*>(scratch.data());
    float* mixed = scores + count * row;
    product(count, dim, row / kPanel, q, q_row, keys.get() + head * key_size, 2 * dim, nullptr,
            scores, row);
    const float scale = 1 / std::sqrt(static_cast<float>(dim));
    for (int64_t n = 0; n < count; ++n) {
      float* own = scores + n * row;
      if (seen)
        for (int64_t t = 0; t < tokens; ++t)
          if (!seen[t]) own[t] = -std::numeric_limits<float>::infinity();
      for (int64_t t = tokens; t < row; ++t) own[t] = -std::numeric_limits<float>::infinity();
      Floats most = floats(own), sum{};
      for (int64_t t = kFloats; t < row; t += kFloats) {
        const Floats here = floats(own + t);
        most = here > most ? here : most;
      }
      float top = most[0];
      for (int i = 1; i < kFloats; ++i) top = std::max(top, most[i]);
      for (int64_t t = 0; t < row; t += kFloats) {
        const Floats power = exponential((floats(own + t) - top) * scale);
        sum += power;
        put(own + t, power);
      }
      const float share = 1 / total(sum);
      for (int64_t t = 0; t < row; t += kFloats) put(own + t, floats(own + t) * share);
    }
    product(count, tokens, panels, scores, row, values.get() + head * value_size, 2 * capacity,
            nullptr, mixed, panels * kPanel);
    for (int64_t n = 0; n < count; ++n)
      std::memcpy(out + n * out_row, mixed + n * panels * kPanel, dim * sizeof(float));
  }
};

// One batch: its text, its modulation, and the keys and values of its finished scales.
struct Passes {
  const Blocks& net;
  int64_t batch, words;
  std::vector<uint8_t> word_mask;  // (batch, words)
  std::vector<float> modulation;   // (depth, 6, batch, width)
  std::vector<Memory> past, text;  // of each block

  // Keys and values of the text: (depth, 2, batch, heads, words, dim).
  Passes(const Blocks& net, int64_t batch, int64_t capacity, int64_t words,
         const uint8_t* word_mask, const float* modulation, const float* text_of)
      : net(net),
        batch(batch),
        words(words),
        word_mask(word_mask, word_mask + batch * words),
        modulation(modulation, modulation + net.blocks.size() * 6 * batch * net.width) {
    const int64_t heads = batch * net.heads;
    for (size_t d = 0; d < net.blocks.size(); ++d) {
      past.emplace_back(batch, net.heads, net.dim, capacity);
      text.emplace_back(batch, net.heads, net.dim, words);
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t s = 0; s < words; ++s) {
          const float* key = text_of + (((2 * d) * heads + h) * words + s) * net.dim;
          text[d].key(h, s, key);
          text[d].value(h, s, key + heads * words * net.dim);
        }
    }
  }

  // x (samples, count, width) becomes its features after all blocks, `done` tokens behind it.
  // Cosines and signed sines are (samples, count, dim), `seen` is (samples, done + count) or null.
  void run(int64_t samples, int64_t count, int64_t done, float* x, const float* cosine,
           const float* sine, const uint8_t* seen, int64_t threads) {
    constexpr int64_t kMost = 128;  // rows whose intermediate values stay in the cache
    const int64_t fitting = std::max<int64_t>(1, kMost / count);
    const int64_t share = std::min(fitting, (samples + threads - 1) / threads);
    const int64_t parts = (samples + share - 1) / share;
    threads = std::min(threads, parts);
    const auto work = [&](int64_t worker) {
      for (int64_t part = worker; part < parts; part += threads) {
        const int64_t begin = samples * part / parts, end = samples * (part + 1) / parts;
        some(begin, end, count, done, x, cosine, sine, seen);
      }
    };
    std::vector<std::thread> others;
    for (int64_t worker = 1; worker < threads; ++worker) others.emplace_back(work, worker);
    work(0);
    for (std::thread& other : others) other.join();
  }

 private:
  // Samples begin to end, apart from all others.
  void some(int64_t begin, int64_t end, int64_t count, int64_t done, float* x,
            const float* cosine, const float* sine, const uint8_t* seen) {
    const int64_t width = net.width, heads = net.heads, dim = net.dim;
    const int64_t rows = (end - begin) * count;
    x += begin * count * width;
    std::vector<Floats> memory(rows * 7 * width / kFloats), scratch;
    float* normed = reinterpret_cast<float*>(memory.data());
    float* mixed = normed + rows * width;
    float* wide = mixed + 2 * rows * width;
    float* query = mixed + rows * width;
    for (size_t d = 0; d < net.blocks.size(); ++d) {
      const Block& block = net.blocks[d];
      const auto part = [&](int64_t which, int64_t row) {
        return modulation.data() + ((d * 6 + which) * batch + begin + row / count) * width;
      };
      const auto add = [&](int64_t gate, const float* from) {
        for (int64_t n = 0; n < rows; ++n) {
          const float* factor = gate < 0 ? nullptr : part(gate, n);
          for (int64_t i = n * width; i < (n + 1) * width; i += kFloats) {
            const Floats change = floats(from + i);
            put(x + i, floats(x + i) + (factor ? change * floats(factor + i - n * width) : change));
          }
        }
      };
      for (int64_t n = 0; n < rows; ++n)
        layer_norm(width, x + n * width, part(1, n), part(0, n), normed + n * width);
      block.qkv(rows, normed, wide);
      for (int64_t b = begin; b < end; ++b)
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t head = b * heads + h;
          for (int64_t n = 0; n < count; ++n) {
            const int64_t row = (b - begin) * count + n, place = (b * count + n) * dim;
            float* own = wide + row * 3 * width + h * dim;
            turn(own, block.q_norm, cosine + place, sine + place, normed + row * width + h * dim);
            turn(own + width, block.k_norm, cosine + place, sine + place, query);
            past[d].key(head, done + n, query);
            past[d].value(head, done + n, own + 2 * width);
          }
          const int64_t first = (b - begin) * count * width + h * dim;
          past[d].attend(head, count, done + count, normed + first, width,
                         seen ? seen + b * (done + count) : nullptr, scratch, mixed + first, width);
        }
      block.out(rows, mixed, normed);
      add(2, normed);
      for (int64_t n = 0; n < rows; ++n)
        layer_norm(width, x + n * width, lines(block.norm_weight), lines(block.norm_bias),
                   normed + n * width);
      block.query(rows, normed, query);
      for (int64_t b = begin; b < end; ++b)
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t first = (b - begin) * count * width + h * dim;
          text[d].attend(b * heads + h, count, words, query + first, width,
                         word_mask.data() + b * words, scratch, mixed + first, width);
        }
      block.cross(rows, mixed, normed);
      add(-1, normed);
      for (int64_t n = 0; n < rows; ++n)
        layer_norm(width, x + n * width, part(4, n), part(3, n), normed + n * width);
      block.up(rows, normed, wide);
      for (int64_t i = 0; i < rows * 4 * width; i += kFloats) put(wide + i, gelu(floats(wide + i)));
      block.down(rows, wide, normed);
      add(5, normed);
    }
    for (int64_t n = 0; n < rows; ++n)
      layer_norm(width, x + n * width, lines(net.norm_weight), lines(net.norm_bias), x + n * width);
  }

  static const float* lines(const std::vector<Floats>& data) {
    return reinterpret_cast<const float*>(data.data());
  }

  // A query or key at its rotary position, its root mean square brought to 1.
  void turn(const float* x, const std::vector<Floats>& weight, const float* cosine,
            const float* sine, float* out) const {
    const int64_t dim = net.dim, half = dim / 2;
    float own[1024];
    Floats square{};
    for (int64_t i = 0; i < dim; i += kFloats) square += floats(x + i) * floats(x + i);
    const float scale = 1 / std::sqrt(total(square) / dim + 1e-6f);
    for (int64_t i = 0; i < dim; i += kFloats)
      put(own + i, floats(x + i) * scale * weight[i / kFloats]);
    for (int64_t i = 0; i < half; ++i) {
      out[i] = own[i] * cosine[i] + own[i + half] * sine[i];
      out[i + half] = own[i + half] * cosine[i + half] + own[i] * sine[i + half];
    }
  }
};

// For each row of logits the code with the largest probability over `race` among the likeliest codes
// that together reach `top_p`, and its probability.
inline void draw_codes(int64_t rows, int64_t codes, const float* logits, float temperature,
                       float top_p, const float* race, int64_t* drawn, float* chosen) {
  const int64_t lanes = (codes + kFloats - 1) / kFloats;
  const Floats none = all(-1.0f);
  std::vector<Floats> chance(lanes), score(lanes);
  float *p = reinterpret_cast<float*>(chance.data()), *q = reinterpret_cast<float*>(score.data());
  for (int64_t n = 0; n < rows; ++n, logits += codes, race += codes) {
    float top = logits[0];
    for (int64_t i = 1; i < codes; ++i) top = std::max(top, logits[i]);
    for (int64_t i = 0; i < lanes * kFloats; ++i) p[i] = i < codes ? logits[i] - top : -1e9f;
    Floats sum{};
    for (Floats& own : chance) sum += own = exponential(own / temperature);
    const float share = 1 / total(sum);
    for (Floats& own : chance) own *= share;
    for (int64_t i = 0; i < lanes * kFloats; ++i) q[i] = i < codes ? p[i] / race[i] : -1.0f;
    float least = -1.0f;
    for (float before = top_p; before >= top_p;) {
      Floats most = none;
      for (int64_t i = 0; i < lanes; ++i) {
        const Floats own = chance[i] > least ? score[i] : none;
        most = own > most ? own : most;
      }
      float best = most[0];
      for (int i = 1; i < kFloats; ++i) best = std::max(best, most[i]);
      int64_t code = 0;
      while (code < codes && !(p[code] > least && q[code] == best)) ++code;
      if (code == codes) break;  // rounding, or not numbers
      drawn[n] = code;
      // All codes that are no likelier than one outside of the nucleus are outside as well.
      chosen[n] = least = p[code];
      Floats above{};
      for (const Floats& own : chance) above += own > least ? own : Floats{};
      before = total(above);
    }
  }
}

}  // namespace nextscale
