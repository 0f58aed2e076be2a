// Product of V Gaussian beliefs per Gaussian of the cloud, each with covariance S_m = diag(a_m) + C_m^T C_m, C_m [T, D].
//
// The product is what least squares finds for  mean_m = x + C_m^T u_m + noise(a_m),  u_m ~ N(0, I). With w = 1 / a and
// W the sum of the views' w, x drops out (its block is diagonal) and leaves a system over the stacked u of V T unknowns:
//   M u = r,   M = I + C_m [w_m (m = n) - w_m w_n / W] C_n^T,   r_m = C_m w_m (mean_m - x0),   x0 = sum(w mean) / W
//   mean = x0 - sum over views of E_m^T u_m,   E_m = C_m w_m / W
//   variance = diag of (sum S_m^-1)^-1 = 1 / W + column sums of (L^-1 E)^2,   M = L L^T
// One Cholesky of V T = 40 instead of one of 48 and V of 10; nothing but M is formed by subtraction.
#include "fusion.h"

#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"

namespace ua3d {
namespace {

constexpr int64_t GRAIN = 4 * WIDE;

// Scratch of one thread, in Wides.
struct Scratch {
    Wide *precision, *inverse_total, *rough_mean;  // w [V, D], 1 / W [D], x0 [D]
    Wide *shares;                                  // E [rows, D]
    Wide *weighted, *rest, *offset;                // of one view: C w and C - E [T, D], mean - x0 [D]
    Wide *panel;                                   // [rows, BLOCK_COLUMNS]
    Wide *factor, *latent;                         // packed [rows (rows + 1) / 2], u [rows]

    static size_t size(const Beliefs &b) {
        size_t rows = b.rows();
        return (b.views + 3 + 3 * rows) * b.state + rows * BLOCK_COLUMNS + triangle(rows) + rows;
    }

    Scratch(const Beliefs &b, Wide *memory) {
        const size_t rows = b.rows(), D = b.state;
        auto take = [&memory](size_t count) { return (memory += count) - count; };
        precision = take(b.views * D), inverse_total = take(D), rough_mean = take(D);
        shares = take(rows * D), weighted = take(rows * D), rest = take(rows * D), offset = take(D);
        panel = take(rows * BLOCK_COLUMNS), factor = take(triangle(rows)), latent = take(rows);
    }
};

void combine_diagonals(const Beliefs &b, int64_t at, int count, const Scratch &s) {
    for (int d = 0; d < b.state; d++) {
        Wide total = {}, sum = {};
        for (int m = 0; m < b.views; m++) {
            Wide w = 1.0 / load_wide(b.variances[m] + d * b.n + at, count);
            s.precision[m * b.state + d] = w;
            total += w, sum += w * load_wide(b.means[m] + d * b.n + at, count);
        }
        s.inverse_total[d] = 1.0 / total, s.rough_mean[d] = sum / total;
    }
}

// E, C w, C - E and the right-hand side of one view, whose rows begin at `first`.
void scale_rows(const Beliefs &b, int m, int first, int64_t at, int count, const Scratch &s) {
    const int D = b.state;
    for (int d = 0; d < D; d++)
        s.offset[d] = load_wide(b.means[m] + d * b.n + at, count) - s.rough_mean[d];
    for (int t = 0; t < b.members[m]; t++) {
        Wide *share = s.shares + (first + t) * D, *weighted = s.weighted + t * D, *rest = s.rest + t * D;
        const float *row = b.spreads[m] + (int64_t)t * D * b.n + at;
        Wide sum = {};
        for (int d = 0; d < D; d++, row += b.n) {
            expect(row);
            const Wide c = load_wide(row, count);
            weighted[d] = c * s.precision[m * D + d];
            share[d] = weighted[d] * s.inverse_total[d];
            rest[d] = c - share[d];
            sum += weighted[d] * s.offset[d];
        }
        s.latent[first + t] = sum;
    }
}

// Rows [first, first + T) of M against columns [column, column + other): `sign` times their products, plus I.
void fill_matrix(const Scratch &s, int D, int first, int T, const Wide *right, int column, int other, double sign) {
    auto left_row = [&](int r) { return s.weighted + r * D; };
    auto right_row = [&](int r) { return right + r * D; };
    Block sums;
    for (int r0 = 0; r0 < T; r0 += BLOCK_ROWS) {
        const int rows = at_most(BLOCK_ROWS, T - r0), last = first + r0 + rows - 1;
        for (int c0 = 0; c0 < other && column + c0 <= last; c0 += BLOCK_COLUMNS) {
            const int columns = at_most(BLOCK_COLUMNS, other - c0);
            products(D, Left(r0, rows, left_row), 1, Right(c0, columns, right_row), 1, sums);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) {
                    const int r = first + r0 + i, c = column + c0 + j;
                    if (c <= r) s.factor[triangle(r) + c] = sign * sums[i][j] + (r == c ? 1.0 : 0.0);
                }
        }
    }
}

void build_system(const Beliefs &b, int64_t at, int count, const Scratch &s) {
    for (int m = 0, first = 0; m < b.views; first += b.members[m++]) {
        const int T = b.members[m];
        scale_rows(b, m, first, at, count, s);
        fill_matrix(s, b.state, first, T, s.rest, first, T, 1.0);
        for (int n = 0, column = 0; n < m; column += b.members[n++])
            fill_matrix(s, b.state, first, T, s.shares + column * b.state, column, b.members[n], -1.0);
    }
}

void write_mean(const Beliefs &b, int rows, int64_t at, int count, const Scratch &s, float *mean) {
    const int D = b.state;
    for (int r = 0; r < rows; r++)
        for (int d = 0; d < D; d++) s.rough_mean[d] -= s.shares[r * D + d] * s.latent[r];
    for (int d = 0; d < D; d++) store_wide(mean + d * b.n + at, s.rough_mean[d], count);
}

void write_variance(const Beliefs &b, int rows, int64_t at, int count, const Scratch &s, float *variance) {
    for (int d0 = 0; d0 < b.state; d0 += BLOCK_COLUMNS) {
        const int columns = at_most(BLOCK_COLUMNS, b.state - d0);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < BLOCK_COLUMNS; j++)
                s.panel[r * BLOCK_COLUMNS + j] = s.shares[r * b.state + d0 + at_most(j, columns - 1)];
        solve_lower(rows, s.factor, s.panel);
        for (int j = 0; j < columns; j++) {
            Wide x = s.inverse_total[d0 + j];
            for (int r = 0; r < rows; r++) x += s.panel[r * BLOCK_COLUMNS + j] * s.panel[r * BLOCK_COLUMNS + j];
            store_wide(variance + (d0 + j) * b.n + at, x, count);
        }
    }
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int64_t ua3d_fuse_saved(int64_t n, int32_t rows) { return (n + WIDE - 1) / WIDE * (triangle(rows) + rows) * WIDE; }

int32_t ua3d_fuse(int64_t n, int32_t views, int32_t state, const int32_t *members, const float *const *means,
                  const float *const *variances, const float *const *spreads, float *mean, float *variance,
                  double *saved, int32_t threads) {
    return guarded([&] {
        const Beliefs b{n, views, state, members, means, variances, spreads};
        const int rows = b.rows();
        const size_t size = Scratch::size(b), kept = triangle(rows) + rows;
        Array<Wide> memory(size * std::max(threads, 1));
        parallel_for(n, GRAIN, threads, [&](int64_t begin, int64_t end, int thread) {
            Scratch s(b, memory.data() + size * thread);
            for (int64_t at = begin; at < end; at += WIDE) {
                const int count = (int)std::min<int64_t>(WIDE, end - at);
                if (saved) {
                    s.factor = reinterpret_cast<Wide *>(saved) + at / WIDE * kept;
                    s.latent = s.factor + triangle(rows);
                }
                combine_diagonals(b, at, count, s);
                build_system(b, at, count, s);
                factorise(rows, s.factor);
                solve(rows, s.factor, s.latent);
                write_mean(b, rows, at, count, s, mean);
                if (variance) write_variance(b, rows, at, count, s, variance);
            }
        });
    });
}
