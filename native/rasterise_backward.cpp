// The gradient of the compositing, back to front.
//
// Per pixel and Gaussian, with w = alpha T its weight, f its features, v the upstream gradient of the pixel:
//   dL/df     = w v
//   dL/dalpha = T (v . f) + Z / (1 - alpha),   Z = v_alpha T_final - sum over the Gaussians behind of w (v . f)
//   dL/dsigma = -alpha dL/dalpha, unless alpha was clamped
// A tile is walked Gaussian by Gaussian so that each needs one sum over lanes for all pixels of the tile; the state of
// its sixteen blocks (T, Z, v) stays in the first-level cache. The sums go to one row per slot and are added up per
// Gaussian afterwards: no atomics, the same bits for any number of threads.
#include <cstring>

#include "binning.h"
#include "dispatch.h"
#include "guard.h"
#include "interface.h"
#include "parallel.h"

namespace ua3d {
namespace {

// What a pass sums per entry, before the features' gradients: moments of m = -dL/dsigma, with d = pixel - mean.
enum Moment { M, M_X, M_Y, M_XX, M_XY, M_YY, MOMENTS };
// After the features, when absolute screen gradients are asked for: sums of |dL/dmean_x|, |dL/dmean_y|.
constexpr int ABSOLUTE = 2;

constexpr int padded(int count) { return (count + LANES - 1) / LANES * LANES; }

// The pixels of a tile as the backward pass keeps them, block by block: T, Z, stop, then v for each channel.
struct TileState {
    float *memory;
    int channels;
    int reach[BLOCKS];  // the largest stop of each block's pixels; 0 when it is outside of the image

    static size_t size(int channels) { return (size_t)BLOCKS * LANES * (3 + channels); }
    float *block(int b) const { return memory + (size_t)b * LANES * (3 + channels); }
    float *transmittance(int b) const { return block(b); }
    float *behind(int b) const { return block(b) + LANES; }  // Z
    float *stop(int b) const { return block(b) + 2 * LANES; }
    float *upstream(int b) const { return block(b) + 3 * LANES; }
};

struct Upstream {
    const float *renders, *alphas;
};

void load_block(const Work &work, const Upstream &v, int tile, int b, TileState &state) {
    const int left = tile % work.tiles_x * TILE + b % 4 * BLOCK, top = tile / work.tiles_x * TILE + b / 4 * BLOCK;
    const int64_t first = (int64_t)tile * TILE_PIXELS + b * LANES;
    state.reach[b] = 0;
    if (left >= work.width || top >= work.height) return;
    memset(state.block(b), 0, sizeof(float) * LANES * (3 + state.channels));
    for (int i = 0; i < LANES; i++) {
        int x = left + i % BLOCK, y = top + i / BLOCK;
        if (x >= work.width || y >= work.height) continue;  // stop stays 0: no Gaussian is seen
        int64_t pixel = (int64_t)y * work.width + x;
        float T = work.transmittance[first + i];
        state.transmittance(b)[i] = T;
        state.behind(b)[i] = T * v.alphas[pixel];
        // A float holds places up to 2^24 exactly; longer lists would not fit in memory tile by tile.
        state.stop(b)[i] = (float)work.stop[first + i];
        state.reach[b] = std::max(state.reach[b], work.stop[first + i]);
        for (int c = 0; c < state.channels; c++)
            state.upstream(b)[c * LANES + i] = v.renders[pixel * state.channels + c];
    }
}

// Adds one block's part of an entry's sums; C channels at compile time, or 0: as many as the work has.
template <int C, bool ABS>
UA3D_INLINE void add_block(const TileState &state, int b, const Row &g, float left, float top, float place,
                           Lanes *sums) {
    const float *features = reinterpret_cast<const float *>(&g) + ROW;
    const int channels = C ? C : state.channels;
    Lanes x = load(LANE_X) + left, y = load(LANE_Y) + top;
    Lanes dx = x - g.mean_x, dy = y - g.mean_y, e = exponent(g, x, y);
    Lanes unclamped = exp2(e), alpha = keep(at_least(e, lanes(LOG2_THRESHOLD)), min(unclamped, lanes(ALPHA_MAX)));
    alpha = keep(greater(load(state.stop(b)), lanes(place)), alpha);

    Lanes inverse = reciprocal(1.0f - alpha);
    Lanes T = load(state.transmittance(b)) * inverse, Z = load(state.behind(b));
    Lanes weight = alpha * T, along = lanes(0.0f);
    const float *upstream = state.upstream(b);
#pragma GCC unroll 8
    for (int c = 0; c < channels; c++) {
        Lanes v = load(upstream + c * LANES);
        along += v * features[c];
        sums[MOMENTS + c] += weight * v;
    }
    store(state.transmittance(b), T);
    store(state.behind(b), Z - weight * along);

    Lanes m = alpha * (along * T + inverse * Z);
    m = keep(at_least(lanes(ALPHA_MAX), unclamped), m);
    Lanes mx = m * dx, my = m * dy;
    sums[M] += m, sums[M_X] += mx, sums[M_Y] += my;
    sums[M_XX] += mx * dx, sums[M_XY] += mx * dy, sums[M_YY] += my * dy;
    if (ABS) {
        sums[MOMENTS + channels] += absolute(2.0f * g.x_x * mx + g.x_y * my);
        sums[MOMENTS + channels + 1] += absolute(g.x_y * mx + 2.0f * g.y_y * my);
    }
}

template <int C, bool ABS> UA3D_INLINE void store_sums(const Lanes *sums, int channels, float *out) {
    constexpr int EXTRA = MOMENTS + (ABS ? ABSOLUTE : 0);
    if constexpr (C > 0) {
        sum_lanes<EXTRA + C>(sums, out);
    } else {
        for (int i = 0; i < EXTRA + channels; i += LANES) sum_lanes<LANES>(sums + i, out + i);
    }
}

struct Scratch {
    float *state;  // TileState::size
    Lanes *sums;   // padded(MOMENTS + channels + ABSOLUTE)
};

template <int C, bool ABS>
void tile_backward(const Work &work, const Upstream &v, int tile, const Scratch &scratch, int out_stride, float *out) {
    const int begin = work.tile_begin[tile], length = work.tile_begin[tile + 1] - begin;
    if (!length) return;
    const int left = tile % work.tiles_x * TILE, top = tile / work.tiles_x * TILE;
    const int channels = C ? C : work.channels();
    constexpr int EXTRA = MOMENTS + (ABS ? ABSOLUTE : 0);
    TileState state{scratch.state, channels, {}};
    for (int b = 0; b < BLOCKS; b++) load_block(work, v, tile, b, state);

    Lanes local[C ? EXTRA + C : 1];
    Lanes *sums = C ? local : scratch.sums;
    for (int place = length - 1; place >= 0; place--) {
        const Row &g = work.gaussian(work.ids[begin + place]);
        for (int i = 0; i < EXTRA + channels; i++) spread(0.0f, sums[i]);
        for (uint32_t blocks = work.masks[begin + place]; blocks; blocks &= blocks - 1) {
            int b = __builtin_ctz(blocks);
            if (place >= state.reach[b]) continue;
            add_block<C, ABS>(state, b, g, left + b % 4 * BLOCK, top + b / 4 * BLOCK, place, sums);
        }
        store_sums<C, ABS>(sums, channels, out + (int64_t)work.slots[begin + place] * out_stride);
    }
}

struct Gradients {
    float *means2d, *absolute, *conics, *opacities, *colors, *depths;
};

// Adds up the rows of a Gaussian and turns moments into gradients.
void finish_gaussian(const Work &work, const Listed &listed, const float *rows, int stride, float *sum,
                     const Gradients &v) {
    const int64_t g = listed.id;
    for (int k = 0; k < stride; k++) sum[k] = 0.0f;
    for (int32_t slot = listed.begin; slot < listed.end; slot++) {
        const float *row = rows + (int64_t)slot * stride;
        for (int k = 0; k < stride; k++) sum[k] += row[k];
    }
    const Row &r = work.gaussian(listed.id);
    constexpr float LN_2 = 1.0f / LOG2_E;  // the packed coefficients are those of -sigma, times log2 e
    v.means2d[2 * g] -= LN_2 * (2.0f * r.x_x * sum[M_X] + r.x_y * sum[M_Y]);
    v.means2d[2 * g + 1] -= LN_2 * (r.x_y * sum[M_X] + 2.0f * r.y_y * sum[M_Y]);
    v.conics[3 * g] -= 0.5f * sum[M_XX];
    v.conics[3 * g + 1] -= sum[M_XY];
    v.conics[3 * g + 2] -= 0.5f * sum[M_YY];
    v.opacities[g] += sum[M] * std::exp2(-r.log2_opacity);
    for (int c = 0; c < work.features; c++) v.colors[g * work.features + c] += sum[MOMENTS + c];
    if (work.with_depth) v.depths[g] += sum[MOMENTS + work.features];
    if (v.absolute)
        for (int k = 0; k < 2; k++) v.absolute[2 * g + k] += LN_2 * sum[MOMENTS + work.channels() + k];
}

template <int C, bool ABS> void tiles_backward(const Work &work, const Upstream &v, int threads, int stride, float *rows) {
    const size_t state_size = TileState::size(work.channels()), sums_size = padded(MOMENTS + work.channels() + ABSOLUTE);
    Array<float> states(threads * state_size);
    Array<Lanes> sums(threads * sums_size);
    parallel_for(work.tiles(), 1, threads, [&](int64_t tile, int64_t, int thread) {
        Scratch scratch{states.data() + thread * state_size, sums.data() + thread * sums_size};
        tile_backward<C, ABS>(work, v, (int)tile, scratch, stride, rows);
    });
}

void backward(const Work &work, const Upstream &upstream, const Gradients &v, int threads) {
    const int stride = padded(MOMENTS + work.channels() + (v.absolute ? ABSOLUTE : 0));
    Array<float> rows((size_t)work.slots_end * stride);
    dispatch(work.channels(), [&](auto width) {
        if (v.absolute) tiles_backward<width.value, true>(work, upstream, threads, stride, rows.data());
        else tiles_backward<width.value, false>(work, upstream, threads, stride, rows.data());
    });
    Array<float> sums((size_t)threads * stride);
    parallel_for(work.listed.size(), 512, threads, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; i++)
            finish_gaussian(work, work.listed[i], rows.data(), stride, sums.data() + (size_t)thread * stride, v);
    });
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int32_t ua3d_rasterise_backward(const void *work, const float *v_renders, const float *v_alphas, float *v_means2d,
                                float *v_absolute, float *v_conics, float *v_opacities, float *v_colors,
                                float *v_depths, int32_t threads) {
    return guarded([&] {
        backward(*static_cast<const Work *>(work), {v_renders, v_alphas},
                 {v_means2d, v_absolute, v_conics, v_opacities, v_colors, v_depths}, threads);
    });
}
