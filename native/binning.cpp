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

// Tells for all blocks of a tile whether alpha reaches the threshold somewhere in them: the largest exponent over a
// block's box of pixel centres lies on the two lines through its point nearest to the mean.
class BlockTest {
  public:
    explicit BlockTest(const Row &g)
        : g_(g), y_per_x_(-0.5f * g.x_y / g.y_y), x_per_y_(-0.5f * g.x_y / g.x_x),
          // Some slack for rounding; pixels decide for themselves later.
          least_((LOG2_THRESHOLD - g.log2_opacity) * 1.0005f - 2e-4f) {}

    // Bit b for block b of the tile whose first pixel is (left, top).
    uint16_t operator()(float left, float top) const {
        alignas(64) static constexpr float X[LANES] = {0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12};
        alignas(64) static constexpr float Y[LANES] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
        Lanes x0 = load(X) + (left - g_.mean_x), x1 = x0 + (float)(BLOCK - 1);
        Lanes y0 = load(Y) + (top - g_.mean_y), y1 = y0 + (float)(BLOCK - 1);
        Lanes near_x = clamp(lanes(0.0f), x0, x1), near_y = clamp(lanes(0.0f), y0, y1);
        Lanes best_y = clamp(near_x * y_per_x_, y0, y1), best_x = clamp(near_y * x_per_y_, x0, x1);
        Lanes largest = max(quadratic(near_x, best_y), quadratic(best_x, near_y));
        return (uint16_t)bits(at_least(largest, lanes(least_)));
    }

  private:
    Lanes quadratic(Lanes x, Lanes y) const { return x * (g_.x_x * x + g_.x_y * y) + g_.y_y * y * y; }

    const Row &g_;
    float y_per_x_, x_per_y_, least_;
};

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

struct Slot {
    int32_t tile, id;
    uint16_t mask;
};

// Lists the tiles that Gaussian g touches from slots[next] on and counts them; returns the next free slot.
int32_t list_tiles(const Work &work, const Rectangle &r, int32_t id, int32_t next, Slot *slots, int32_t *counts) {
    const BlockTest test(work.gaussian(id));
    int x = r.x0, y = r.y0;
    for (int left = r.area(); left > 0; left--) {
        const int tile = y * work.tiles_x + x;
        const uint16_t mask = test(x * TILE, y * TILE);
        slots[next] = {tile, id, mask};
        next += mask != 0;  // no branch: it could not be predicted
        counts[tile] += mask != 0;
        bool row_done = ++x == r.x1;
        x = row_done ? r.x0 : x;
        y += row_done;
    }
    return next;
}

// Where each part's slots begin when every tile of every rectangle gets one; throws when 32 bits cannot count them.
void reserve_slots(Work &work, const Array<Rectangle> &rectangles, const Array<Key> &order, size_t count) {
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        work.listed[i] = {order[i].id, (int32_t)total, (int32_t)total};
        total += rectangles[order[i].id].area();
        if (total > INT32_MAX) throw std::bad_alloc();
    }
    work.slots_end = total;
}

// Deals the sorted Gaussians out to the tiles' lists. Each part of the sorted list counts and then writes its own share,
// so parts run side by side; the lists do not depend on how many parts there are.
void fill_tiles(Work &work, const Array<Rectangle> &rectangles, const Array<Key> &order, size_t count, int threads) {
    const int tiles = work.tiles(), parts = useful_threads(threads, count, 2048);
    work.listed = Array<Listed>(count);
    reserve_slots(work, rectangles, order, count);
    Array<Slot> slots(work.slots_end + 1);  // list_tiles writes one past what it keeps
    Array<int32_t> cursors((size_t)parts * tiles);
    cursors.fill(0);
    auto part_begin = [&](int64_t part) { return (int64_t)count * part / parts; };
    parallel_for(parts, 1, threads, [&](int64_t part, int64_t, int) {
        for (int64_t i = part_begin(part); i < part_begin(part + 1); i++) {
            Listed &g = work.listed[i];
            g.end = list_tiles(work, rectangles[g.id], g.id, g.begin, slots.data(), cursors.data() + part * tiles);
        }
    });
    int32_t sum = 0;
    for (int tile = 0; tile < tiles; tile++) {
        work.tile_begin[tile] = sum;
        for (int part = 0; part < parts; part++) sum += std::exchange(cursors[(size_t)part * tiles + tile], sum);
    }
    work.tile_begin[tiles] = sum;
    work.ids = Array<int32_t>(sum), work.slots = Array<int32_t>(sum), work.masks = Array<uint16_t>(sum);
    parallel_for(parts, 1, threads, [&](int64_t part, int64_t, int) {
        int32_t *next = cursors.data() + part * tiles;
        for (int64_t i = part_begin(part); i < part_begin(part + 1); i++)
            for (int32_t slot = work.listed[i].begin; slot < work.listed[i].end; slot++) {
                int32_t entry = next[slots[slot].tile]++;
                work.ids[entry] = slots[slot].id;
                work.slots[entry] = slot;
                work.masks[entry] = slots[slot].mask;
            }
    });
}

}  // namespace

void build_bins(Work &work, const Scene &scene, int width, int height, int threads) {
    work.n = scene.n, work.features = scene.features, work.with_depth = scene.with_depth;
    work.width = width, work.height = height;
    work.tiles_x = (width + TILE - 1) / TILE, work.tiles_y = (height + TILE - 1) / TILE;
    work.stride = (ROW + scene.channels() + LANES - 1) / LANES * LANES;
    work.rows = Array<float>(scene.n * work.stride);
    work.tile_begin = Array<int32_t>(work.tiles() + 1);

    Array<Rectangle> rectangles(scene.n);
    parallel_for(scene.n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
        for (int64_t g = begin; g < end; g++)
            rectangles[g] = pack_gaussian(scene, g, width, height, work.rows.data() + g * work.stride);
    });
    size_t count;
    Array<Key> order = depth_order(rectangles, scene.depths, count);
    fill_tiles(work, rectangles, order, count, threads);
}

}  // namespace ua3d
