// Between arrays of rows, one per Gaussian, and lanes, one column of sixteen Gaussians each.
#pragma once
#include <cstdint>

#include "simd.h"

namespace ua3d {
namespace {

// The first K columns of rows [begin, begin + count) of an array with `stride` columns; lanes beyond count repeat the
// last row.
template <int K> void load_columns(const float *array, int64_t begin, int count, Lanes *out, int64_t stride = K) {
    alignas(64) float columns[K][LANES];
    for (int i = 0; i < LANES; i++) {
        const float *row = array + (begin + (i < count ? i : count - 1)) * stride;
        for (int k = 0; k < K; k++) columns[k][i] = row[k];
    }
    for (int k = 0; k < K; k++) out[k] = load(columns[k]);
}

// Adds lanes to those of the rows whose bit is set in `where`.
template <int K>
void add_columns(const Lanes *in, uint32_t where, int64_t begin, float *array, int64_t stride = K) {
    alignas(64) float columns[K][LANES];
    for (int k = 0; k < K; k++) store(columns[k], in[k]);
    for (int i = 0; i < LANES; i++) {
        if (!(where >> i & 1)) continue;
        float *row = array + (begin + i) * stride;
        for (int k = 0; k < K; k++) row[k] += columns[k][i];
    }
}

}  // namespace
}  // namespace ua3d
