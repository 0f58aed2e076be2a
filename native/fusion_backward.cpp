// The gradient of fusion.cpp's mean and variance to the views' means, variances a and spreads C.
//
// With P = sum S_m^-1 and upstream gradients g to the mean, h to the variance (H = diag h):
//   v = M^-1 E g,  q = P^-1 g = g / W + E^T v,  z_m = S_m^-1 q = w_m (q - C_m^T v_m),
//   y_m = S_m^-1 (mean_m - mean) = w_m (mean_m - mean - C_m^T u_m)
//   mean:      dmean_m = z_m,  da_m = -z_m y_m,  dC_m = -(u_m z_m^T + v_m y_m^T)
//   variance:  dS_m = Z H Z^T with Z = S_m^-1 P^-1, so with V = M^-1 E, F = V H V^T, X = F E, X'_m = F_mm C_m,
//              G_m = V_m H / W + X_m:
//              dC_m = 2 w_m (G_m - X'_m),  da_m = w_m^2 (diag(P^-1 H P^-1) + column sums of C_m (X'_m - 2 G_m)),
//              diag(P^-1 H P^-1) = h / W^2 + column sums of E (2 V H / W + X)
// C is read once; later C_m is E_m W / w_m.
#include "fusion.h"

#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"

namespace ua3d {
namespace {

constexpr int64_t GRAIN = 4 * WIDE;

struct Gradients {
    float *const *means, *const *variances, *const *spreads;
};

// Scratch of one thread, in Wides; the last line only for the variance's gradient.
struct Scratch {
    Wide *precision, *total, *inverse_total, *fused;  // w [V, D], W, 1 / W and the mean [D]
    Wide *g, *h, *q;                                  // upstream and P^-1 g [D]
    Wide *z, *y;                                      // [V, D]; at first E_m^T v_m and E_m^T u_m
    Wide *shares, *v;                                 // E [rows, D], [rows]
    Wide *V, *scaled, *F, *transposed, *panel, *own;  // [rows, D], [BLOCK_ROWS, D], [rows, rows], packed, panels

    static size_t size(const Beliefs &b) {
        const size_t rows = b.rows(), D = b.state, views = b.views;
        return (3 * views + 6) * D + 2 * rows * D + rows + BLOCK_ROWS * D + rows * rows + triangle(rows) +
               (rows + views) * BLOCK_COLUMNS;
    }

    Scratch(const Beliefs &b, Wide *memory) {
        const size_t rows = b.rows(), D = b.state, views = b.views;
        auto take = [&memory](size_t count) { return (memory += count) - count; };
        precision = take(views * D), total = take(D), inverse_total = take(D), fused = take(D);
        g = take(D), h = take(D), q = take(D), z = take(views * D), y = take(views * D);
        shares = take(rows * D), v = take(rows), V = take(rows * D), scaled = take(BLOCK_ROWS * D);
        F = take(rows * rows), transposed = take(triangle(rows));
        panel = take(rows * BLOCK_COLUMNS), own = take(views * BLOCK_COLUMNS);
    }
};

struct Place {
    int64_t at;
    int count;
};

// `fused` begins as the mean without spreads.
void read_diagonals(const Beliefs &b, Place p, const float *g, const float *h, const Scratch &s) {
    for (int d = 0; d < b.state; d++) {
        Wide total = {}, sum = {};
        for (int m = 0; m < b.views; m++) {
            Wide w = 1.0 / load_wide(b.variances[m] + d * b.n + p.at, p.count);
            s.precision[m * b.state + d] = w;
            total += w, sum += w * load_wide(b.means[m] + d * b.n + p.at, p.count);
        }
        s.total[d] = total, s.inverse_total[d] = 1.0 / total, s.fused[d] = sum / total;
        s.g[d] = g ? load_wide(g + d * b.n + p.at, p.count) : Wide{};
        s.h[d] = h ? load_wide(h + d * b.n + p.at, p.count) : Wide{};
    }
}

// E, E_m^T u_m into y, E g into v.
void read_shares(const Beliefs &b, Place p, const Wide *u, const Scratch &s) {
    const int D = b.state;
    for (int m = 0, r = 0; m < b.views; m++) {
        Wide *along_u = s.y + m * D;
        for (int d = 0; d < D; d++) along_u[d] = Wide{};
        for (int t = 0; t < b.members[m]; t++, r++) {
            const float *spread = b.spreads[m] + (int64_t)t * D * b.n + p.at;
            Wide sum = {};
            for (int d = 0; d < D; d++, spread += b.n) {
                expect(spread);
                const Wide e = load_wide(spread, p.count) * (s.precision[m * D + d] * s.inverse_total[d]);
                s.shares[r * D + d] = e;
                along_u[d] += e * u[r];
                sum += e * s.g[d];
            }
            s.v[r] = sum;
        }
    }
}

// The fused mean (the rounded one would not do where variances are tiny), q, z, y and the gradients of the means.
void mean_vectors(const Beliefs &b, Place p, const Scratch &s, const Gradients &out) {
    const int D = b.state;
    for (int d = 0; d < D; d++) s.q[d] = s.g[d] * s.inverse_total[d];
    for (int m = 0, r = 0; m < b.views; m++) {
        Wide *along_v = s.z + m * D;
        for (int d = 0; d < D; d++) along_v[d] = Wide{};
        for (int t = 0; t < b.members[m]; t++, r++)
            for (int d = 0; d < D; d++) along_v[d] += s.shares[r * D + d] * s.v[r];
        for (int d = 0; d < D; d++) s.q[d] += along_v[d], s.fused[d] -= s.y[m * D + d];
    }
    for (int m = 0; m < b.views; m++)
        for (int d = 0; d < D; d++) {
            const Wide w = s.precision[m * D + d], mean = load_wide(b.means[m] + d * b.n + p.at, p.count);
            s.z[m * D + d] = w * s.q[d] - s.total[d] * s.z[m * D + d];
            s.y[m * D + d] = w * (mean - s.fused[d]) - s.total[d] * s.y[m * D + d];
            store_wide(out.means[m] + d * b.n + p.at, s.z[m * D + d], p.count);
        }
}

void mean_gradients(const Beliefs &b, Place p, const Wide *u, const Scratch &s, const Gradients &out) {
    const int D = b.state;
    for (int m = 0, r = 0; m < b.views; m++) {
        const Wide *z = s.z + m * D, *y = s.y + m * D;
        for (int d = 0; d < D; d++) store_wide(out.variances[m] + d * b.n + p.at, -z[d] * y[d], p.count);
        for (int t = 0; t < b.members[m]; t++, r++) {
            float *spread = out.spreads[m] + (int64_t)t * D * b.n + p.at;
            for (int d = 0; d < D; d++, spread += b.n) {
                expect_write(spread);
                store_wide(spread, -(u[r] * z[d] + s.v[r] * y[d]), p.count);
            }
        }
    }
}

// V = M^-1 E.
void solve_shares(int rows, int D, const Wide *factor, const Scratch &s) {
    transpose(rows, factor, s.transposed);
    for (int d0 = 0; d0 < D; d0 += BLOCK_COLUMNS) {
        const int columns = at_most(BLOCK_COLUMNS, D - d0);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < BLOCK_COLUMNS; j++)
                s.panel[r * BLOCK_COLUMNS + j] = s.shares[r * D + d0 + at_most(j, columns - 1)];
        solve_lower(rows, factor, s.panel);
        solve_upper(rows, s.transposed, s.panel);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < columns; j++) s.V[r * D + d0 + j] = s.panel[r * BLOCK_COLUMNS + j];
    }
}

// F = V H V^T, both triangles.
void square(int rows, int D, const Scratch &s) {
    auto left_row = [&](int i) { return s.scaled + i * D; };
    auto right_row = [&](int r) { return s.V + r * D; };
    Block sums;
    for (int r0 = 0; r0 < rows; r0 += BLOCK_ROWS) {
        const int height = at_most(BLOCK_ROWS, rows - r0);
        for (int i = 0; i < height; i++)
            for (int d = 0; d < D; d++) s.scaled[i * D + d] = s.V[(r0 + i) * D + d] * s.h[d];
        for (int c0 = 0; c0 < r0 + height; c0 += BLOCK_COLUMNS) {
            const int columns = at_most(BLOCK_COLUMNS, rows - c0);
            products(D, Left(0, height, left_row), 1, Right(c0, columns, right_row), 1, sums);
            for (int i = 0; i < height; i++)
                for (int j = 0; j < columns; j++)
                    s.F[(r0 + i) * rows + c0 + j] = s.F[(c0 + j) * rows + r0 + i] = sums[i][j];
        }
    }
}

// What the rows of one view share.
struct View {
    int m, first, end;
};

// Rows [r0, r0 + height) at columns [d0, d0 + columns): their gradient, and what they add to the sums over rows in
// `all` (diag of P^-1 H P^-1) and in s.own.
void spread_gradient(const Beliefs &b, int rows, const View &view, int r0, int height, int d0, int columns, Place p,
                     const Wide *u, const Scratch &s, const Gradients &out, Wide *all) {
    const int D = b.state;
    Block X, X_own;
    // X's own part first, then what the other views add to it.
    auto add = [&](int begin, int end, Block &sums) {
        auto f_row = [&](int r) { return s.F + r * rows + begin; };
        auto share = [&](int d) { return s.shares + begin * D + d; };
        add_products(end - begin, Left(r0, height, f_row), 1, Right(d0, columns, share), D, sums);
    };
    for (auto &row : X_own)
        for (Wide &x : row) x = Wide{};
    add(view.first, view.end, X_own);
    memcpy(X, X_own, sizeof X);
    add(0, view.first, X);
    add(view.end, rows, X);
    for (int j = 0; j < columns; j++) {
        const int d = d0 + j, k = view.m * D + d;
        const Wide w = s.precision[k], to_spread = s.total[d] / w, scale = s.h[d] * s.inverse_total[d];
        const Wide z = s.z[k], y = s.y[k];
        Wide over_all = all[j], over_own = s.own[view.m * BLOCK_COLUMNS + j];
        for (int i = 0; i < height; i++) {
            const int r = r0 + i;
            const Wide e = s.shares[r * D + d], along = s.V[r * D + d] * scale;
            const Wide G = along + X[i][j], own = to_spread * X_own[i][j];
            over_all += e * (along + G);
            over_own += to_spread * e * (own - 2.0 * G);
            float *spread = out.spreads[view.m] + ((int64_t)(r - view.first) * D + d) * b.n + p.at;
            expect_write(spread);
            store_wide(spread, 2.0 * w * (G - own) - (u[r] * z + s.v[r] * y), p.count);
        }
        all[j] = over_all, s.own[view.m * BLOCK_COLUMNS + j] = over_own;
    }
}

void both_gradients(const Beliefs &b, int rows, Place p, const Wide *u, const Scratch &s, const Gradients &out) {
    const int D = b.state;
    for (int d0 = 0; d0 < D; d0 += BLOCK_COLUMNS) {
        const int columns = at_most(BLOCK_COLUMNS, D - d0);
        Wide all[BLOCK_COLUMNS];
        for (int j = 0; j < columns; j++) all[j] = s.h[d0 + j] * s.inverse_total[d0 + j] * s.inverse_total[d0 + j];
        for (int k = 0; k < b.views * BLOCK_COLUMNS; k++) s.own[k] = Wide{};
        View view{0, 0, 0};
        for (; view.m < b.views; view.first = view.end, view.m++) {
            view.end = view.first + b.members[view.m];
            for (int r0 = view.first; r0 < view.end; r0 += BLOCK_ROWS)
                spread_gradient(b, rows, view, r0, at_most(BLOCK_ROWS, view.end - r0), d0, columns, p, u, s, out, all);
        }
        for (int m = 0; m < b.views; m++)
            for (int j = 0; j < columns; j++) {
                const int k = m * D + d0 + j;
                const Wide w = s.precision[k], by_variance = w * w * (all[j] + s.own[m * BLOCK_COLUMNS + j]);
                store_wide(out.variances[m] + (d0 + j) * b.n + p.at, by_variance - s.z[k] * s.y[k], p.count);
            }
    }
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int32_t ua3d_fuse_backward(int64_t n, int32_t views, int32_t state, const int32_t *members, const float *const *means,
                           const float *const *variances, const float *const *spreads, const double *saved,
                           const float *v_mean, const float *v_variance, float *const *v_means,
                           float *const *v_variances, float *const *v_spreads, int32_t threads) {
    return guarded([&] {
        const Beliefs b{n, views, state, members, means, variances, spreads};
        const Gradients out{v_means, v_variances, v_spreads};
        const int rows = b.rows();
        const size_t size = Scratch::size(b), kept = triangle(rows) + rows;
        Array<Wide> memory(size * std::max(threads, 1));
        parallel_for(n, GRAIN, threads, [&](int64_t begin, int64_t end, int thread) {
            const Scratch s(b, memory.data() + size * thread);
            for (int64_t at = begin; at < end; at += WIDE) {
                const Place p{at, (int)std::min<int64_t>(WIDE, end - at)};
                const Wide *factor = reinterpret_cast<const Wide *>(saved) + at / WIDE * kept;
                const Wide *u = factor + triangle(rows);
                read_diagonals(b, p, v_mean, v_variance, s);
                read_shares(b, p, u, s);
                solve(rows, factor, s.v);
                mean_vectors(b, p, s, out);
                if (!v_variance) {
                    mean_gradients(b, p, u, s, out);
                    continue;
                }
                solve_shares(rows, b.state, factor, s);
                square(rows, b.state, s);
                both_gradients(b, rows, p, u, s, out);
            }
        });
    });
}
