// What the fusion of beliefs and its gradient share: double lanes, one Gaussian each, and small dense algebra on them.
//
// Doubles because the Gram matrix squares the condition: spreads far larger than the variances would leave a float's
// Cholesky factor without a correct digit. The arithmetic costs twice a float's, the arrays in memory stay floats.
// Gradients through the fused variance square the condition once more: they keep four digits as long as the sum of a
// view's squared spreads is below 5e5 times its variance.
#pragma once
#include <cstddef>
#include <cstdint>

#include "simd.h"

namespace ua3d {
namespace {

constexpr int WIDE = WIDTH / 2;  // Gaussians of a tile
typedef double Wide __attribute__((vector_size(8 * WIDE)));
typedef float Narrow __attribute__((vector_size(4 * WIDE)));

// A block of sums that fits into the machine's registers.
constexpr int BLOCK_ROWS = 5;
constexpr int BLOCK_COLUMNS = WIDTH == 16 ? 4 : 2;

UA3D_INLINE Wide sqrt(Wide x) {
#if defined(__AVX512F__)
    return (Wide)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
    return (Wide)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
    return (Wide)_mm_sqrt_pd((__m128d)x);
#else
    for (int i = 0; i < WIDE; i++) x[i] = __builtin_sqrt(x[i]);
    return x;
#endif
}

// GCC 12 converts half a vector at a time by itself.
UA3D_INLINE Wide widen(Narrow x) {
#if defined(__AVX512F__)
    return (Wide)_mm512_cvtps_pd((__m256)x);
#else
    return __builtin_convertvector(x, Wide);
#endif
}

// Asks for what the next but one tile reads (or writes) in this row: rows lie too far apart for the processor to guess.
UA3D_INLINE void expect(const float *row) { __builtin_prefetch(row + 2 * WIDE); }
UA3D_INLINE void expect_write(float *row) { __builtin_prefetch(row + 2 * WIDE, 1); }

// Lanes beyond count repeat the last one.
UA3D_INLINE Wide load_wide(const float *from, int count) {
    Narrow x;
    if (count == WIDE) {
        memcpy(&x, from, sizeof x);
    } else {
        for (int i = 0; i < WIDE; i++) x[i] = from[i < count ? i : count - 1];
    }
    return widen(x);
}

UA3D_INLINE void store_wide(float *to, Wide x, int count) {
    Narrow y = __builtin_convertvector(x, Narrow);
    if (count == WIDE) {
        memcpy(to, &y, sizeof y);
    } else {
        for (int i = 0; i < count; i++) to[i] = y[i];
    }
}

// V beliefs over n Gaussians, the Gaussians innermost: means, variances [state, n], spreads [members[m], state, n].
struct Beliefs {
    int64_t n;
    int views, state;
    const int32_t *members;  // 0: the view has no spread
    const float *const *means, *const *variances, *const *spreads;

    int rows() const {
        int total = 0;
        for (int m = 0; m < views; m++) total += members[m];
        return total;
    }
};

// Rows first[k] .. first[k] + count of a matrix with entries `step` apart; rows beyond repeat the last one.
template <int K> struct Rows {
    const Wide *row[K];

    template <class RowAt> Rows(int first, int count, const RowAt &at) {
        for (int k = 0; k < K; k++) row[k] = at(first + (k < count ? k : count - 1));
    }
};

typedef Rows<BLOCK_ROWS> Left;
typedef Rows<BLOCK_COLUMNS> Right;
typedef Wide Block[BLOCK_ROWS][BLOCK_COLUMNS];

// out[i][j] += sum over k < n of left[i][k] right[j][k].
UA3D_INLINE void add_products(int n, const Left &left, ptrdiff_t left_step, const Right &right, ptrdiff_t right_step,
                              Block &out) {
    Wide sum[BLOCK_ROWS][BLOCK_COLUMNS];  // in registers
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK_ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < BLOCK_COLUMNS; j++) sum[i][j] = out[i][j];
    for (int k = 0; k < n; k++) {
        Wide b[BLOCK_COLUMNS];
#pragma GCC unroll 8
        for (int j = 0; j < BLOCK_COLUMNS; j++) b[j] = right.row[j][k * right_step];
#pragma GCC unroll 8
        for (int i = 0; i < BLOCK_ROWS; i++) {
            Wide a = left.row[i][k * left_step];
#pragma GCC unroll 8
            for (int j = 0; j < BLOCK_COLUMNS; j++) sum[i][j] += a * b[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK_ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < BLOCK_COLUMNS; j++) out[i][j] = sum[i][j];
}

// The same, beginning at zero.
UA3D_INLINE void products(int n, const Left &left, ptrdiff_t left_step, const Right &right, ptrdiff_t right_step,
                          Block &out) {
    for (auto &row : out)
        for (Wide &x : row) x = Wide{};
    add_products(n, left, left_step, right, right_step, out);
}

inline int at_most(int a, int b) { return a < b ? a : b; }

// A lower triangle, row after row: entry (r, c) with c <= r lies at triangle(r) + c.
inline ptrdiff_t triangle(int r) { return (ptrdiff_t)r * (r + 1) / 2; }

// The Cholesky factor of a packed symmetric matrix in its place, with the inverse of the diagonal on the diagonal.
inline void factorise(int n, Wide *matrix) {
    auto row = [matrix](int r) { return matrix + triangle(r); };
    Block sums;
    for (int c0 = 0; c0 < n; c0 += BLOCK_COLUMNS) {
        const int columns = at_most(BLOCK_COLUMNS, n - c0);
        for (int r0 = c0; r0 < n; r0 += BLOCK_ROWS) {
            const int rows = at_most(BLOCK_ROWS, n - r0);
            products(c0, Left(r0, rows, row), 1, Right(c0, columns, row), 1, sums);
            for (int r = r0; r < r0 + rows; r++)
                for (int c = c0; c < c0 + columns && c <= r; c++) {
                    Wide x = row(r)[c] - sums[r - r0][c - c0];
                    for (int k = c0; k < c; k++) x -= row(r)[k] * row(c)[k];
                    row(r)[c] = r == c ? 1.0 / sqrt(x) : x * row(c)[c];
                }
        }
    }
}

// x [n] = (L L^T)^-1 x for one right-hand side.
inline void solve(int n, const Wide *factor, Wide *x) {
    for (int r = 0; r < n; r++) {
        const Wide *row = factor + triangle(r);
        Wide even = {}, odd = {};  // two chains: one would wait for itself
        for (int k = 0; k + 1 < r; k += 2) even += row[k] * x[k], odd += row[k + 1] * x[k + 1];
        if (r & 1) even += row[r - 1] * x[r - 1];
        x[r] = (x[r] - even - odd) * row[r];
    }
    for (int r = n - 1; r >= 0; r--) {
        const Wide *row = factor + triangle(r);
        x[r] *= row[r];
        for (int k = 0; k < r; k++) x[k] -= row[k] * x[r];
    }
}

// panel [n, BLOCK_COLUMNS] = L^-1 panel.
inline void solve_lower(int n, const Wide *factor, Wide *panel) {
    auto row = [factor](int r) { return factor + triangle(r); };
    auto column = [panel](int j) { return panel + j; };
    Block sums;
    for (int r0 = 0; r0 < n; r0 += BLOCK_ROWS) {
        const int rows = at_most(BLOCK_ROWS, n - r0);
        products(r0, Left(r0, rows, row), 1, Right(0, BLOCK_COLUMNS, column), BLOCK_COLUMNS, sums);
        for (int r = r0; r < r0 + rows; r++)
            for (int j = 0; j < BLOCK_COLUMNS; j++) {
                Wide x = panel[r * BLOCK_COLUMNS + j] - sums[r - r0][j];
                for (int k = r0; k < r; k++) x -= row(r)[k] * panel[k * BLOCK_COLUMNS + j];
                panel[r * BLOCK_COLUMNS + j] = x * row(r)[r];
            }
    }
}

// The same with L^T; `transposed` holds the factor's columns one after another: (r, c) with c >= r at column(r) + c.
inline void solve_upper(int n, const Wide *transposed, Wide *panel) {
    auto row = [=](int r) { return transposed + (ptrdiff_t)r * n - triangle(r); };
    auto column = [panel](int j) { return panel + j; };
    Block sums;
    for (int end = n; end > 0; end -= BLOCK_ROWS) {
        const int r0 = end > BLOCK_ROWS ? end - BLOCK_ROWS : 0;
        // From the first row below the block on.
        auto below = [&](int r) { return row(r) + end; };
        auto solved = [&](int j) { return column(j) + (ptrdiff_t)end * BLOCK_COLUMNS; };
        products(n - end, Left(r0, end - r0, below), 1, Right(0, BLOCK_COLUMNS, solved), BLOCK_COLUMNS, sums);
        for (int r = end - 1; r >= r0; r--)
            for (int j = 0; j < BLOCK_COLUMNS; j++) {
                Wide x = panel[r * BLOCK_COLUMNS + j] - sums[r - r0][j];
                for (int k = r + 1; k < end; k++) x -= row(r)[k] * panel[k * BLOCK_COLUMNS + j];
                panel[r * BLOCK_COLUMNS + j] = x * row(r)[r];
            }
    }
}

inline void transpose(int n, const Wide *factor, Wide *transposed) {
    for (int r = 0; r < n; r++)
        for (int c = r; c < n; c++) transposed[(ptrdiff_t)r * n - triangle(r) + c] = factor[triangle(c) + r];
}

}  // namespace
}  // namespace ua3d
