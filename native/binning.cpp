#include "binning.h"

#include <cmath>
#include <new>
#include <utility>

#include "parallel.h"

namespace ua3d {
namespace {

constexpr int64_t GRAIN = 1024;

// Tiles [x0, x1) x [y0, y1).
struct Rectangle {
    int16_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
    int area() const { return (x1 - x0) * (y1 - y0); }
};

// The pixels low..high of one axis that lie within `radius` of `mean`, as a range of tiles; empty when there are none.
std::pair<int, int> tile_range(float mean, int32_t radius, int size) {
    float low = std::fmax(std::ceil(mean - radius), 0.0f);
    float high = std::fmin(std::floor(mean + radius), (float)(size - 1));
    if (!(low <= high)) return {0, 0};
    return {(int)low / TILE, (int)high / TILE + 1};
}

Rectangle pack_gaussian(const Scene &scene, int64_t g, int width, int height, float *row) {
    Rectangle r;
    float opacity = scene.opacities[g];
    const int32_t *radius = scene.radii + 2 * g;
    if (radius[0] <= 0 || radius[1] <= 0 || !(opacity >= ALPHA_THRESHOLD)) return r;
    const float *conic = scene.conics + 3 * g;
    Row &packed = *reinterpret_cast<Row *>(row);
    packed = {scene.means2d[2 * g] - 0.5f, scene.means2d[2 * g + 1] - 0.5f, -0.5f * LOG2_E * conic[0],
              -LOG2_E * conic[1], -0.5f * LOG2_E * conic[2], std::log2(opacity)};
    auto [x0, x1] = tile_range(packed.mean_x, radius[0], width);
    auto [y0, y1] = tile_range(packed.mean_y, radius[1], height);
    r.x0 = x0, r.x1 = x1, r.y0 = y0, r.y1 = y1;
    const float *color = scene.colors + g * scene.features;
    for (int c = 0; c < scene.features; c++) row[ROW + c] = color[c];
    if (scene.with_depth) row[ROW + scene.features] = scene.depths[g];
    return r;
}

// Bit b tells whether alpha reaches the threshold somewhere in block b of the tile with the first pixel (left, top):
// the largest exponent over the block's box of pixel centres lies on the lines through its point nearest to the mean.
uint16_t block_mask(const Row &g, float left, float top) {
    alignas(64) static const float column[LANES] = {0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12};
    alignas(64) static const float row[LANES] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    Lanes x0 = load(column) + (left - g.mean_x), x1 = x0 + (float)(BLOCK - 1);
    Lanes y0 = load(row) + (top - g.mean_y), y1 = y0 + (float)(BLOCK - 1);
    Lanes zero = lanes(0.0f), near_x = clamp(zero, x0, x1), near_y = clamp(zero, y0, y1);
    Lanes best_y = clamp(near_x * (-0.5f * g.x_y / g.y_y), y0, y1);
    Lanes best_x = clamp(near_y * (-0.5f * g.x_y / g.x_x), x0, x1);
    Lanes along_y = near_x * (g.x_x * near_x + g.x_y * best_y) + g.y_y * best_y * best_y;
    Lanes along_x = best_x * (g.x_x * best_x + g.x_y * near_y) + g.y_y * near_y * near_y;
    // Some slack for rounding; pixels decide for themselves later.
    float least = (LOG2_THRESHOLD - g.log2_opacity) * 1.0005f - 2e-4f;
    return (uint16_t)bits(at_least(max(along_x, along_y), lanes(least)));
}

// Exclusive sums of counts [n] into begin [n + 1].
void begin_from_counts(const Array<Rectangle> &rectangles, Array<int32_t> &begin) {
    int64_t total = 0;
    for (size_t g = 0; g < rectangles.size(); g++) {
        begin[g] = (int32_t)total;
        total += rectangles[g].area();
        if (total > INT32_MAX) throw std::bad_alloc();
    }
    begin[rectangles.size()] = (int32_t)total;
}

struct Key {
    uint32_t depth;  // bits of a positive float: their order is the floats' order
    int32_t id;
};

// Gaussians that are in some tile, nearest first, equals in the order of their numbers: a radix sort on the bits
// in which the depths differ (a head a metre away needs two passes, not three).
Array<Key> depth_order(const Array<Rectangle> &rectangles, const float *depths, size_t &count) {
    constexpr int DIGIT = 11, BUCKETS = 1 << DIGIT;
    Array<Key> keys(rectangles.size()), other(rectangles.size());
    uint32_t least = UINT32_MAX, most = 0;
    count = 0;
    for (size_t g = 0; g < rectangles.size(); g++) {
        if (!rectangles[g].area()) continue;
        uint32_t depth;
        memcpy(&depth, depths + g, sizeof depth);
        least = std::min(least, depth), most = std::max(most, depth);
        keys[count++] = {depth, (int32_t)g};
    }
    for (int shift = 0; count && shift < 32 && (most - least) >> shift; shift += DIGIT) {
        uint32_t place[BUCKETS] = {};
        for (size_t i = 0; i < count; i++) place[((keys[i].depth - least) >> shift) & (BUCKETS - 1)]++;
        uint32_t sum = 0;
        for (uint32_t &p : place) sum += std::exchange(p, sum);
        for (size_t i = 0; i < count; i++) other[place[((keys[i].depth - least) >> shift) & (BUCKETS - 1)]++] = keys[i];
        std::swap(keys, other);
    }
    return keys;
}

// Calls visit(tile, slot) for the tiles that Gaussian g really touches.
template <class Visit> void visit_tiles(const Work &work, const Rectangle &r, int32_t g, const Visit &visit) {
    int32_t slot = work.gaussian_begin[g];
    for (int y = r.y0; y < r.y1; y++)
        for (int x = r.x0; x < r.x1; x++, slot++)
            if (work.slot_masks[slot]) visit(y * work.tiles_x + x, slot);
}

// Deals the sorted Gaussians out to the tiles' lists. Each part of the sorted list counts and then writes its own
// share, so parts run side by side and the order does not depend on them.
void fill_tiles(Work &work, const Array<Rectangle> &rectangles, const Array<Key> &order, size_t count, int threads) {
    const int tiles = work.tiles(), parts = useful_threads(threads, count, 4096);
    Array<int32_t> cursor((size_t)parts * tiles);
    cursor.fill(0);
    auto part_begin = [&](int64_t part) { return count * part / parts; };
    parallel_for(parts, 1, threads, [&](int64_t part, int64_t, int) {
        int32_t *counts = cursor.data() + part * tiles;
        for (size_t i = part_begin(part); i < part_begin(part + 1); i++)
            visit_tiles(work, rectangles[order[i].id], order[i].id, [&](int tile, int32_t) { counts[tile]++; });
    });
    int32_t sum = 0;
    for (int tile = 0; tile < tiles; tile++) {
        work.tile_begin[tile] = sum;
        for (int part = 0; part < parts; part++) sum += std::exchange(cursor[(size_t)part * tiles + tile], sum);
    }
    work.tile_begin[tiles] = sum;
    work.ids = Array<int32_t>(sum), work.slots = Array<int32_t>(sum), work.masks = Array<uint16_t>(sum);
    parallel_for(parts, 1, threads, [&](int64_t part, int64_t, int) {
        int32_t *next = cursor.data() + part * tiles;
        for (size_t i = part_begin(part); i < part_begin(part + 1); i++)
            visit_tiles(work, rectangles[order[i].id], order[i].id, [&](int tile, int32_t slot) {
                int32_t entry = next[tile]++;
                work.ids[entry] = order[i].id;
                work.slots[entry] = slot;
                work.masks[entry] = work.slot_masks[slot];
            });
    });
}

}  // namespace

void build_bins(Work &work, const Scene &scene, int width, int height, int threads) {
    work.n = scene.n, work.features = scene.features, work.with_depth = scene.with_depth;
    work.width = width, work.height = height;
    work.tiles_x = (width + TILE - 1) / TILE, work.tiles_y = (height + TILE - 1) / TILE;
    work.stride = (ROW + scene.channels() + LANES - 1) / LANES * LANES;
    work.rows = Array<float>(scene.n * work.stride);
    work.gaussian_begin = Array<int32_t>(scene.n + 1);
    work.tile_begin = Array<int32_t>(work.tiles() + 1);

    Array<Rectangle> rectangles(scene.n);
    parallel_for(scene.n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
        for (int64_t g = begin; g < end; g++)
            rectangles[g] = pack_gaussian(scene, g, width, height, work.rows.data() + g * work.stride);
    });
    begin_from_counts(rectangles, work.gaussian_begin);
    work.slot_masks = Array<uint16_t>(work.gaussian_begin[scene.n]);
    parallel_for(scene.n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
        for (int64_t g = begin; g < end; g++) {
            const Rectangle &r = rectangles[g];
            uint16_t *mask = work.slot_masks.data() + work.gaussian_begin[g];
            for (int y = r.y0; y < r.y1; y++)
                for (int x = r.x0; x < r.x1; x++) *mask++ = block_mask(work.gaussian(g), x * TILE, y * TILE);
        }
    });
    size_t count;
    Array<Key> order = depth_order(rectangles, scene.depths, count);
    fill_tiles(work, rectangles, order, count, threads);
}

}  // namespace ua3d
