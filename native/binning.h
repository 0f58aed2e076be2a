// Which Gaussians touch which tiles, nearest first: what the forward and the backward pass both walk through.
#pragma once
#include <cstdint>

#include "memory.h"
#include "simd.h"

namespace ua3d {

constexpr int TILE = 16;              // pixels of a tile's side
constexpr int BLOCK = 4;              // a tile is 4 x 4 blocks of 4 x 4 pixels; one block is sixteen lanes
constexpr int BLOCKS = 16;            // blocks of a tile; block b is column b % 4, row b / 4
constexpr int TILE_PIXELS = TILE * TILE;
constexpr float LOG2_E = 1.4426950408889634f;
constexpr float ALPHA_MAX = 0.999f;   // as in gsplat
constexpr float ALPHA_THRESHOLD = 1.0f / 255.0f;
constexpr float LOG2_THRESHOLD = -7.994353436858858f;
constexpr float TRANSMITTANCE_MIN = 1e-4f;

// A Gaussian as the inner loops want it, one row of `stride` floats (one or more cache lines). The exponent of alpha is
//   log2 alpha = x_x dx^2 + x_y dx dy + y_y dy^2 + log2_opacity,  d = pixel - mean.
struct Row {
    float mean_x, mean_y;  // px, 0 = centre of the first pixel
    float x_x, x_y, y_y;
    float log2_opacity;
};
constexpr int ROW = sizeof(Row) / sizeof(float);  // features follow

struct Scene {  // the projected Gaussians as the caller has them
    int64_t n;
    int features;     // columns of colors
    bool with_depth;  // the depth is one more channel
    const float *means2d, *conics, *opacities, *depths;
    const int32_t *radii;
    const float *colors;
    int channels() const { return features + with_depth; }
};

// A Gaussian that is in some tile, and its slots.
struct Listed {
    int32_t id, begin, end;
};

// One (Gaussian, tile) pair is an entry. Entries lie tile by tile, nearest first within a tile; a slot numbers the same
// pairs Gaussian by Gaussian, so that gradients are summed in an order that no thread can change.
struct Work {
    int64_t n = 0;
    int features = 0;
    bool with_depth = false;
    int width = 0, height = 0, tiles_x = 0, tiles_y = 0, stride = 0;
    Array<float> rows;          // [n, stride]; only those of listed Gaussians are filled
    Array<Listed> listed;       // nearest first
    int64_t slots_end = 0;      // above all slots; some numbers below are not used
    Array<int32_t> tile_begin;  // [tiles + 1] into the entries
    Array<int32_t> ids, slots;  // [entries]
    Array<uint16_t> masks;      // [entries] bit b: block b may be touched
    Array<float> transmittance; // [tiles, 256] after the last Gaussian, block by block
    Array<int32_t> stop;        // [tiles, 256] place in the tile's list at which the pixel was full

    int tiles() const { return tiles_x * tiles_y; }
    int channels() const { return features + with_depth; }
    const float *row(int32_t id) const { return rows.data() + (int64_t)id * stride; }
    const Row &gaussian(int32_t id) const { return *reinterpret_cast<const Row *>(row(id)); }
};

// Fills everything but transmittance and stop.
void build_bins(Work &work, const Scene &scene, int width, int height, int threads);

}  // namespace ua3d
