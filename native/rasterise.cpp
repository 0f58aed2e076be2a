// The forward pass: front-to-back compositing with gsplat's rules.
//
// A pixel adds features * alpha * T of each Gaussian, nearest first, where alpha = min(0.999, opacity * exp(-sigma)),
// Gaussians with alpha < 1/255 are skipped, and the first one that would leave T <= 1e-4 ends the pixel without being
// added. A thread takes a tile, a tile is walked block by block, a block's sixteen pixels are the lanes.
#include <cstring>
#include <memory>

#include "binning.h"
#include "dispatch.h"
#include "guard.h"
#include "interface.h"
#include "parallel.h"

namespace ua3d {
namespace {

// Places in the tile's list of the Gaussians that may touch block b, in order; returns how many. `places` needs LANES
// more elements than the list has.
int block_list(const uint16_t *masks, int length, int b, int32_t *places) {
    int count = 0, k = 0;
#if defined(__AVX512F__)
    const __m512i bit = _mm512_set1_epi32(1 << b);
    __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; k + LANES <= length; k += LANES) {
        __m512i mask = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(masks + k)));
        __mmask16 hit = _mm512_test_epi32_mask(mask, bit);
        _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi32(hit, place));
        count += __builtin_popcount(hit);
        place = _mm512_add_epi32(place, _mm512_set1_epi32(LANES));
    }
#endif
    for (; k < length; k++) {
        places[count] = k;
        count += masks[k] >> b & 1;
    }
    return count;
}

// The running sums of one block. C is the number of channels when known at compile time, else 0 (sums in memory).
template <int C> struct Sums {
    Lanes value[C];
    Sums(float *, int) {
        for (Lanes &v : value) spread(0.0f, v);
    }
    UA3D_INLINE_MEMBER void add(Lanes weight, const float *features, int) {
#pragma GCC unroll 16
        for (int c = 0; c < C; c++) value[c] += weight * features[c];
    }
    void write(float *out) const {
        for (int c = 0; c < C; c++) store(out + c * LANES, value[c]);
    }
};
template <> struct Sums<0> {
    float *value;
    Sums(float *memory, int channels) : value(memory) {
        for (int c = 0; c < channels; c++) store(value + c * LANES, lanes(0.0f));
    }
    void add(Lanes weight, const float *features, int channels) {
        for (int c = 0; c < channels; c++)
            store(value + c * LANES, load(value + c * LANES) + weight * features[c]);
    }
    void write(float *) const {}  // `out` is the memory that was summed in
};

struct BlockResult {
    float *sums;           // [channels, 16]
    float *transmittance;  // [16]
    int32_t *stop;         // [16]
};

// Composites the listed Gaussians over the sixteen pixels whose first one is (left, top).
template <int C>
void composite_block(const Work &work, const int32_t *ids, const int32_t *places, int count, float left, float top,
                     const BlockResult &result) {
    const int channels = work.channels();
    const Lanes x = load(LANE_X) + left, y = load(LANE_Y) + top;
    Sums<C> sums(result.sums, channels);
    Lanes T = lanes(1.0f);       // 0 in lanes that are full
    Lanes final_T = lanes(0.0f);  // of the lanes that are full
    uint32_t alive = ALL;
    for (int i = 0; i < LANES; i++) result.stop[i] = INT32_MAX;

    for (int i = 0; i < count; i++) {
        const float *row = work.row(ids[places[i]]);
        Lanes alpha = alpha_of(exponent(*reinterpret_cast<const Row *>(row), x, y));
        Lanes weight = alpha * T, next = T - weight;
        Mask open = greater(next, lanes(TRANSMITTANCE_MIN));
        if (__builtin_expect(!all(open), 0)) {
            for (uint32_t full = alive & ~bits(open); full; full &= full - 1)
                result.stop[__builtin_ctz(full)] = places[i];
            final_T = select(open, final_T, max(final_T, T));
            alive &= bits(open);
            weight = keep(open, weight), next = keep(open, next);
            if (!alive) {
                T = next;
                break;
            }
        }
        T = next;
        sums.add(weight, row + ROW, channels);
    }
    sums.write(result.sums);
    store(result.transmittance, max(T, final_T));
}

// Spreads a block's sums over the image, leaving out what lies beyond its border.
template <int C>
void write_pixels(const Work &work, const BlockResult &block, int left, int top, float *renders, float *alphas) {
    const int channels = C ? C : work.channels();
    const int columns = std::min(BLOCK, work.width - left), rows = std::min(BLOCK, work.height - top);
    for (int y = 0; y < rows; y++) {
        int64_t pixel = (int64_t)(top + y) * work.width + left;
        for (int x = 0; x < columns; x++, pixel++) {
            alphas[pixel] = 1.0f - block.transmittance[y * BLOCK + x];
            for (int c = 0; c < channels; c++)
                renders[pixel * channels + c] = block.sums[c * LANES + y * BLOCK + x];
        }
    }
}

template <int C>
void composite_tile(Work &work, int tile, float *sums, int32_t *places, float *renders, float *alphas) {
    const int begin = work.tile_begin[tile], length = work.tile_begin[tile + 1] - begin;
    const int left = tile % work.tiles_x * TILE, top = tile / work.tiles_x * TILE;
    for (int b = 0; b < BLOCKS; b++) {
        int x = left + b % 4 * BLOCK, y = top + b / 4 * BLOCK;
        if (x >= work.width || y >= work.height) continue;
        int count = block_list(work.masks.data() + begin, length, b, places);
        int64_t pixel = (int64_t)tile * TILE_PIXELS + b * LANES;
        BlockResult result{sums, work.transmittance.data() + pixel, work.stop.data() + pixel};
        composite_block<C>(work, work.ids.data() + begin, places, count, x, y, result);
        write_pixels<C>(work, result, x, y, renders, alphas);
    }
}

template <int C> void composite(Work &work, float *renders, float *alphas, int threads) {
    int longest = 0;
    for (int t = 0; t < work.tiles(); t++) longest = std::max(longest, work.tile_begin[t + 1] - work.tile_begin[t]);
    const size_t sums_size = (size_t)work.channels() * LANES, places_size = (size_t)longest + LANES + 16;
    Array<float> sums(threads * sums_size);
    Array<int32_t> places(threads * places_size);
    parallel_for(work.tiles(), 1, threads, [&](int64_t tile, int64_t, int thread) {
        composite_tile<C>(work, (int)tile, sums.data() + thread * sums_size, places.data() + thread * places_size,
                          renders, alphas);
    });
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

void *ua3d_rasterise(int64_t n, int32_t channels, int32_t with_depth, const float *means2d, const float *conics,
                     const float *opacities, const float *depths, const int32_t *radii, const float *colors,
                     int32_t width, int32_t height, float *renders, float *alphas, int32_t threads) {
    std::unique_ptr<Work> work;
    bool done = guarded([&] {
        work = std::make_unique<Work>();
        const Scene scene{n, channels, with_depth != 0, means2d, conics, opacities, depths, radii, colors};
        build_bins(*work, scene, width, height, threads);
        work->transmittance = Array<float>((size_t)work->tiles() * TILE_PIXELS);
        work->stop = Array<int32_t>((size_t)work->tiles() * TILE_PIXELS);
        dispatch(work->channels(), [&](auto width) { composite<width.value>(*work, renders, alphas, threads); });
    });
    return done ? work.release() : nullptr;
}

void ua3d_rasterise_free(void *work) { delete static_cast<Work *>(work); }
