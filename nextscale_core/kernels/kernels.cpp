// C interface of the kernels; `nextscale_core/kernels/__init__.py` loads it.
#include "broad_phase.hpp"
#include "dynamics.hpp"
#include "feet.hpp"
#include "limits.hpp"
#include "step.hpp"
#include "transformer.hpp"

using namespace nextscale;

namespace {
template <typename T>
std::vector<T> copied(const T* data, int64_t count) {
  return std::vector<T>(data, data + count);
}
}  // namespace

NS_EXPORT Model* ns_model(int bodies, int joints, int points, const int64_t* above,
                          const double* step, const int64_t* leader, const double* multiplier,
                          const double* offset, const int64_t* body, const double* local,
                          const uint8_t* ancestors, const uint8_t* carried,
                          const double* mass_local, const double* mass_share) {
  return new Model{bodies,
                   joints,
                   points,
                   copied(above, bodies),
                   copied(leader, bodies),
                   copied(body, points),
                   copied(step, 12 * bodies),
                   copied(multiplier, bodies),
                   copied(offset, bodies),
                   copied(local, 3 * points),
                   copied(mass_local, 3 * (bodies + 1)),
                   copied(mass_share, bodies + 1),
                   copied(ancestors, bodies * bodies),
                   copied(carried, points * bodies)};
}

NS_EXPORT void ns_free_model(Model* model) { delete model; }

NS_EXPORT Equations* ns_equations(const Model* model, int asked, const int64_t* joints, int units,
                                  const int64_t* kind, const int64_t* first, const int64_t* second,
                                  const int64_t* rows, const int64_t* limb) {
  return new Equations(*model, asked, joints, units, kind, first, second, rows, limb);
}

NS_EXPORT void ns_free_equations(Equations* equations) { delete equations; }

NS_EXPORT int ns_step(const Model* model, Equations* equations, const StepInput* input) {
  constexpr int64_t kFrames = 512;  // frames whose memory waits for the next step of this thread
  static thread_local Step step;
  const int status = step.run(*model, *equations, *input);
  if (input->rows_count > kFrames) step = Step();
  return status;
}

// Equations of a single frame: H (columns, columns), lower part, and g, with separations.
NS_EXPORT void ns_frame(Equations* equations, const double* base, const double* rotation,
                        const double* q, const double* goal, const double* weight, double ground,
                        int64_t terms, const int64_t* bodies, const double* at,
                        const double* normal, const double* distance, double separation, double* h,
                        double* g) {
  std::fill_n(h, equations->columns * equations->columns, 0.0);
  std::fill_n(g, equations->columns, 0.0);
  equations->add(base, rotation, q, goal, weight, ground, h, g);
  for (int64_t n = 0; n < terms; ++n)
    equations->separate(bodies + 2 * n, at + 6 * n, normal + 3 * n, distance[n], separation, h, g);
}

NS_EXPORT BroadPhase* ns_broad_phase(const Model* model, int hulls, const int64_t* bodies,
                                     const int64_t* counts, const double* vertices, int pairs,
                                     const int64_t* pair, const double* distance, int planes) {
  return new BroadPhase(*model, hulls, bodies, counts, vertices, pairs, pair, distance, planes);
}

NS_EXPORT void ns_free_broad_phase(BroadPhase* phase) { delete phase; }

// Number of suspects; `out` points to their samples and pairs until the next call.
NS_EXPORT int64_t ns_suspects(BroadPhase* phase, int64_t samples, const double* q,
                              int64_t known_count, const int64_t* known, int64_t looks,
                              const void** out) {
  const auto& found = phase->suspects(samples, q, known_count, known, looks);
  *out = found.data();
  return static_cast<int64_t>(found.size());
}

NS_EXPORT void ns_nearest(BroadPhase* phase, int64_t samples, const double* q, int64_t count,
                          const int64_t* where, Witness* out) {
  phase->nearest(samples, q, count, where, out);
}

NS_EXPORT void ns_extremes(int64_t samples, int64_t joints, const double* q, const double* v,
                           const double* t, double* low, double* high, double* speed) {
  extremes(samples, joints, q, v, t, low, high, speed);
}

NS_EXPORT void ns_limit_use(int64_t samples, int64_t joints, const double* q, const double* v,
                            const double* t, const double* most_speed, const double* most_push,
                            double* speed_use, double* push_use) {
  limit_use(samples, joints, q, v, t, most_speed, most_push, speed_use, push_use);
}

NS_EXPORT void ns_cubics(int64_t knots, int64_t tracks, const double* x, const double* c,
                         int64_t count, const double* at, double* value, double* slope,
                         double* bend) {
  cubics(knots, tracks, x, c, count, at, value, slope, bend);
}

NS_EXPORT void ns_room_to_change(int64_t cells, int64_t joints, const double* bend,
                                 const double* push, const double* square, double total,
                                 double* room) {
  room_to_change(cells, joints, bend, push, square, total, room);
}

NS_EXPORT void ns_gentle(int64_t cells, double* curve, const double* change) {
  gentle(cells, curve, change);
}

NS_EXPORT void ns_exp(int64_t count, const double* vectors, double* matrices) {
  const double upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (int64_t n = 0; n < count; ++n) turn(vectors + 3 * n, upright, matrices + 9 * n);
}

NS_EXPORT void ns_log(int64_t count, const double* matrices, double* vectors) {
  const double upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (int64_t n = 0; n < count; ++n) log_between(matrices + 9 * n, upright, vectors + 3 * n);
}

NS_EXPORT void ns_quaternions(int64_t count, const double (*matrices)[3][3], double* quaternions) {
  for (int64_t n = 0; n < count; ++n) quaternion(matrices[n], quaternions + 4 * n);
}

// Axes (bodies + 1, 3, 3, frames) and origins (bodies + 1, 3, frames).
NS_EXPORT void ns_forward(int64_t bodies, int64_t joints, int64_t frames, const int64_t* above,
                          const double* step, const int64_t* leader, const double* multiplier,
                          const double* offset, const double* base, const double* rotation,
                          const double* q, double* axes, double* origin) {
  const Tree tree{bodies, above, step, leader, multiplier, offset};
  constexpr int64_t kBlock = kLanes;  // frames whose lines of memory are filled together
  std::vector<Frame> found(kBlock * (bodies + 1));
  for (int64_t begin = 0; begin < frames; begin += kBlock) {
    const int64_t count = std::min(kBlock, frames - begin);
    for (int64_t n = 0; n < count; ++n) {
      const int64_t t = begin + n;
      tree.forward(base + 3 * t, rotation + 9 * t, q + joints * t, found.data() + n * (bodies + 1));
    }
    for (int64_t b = 0; b <= bodies; ++b)
      for (int i = 0; i < 3; ++i)
        for (int64_t n = 0; n < count; ++n) {
          const Frame& frame = found[n * (bodies + 1) + b];
          origin[(b * 3 + i) * frames + begin + n] = frame.origin[i];
          for (int axis = 0; axis < 3; ++axis)
            axes[((b * 3 + axis) * 3 + i) * frames + begin + n] = frame.axes[axis][i];
        }
  }
}

// Places (frames, count, 3) of points of bodies.
NS_EXPORT void ns_points(int64_t bodies, int64_t joints, int64_t frames, const int64_t* above,
                         const double* step, const int64_t* leader, const double* multiplier,
                         const double* offset, const double* base, const double* rotation,
                         const double* q, int64_t count, const int64_t* body, const double* local,
                         double* out) {
  const Tree tree{bodies, above, step, leader, multiplier, offset};
  std::vector<Frame> found(bodies + 1);
  for (int64_t t = 0; t < frames; ++t) {
    tree.forward(base + 3 * t, rotation + 9 * t, q + joints * t, found.data());
    for (int64_t n = 0; n < count; ++n)
      found[body[n]].place(local + 3 * n, out + 3 * (t * count + n));
  }
}

NS_EXPORT void ns_dynamics(const Model* model, const DynamicsInput* input) {
  Dynamics(*model, *input).run();
}

NS_EXPORT void ns_human(int64_t frames, int64_t joints, const double* at, const int64_t* named,
                        const int64_t* limbs, const uint8_t* flat, double lean, double standard,
                        const double* rest, double reach, double* pelvis, double* torso, double* feet, double* bones) {
  human({frames, joints, at, named, limbs, flat, lean, standard, rest, reach, pelvis, torso, feet, bones});
}

// Both feet; toe and heel (2, 3).
NS_EXPORT void ns_feet(int64_t frames, int64_t relocate, int64_t min_stance, double slip,
                       double slip_turn, double half_width, const double* toe, const double* heel,
                       const double* ankle, const double* rotation, const uint8_t* heel_down,
                       const uint8_t* ball_down, double* place, double* turn, double* stance) {
  for (int n = 0; n < 2; ++n) {
    const FootInput input{frames, relocate, min_stance, slip, slip_turn, half_width,
                          toe + 3 * n, heel + 3 * n, ankle + 3 * n, rotation + 9 * n,
                          heel_down + n, ball_down + n, place + 3 * n, turn + 9 * n, stance + n};
    Foot(input).run();
  }
}

// Weights of each block and of the last norm in the order in which `Blocks` takes them.
NS_EXPORT Blocks* ns_blocks(int64_t width, int64_t heads, int64_t depth,
                            const float* const* weights) {
  return new Blocks(width, heads, depth, weights);
}

NS_EXPORT void ns_free_blocks(Blocks* blocks) { delete blocks; }

NS_EXPORT Passes* ns_passes(const Blocks* blocks, int64_t batch, int64_t capacity, int64_t words,
                            const uint8_t* word_mask, const float* modulation, const float* text) {
  return new Passes(*blocks, batch, capacity, words, word_mask, modulation, text);
}

NS_EXPORT void ns_free_passes(Passes* passes) { delete passes; }

NS_EXPORT void ns_pass(Passes* passes, int64_t samples, int64_t count, int64_t done, float* x,
                       const float* cosine, const float* sine, const uint8_t* seen,
                       int64_t threads) {
  passes->run(samples, count, done, x, cosine, sine, seen, threads);
}

NS_EXPORT void ns_draw_codes(int64_t rows, int64_t codes, const float* logits, float temperature,
                             float top_p, const float* race, int64_t* drawn, float* chosen) {
  draw_codes(rows, codes, logits, temperature, top_p, race, drawn, chosen);
}

// Version of this interface; `_INTERFACE` in `__init__.py` must be the same.
NS_EXPORT int ns_interface() { return 5; }

// 4 or 3 where this processor runs code for that level of x86-64, else 0.
NS_EXPORT int ns_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? 4 : v3 ? 3 : 0;
#else
  return 0;
#endif
}
