// Pinhole projection of 3D Gaussians to the screen and its gradient, sixteen Gaussians at a time.
//
// The formulas are gsplat's (EWA splatting, Zwicker et al. 2002): with R, t from the view matrix, p = R m + t,
//   U = J R           J the Jacobian of the perspective at p, its x/z and y/z clamped to 1.3 of the field of view
//   B = U Q S         Q the rotation of the normalised quaternion, S the scales
//   covariance = B B^T + eps2d I,  conic = covariance^-1
// The determinant is computed as |b0 x b1|^2 + eps2d (|b0|^2 + |b1|^2) + eps2d^2, which cannot cancel.
#include <cmath>

#include "columns.h"
#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"
#include "simd.h"

namespace ua3d {
namespace {

constexpr float ALPHA_THRESHOLD = 1.0f / 255.0f;
constexpr float LARGEST_EXTENT = 3.33f;  // standard deviations, when opacity does not ask for less
constexpr int64_t GRAIN = 64 * LANES;    // also the unit of the view matrix's partial sums

struct Camera {
    Lanes R[3][3], t[3];
    Lanes fx, fy, cx, cy;
    Lanes low_x, high_x, low_y, high_y;  // range of x/z and y/z outside of which the Jacobian is frozen
    float width, height, eps2d;

    Camera(const float *viewmat, const float *K, int width, int height, float eps2d)
        : width(width), height(height), eps2d(eps2d) {
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) R[i][j] = lanes(viewmat[4 * i + j]);
            t[i] = lanes(viewmat[4 * i + 3]);
        }
        fx = lanes(K[0]), fy = lanes(K[4]), cx = lanes(K[2]), cy = lanes(K[5]);
        float margin_x = 0.15f * width / K[0], margin_y = 0.15f * height / K[4];
        low_x = lanes(-K[2] / K[0] - margin_x), high_x = lanes((width - K[2]) / K[0] + margin_x);
        low_y = lanes(-K[5] / K[4] - margin_y), high_y = lanes((height - K[5]) / K[4] + margin_y);
    }
};

UA3D_INLINE Lanes dot3(const Lanes *a, const Lanes *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// What both directions compute for sixteen Gaussians.
struct Projected {
    Lanes p[3], inverse_z, u[2];  // u = x/z, y/z
    Lanes quat[4], inverse_norm, Q[3][3];
    Lanes clamped[2], J[2][2];  // J rows: (d/dx or d/dy, d/dz)
    Lanes U[2][3], UQ[2][3], B[2][3];
};

UA3D_INLINE void rotation(Projected &s) {
    Lanes norm = sqrt(s.quat[0] * s.quat[0] + dot3(s.quat + 1, s.quat + 1));
    s.inverse_norm = 1.0f / max(norm, lanes(1e-12f));
    for (Lanes &q : s.quat) q = q * s.inverse_norm;
    Lanes w = s.quat[0], x = s.quat[1], y = s.quat[2], z = s.quat[3];
    s.Q[0][0] = 1.0f - 2.0f * (y * y + z * z), s.Q[0][1] = 2.0f * (x * y - w * z), s.Q[0][2] = 2.0f * (x * z + w * y);
    s.Q[1][0] = 2.0f * (x * y + w * z), s.Q[1][1] = 1.0f - 2.0f * (x * x + z * z), s.Q[1][2] = 2.0f * (y * z - w * x);
    s.Q[2][0] = 2.0f * (x * z - w * y), s.Q[2][1] = 2.0f * (y * z + w * x), s.Q[2][2] = 1.0f - 2.0f * (x * x + y * y);
}

UA3D_INLINE void project_lanes(const Camera &c, const Lanes *mean, const Lanes *scale, Projected &s) {
    for (int i = 0; i < 3; i++) s.p[i] = dot3(c.R[i], mean) + c.t[i];
    s.inverse_z = 1.0f / s.p[2];
    s.u[0] = s.p[0] * s.inverse_z, s.u[1] = s.p[1] * s.inverse_z;
    s.clamped[0] = clamp(s.u[0], c.low_x, c.high_x), s.clamped[1] = clamp(s.u[1], c.low_y, c.high_y);
    rotation(s);
    s.J[0][0] = c.fx * s.inverse_z, s.J[0][1] = -s.J[0][0] * s.clamped[0];
    s.J[1][0] = c.fy * s.inverse_z, s.J[1][1] = -s.J[1][0] * s.clamped[1];
    for (int a = 0; a < 2; a++) {
        for (int k = 0; k < 3; k++) s.U[a][k] = s.J[a][0] * c.R[a][k] + s.J[a][1] * c.R[2][k];
        for (int k = 0; k < 3; k++) {
            s.UQ[a][k] = s.U[a][0] * s.Q[0][k] + s.U[a][1] * s.Q[1][k] + s.U[a][2] * s.Q[2][k];
            s.B[a][k] = s.UQ[a][k] * scale[k];
        }
    }
}

// Standard deviations at which alpha falls to the threshold; negative where it never reaches it.
UA3D_INLINE Lanes extent(const float *opacities, int64_t begin, int count) {
    alignas(64) float result[LANES] = {};
    for (int i = 0; i < LANES; i++) {
        float opacity = i < count ? opacities[begin + i] : 0.0f;
        result[i] = opacity >= ALPHA_THRESHOLD ? sqrtf(2.0f * logf(opacity / ALPHA_THRESHOLD)) : -1.0f;
    }
    return min(load(result), lanes(LARGEST_EXTENT));
}

UA3D_INLINE Lanes cross_squared(const Lanes *a, const Lanes *b) {
    Lanes x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2], z = a[0] * b[1] - a[1] * b[0];
    return x * x + y * y + z * z;
}

UA3D_INLINE Lanes ceiling(Lanes x) {
    alignas(64) float values[LANES];
    store(values, x);
    for (float &v : values) v = ceilf(v);
    return load(values);
}

struct ForwardOutputs {
    int32_t *radii;
    float *means2d, *depths, *conics;
};

// Lanes that are culled leave zeros in every output.
void finish_batch(const Camera &c, const Projected &s, Lanes extents, Mask in_depth, int64_t begin, int count,
                  const ForwardOutputs &out) {
    Lanes xx0 = dot3(s.B[0], s.B[0]), yy0 = dot3(s.B[1], s.B[1]), xy = dot3(s.B[0], s.B[1]);
    Lanes determinant = cross_squared(s.B[0], s.B[1]) + c.eps2d * (xx0 + yy0) + c.eps2d * c.eps2d;
    determinant = max(determinant, lanes(1e-10f));
    Lanes xx = xx0 + c.eps2d, yy = yy0 + c.eps2d, inverse = 1.0f / determinant;
    Lanes screen[2] = {c.fx * s.u[0] + c.cx, c.fy * s.u[1] + c.cy};
    Lanes radius[2] = {ceiling(extents * sqrt(xx)), ceiling(extents * sqrt(yy))};

    uint32_t visible = bits(in_depth) & bits(at_least(extents, lanes(0.0f)));
    visible &= bits(greater(screen[0] + radius[0], lanes(0.0f))) & bits(greater(lanes(c.width), screen[0] - radius[0]));
    visible &= bits(greater(screen[1] + radius[1], lanes(0.0f))) & bits(greater(lanes(c.height), screen[1] - radius[1]));
    visible &= bits(greater(radius[0], lanes(0.0f))) & bits(greater(radius[1], lanes(0.0f)));

    alignas(64) float columns[8][LANES];
    const Lanes results[8] = {radius[0], radius[1], screen[0], screen[1], s.p[2],
                              yy * inverse, -xy * inverse, xx * inverse};
    for (int k = 0; k < 8; k++) store(columns[k], results[k]);
    for (int i = 0; i < count; i++) {
        int64_t g = begin + i;
        bool seen = visible >> i & 1;
        for (int k = 0; k < 2; k++) {
            out.radii[2 * g + k] = seen ? (int32_t)fminf(columns[k][i], 1e9f) : 0;
            out.means2d[2 * g + k] = seen ? columns[2 + k][i] : 0.0f;
        }
        out.depths[g] = seen ? columns[4][i] : 0.0f;
        for (int k = 0; k < 3; k++) out.conics[3 * g + k] = seen ? columns[5 + k][i] : 0.0f;
    }
}

// ---- gradient ----------------------------------------------------------------------------------------------------

struct Upstream {
    Lanes means2d[2], depth, conic[3];
};

struct Gradient {
    Lanes mean[3], quat[4], scale[3];
    Lanes R[3][3], t[3];
};

// Gradient to B from the one to the conic: v_cov = -conic V conic with V the symmetric upstream, v_B = 2 v_cov B.
UA3D_INLINE void conic_backward(const Lanes *conic, const Lanes *v_conic, const Projected &s, Lanes v_B[2][3]) {
    Lanes a = conic[0], b = conic[1], c = conic[2];
    Lanes va = v_conic[0], vb = 0.5f * v_conic[1], vc = v_conic[2];
    Lanes m00 = a * va + b * vb, m01 = a * vb + b * vc, m10 = b * va + c * vb, m11 = b * vb + c * vc;
    Lanes xx = -2.0f * (m00 * a + m01 * b), xy = -2.0f * (m00 * b + m01 * c), yy = -2.0f * (m10 * b + m11 * c);
    for (int k = 0; k < 3; k++) {
        v_B[0][k] = xx * s.B[0][k] + xy * s.B[1][k];
        v_B[1][k] = xy * s.B[0][k] + yy * s.B[1][k];
    }
}

// From the rotation matrix to the quaternion before normalisation.
UA3D_INLINE void rotation_backward(const Projected &s, const Lanes v_Q[3][3], Lanes *v_quat) {
    Lanes w = s.quat[0], x = s.quat[1], y = s.quat[2], z = s.quat[3];
    Lanes v[4];
    v[0] = x * (v_Q[2][1] - v_Q[1][2]) + y * (v_Q[0][2] - v_Q[2][0]) + z * (v_Q[1][0] - v_Q[0][1]);
    v[1] = y * (v_Q[0][1] + v_Q[1][0]) + z * (v_Q[0][2] + v_Q[2][0]) + w * (v_Q[2][1] - v_Q[1][2]) -
           2.0f * x * (v_Q[1][1] + v_Q[2][2]);
    v[2] = x * (v_Q[0][1] + v_Q[1][0]) + z * (v_Q[1][2] + v_Q[2][1]) + w * (v_Q[0][2] - v_Q[2][0]) -
           2.0f * y * (v_Q[0][0] + v_Q[2][2]);
    v[3] = x * (v_Q[0][2] + v_Q[2][0]) + y * (v_Q[1][2] + v_Q[2][1]) + w * (v_Q[1][0] - v_Q[0][1]) -
           2.0f * z * (v_Q[0][0] + v_Q[1][1]);
    Lanes along = v[0] * w + v[1] * x + v[2] * y + v[3] * z;
    for (int k = 0; k < 4; k++) v_quat[k] = 2.0f * (v[k] - along * s.quat[k]) * s.inverse_norm;
}

// From the screen position, the depth and the Jacobian to the position in the camera's frame.
UA3D_INLINE void position_backward(const Camera &c, const Projected &s, const Upstream &up, const Lanes v_J[2][2],
                                   Lanes *v_p) {
    const Lanes low[2] = {c.low_x, c.low_y}, high[2] = {c.high_x, c.high_y};
    v_p[2] = up.depth;
    for (int a = 0; a < 2; a++) {
        // J = (f/z, -f k/z): k = x/z moves with the point only where it is not clamped.
        Lanes inside = select(at_least(s.u[a], low[a]), lanes(1.0f), lanes(0.0f));
        inside = keep(at_least(high[a], s.u[a]), inside);
        Lanes v_u = up.means2d[a] * s.J[a][0] - inside * v_J[a][1] * s.J[a][0] * s.inverse_z;
        v_p[a] = v_u;
        v_p[2] = v_p[2] - v_u * s.u[a] - (v_J[a][0] * s.J[a][0] + v_J[a][1] * s.J[a][1]) * s.inverse_z;
    }
}

UA3D_INLINE void backward_lanes(const Camera &c, const Projected &s, const Lanes *mean, const Lanes *scale,
                                const Lanes *conic, const Upstream &up, Gradient &g) {
    Lanes v_B[2][3], v_UQ[2][3], v_U[2][3], v_Q[3][3], v_J[2][2], v_p[3];
    conic_backward(conic, up.conic, s, v_B);
    for (int k = 0; k < 3; k++) {
        g.scale[k] = v_B[0][k] * s.UQ[0][k] + v_B[1][k] * s.UQ[1][k];
        for (int a = 0; a < 2; a++) v_UQ[a][k] = v_B[a][k] * scale[k];
    }
    for (int r = 0; r < 3; r++) {
        for (int k = 0; k < 3; k++) v_Q[r][k] = s.U[0][r] * v_UQ[0][k] + s.U[1][r] * v_UQ[1][k];
        for (int a = 0; a < 2; a++) v_U[a][r] = dot3(s.Q[r], v_UQ[a]);
    }
    rotation_backward(s, v_Q, g.quat);
    for (int a = 0; a < 2; a++) v_J[a][0] = dot3(v_U[a], c.R[a]), v_J[a][1] = dot3(v_U[a], c.R[2]);
    position_backward(c, s, up, v_J, v_p);
    for (int k = 0; k < 3; k++) {
        g.mean[k] = c.R[0][k] * v_p[0] + c.R[1][k] * v_p[1] + c.R[2][k] * v_p[2];
        g.t[k] = v_p[k];
        g.R[0][k] = v_p[0] * mean[k] + s.J[0][0] * v_U[0][k];
        g.R[1][k] = v_p[1] * mean[k] + s.J[1][0] * v_U[1][k];
        g.R[2][k] = v_p[2] * mean[k] + s.J[0][1] * v_U[0][k] + s.J[1][1] * v_U[1][k];
    }
}

// Adds the lanes in `where` of (R | t) to sums [12].
void add_view_gradient(const Gradient &g, Lanes where, double *sums) {
    Lanes values[12];
    alignas(64) float totals[16];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) values[4 * i + j] = g.R[i][j];
        values[4 * i + 3] = g.t[i];
    }
    for (Lanes &v : values) v = keep(greater(where, lanes(0.0f)), v);
    sum_lanes<12>(values, totals);
    for (int k = 0; k < 12; k++) sums[k] += totals[k];
}

struct Inputs {
    const float *means, *quats, *scales;
};

struct BackwardArrays {
    const int32_t *radii;
    const float *conics, *v_means2d, *v_depths, *v_conics;
    float *v_means, *v_quats, *v_scales;
};

void backward_batch(const Camera &c, const Inputs &in, const BackwardArrays &a, int64_t begin, int count,
                    double *view_sums) {
    alignas(64) float seen[LANES] = {};
    uint32_t visible = 0;
    for (int i = 0; i < count; i++)
        if (a.radii[2 * (begin + i)] > 0) seen[i] = 1.0f, visible |= 1u << i;
    if (!visible) return;
    Lanes mean[3], scale[3], conic[3];
    Projected s;
    Upstream up;
    load_columns<3>(in.means, begin, count, mean);
    load_columns<4>(in.quats, begin, count, s.quat);
    load_columns<3>(in.scales, begin, count, scale);
    load_columns<3>(a.conics, begin, count, conic);
    load_columns<2>(a.v_means2d, begin, count, up.means2d);
    load_columns<1>(a.v_depths, begin, count, &up.depth);
    load_columns<3>(a.v_conics, begin, count, up.conic);
    project_lanes(c, mean, scale, s);
    Gradient g;
    backward_lanes(c, s, mean, scale, conic, up, g);
    add_columns<3>(g.mean, visible, begin, a.v_means);
    add_columns<4>(g.quat, visible, begin, a.v_quats);
    add_columns<3>(g.scale, visible, begin, a.v_scales);
    if (view_sums) add_view_gradient(g, load(seen), view_sums);
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int32_t ua3d_project(int64_t n, const float *means, const float *quats, const float *scales, const float *opacities,
                     const float *viewmat, const float *K, int32_t width, int32_t height, float eps2d,
                     float near_plane, float far_plane, int32_t *radii, float *means2d, float *depths, float *conics,
                     int32_t threads) {
    return guarded([&] {
        const Camera camera(viewmat, K, width, height, eps2d);
        const ForwardOutputs out{radii, means2d, depths, conics};
        parallel_for(n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; i += LANES) {
                int count = (int)std::min<int64_t>(LANES, end - i);
                Lanes mean[3], scale[3];
                Projected s;
                load_columns<3>(means, i, count, mean);
                load_columns<4>(quats, i, count, s.quat);
                load_columns<3>(scales, i, count, scale);
                project_lanes(camera, mean, scale, s);
                Lanes inside = keep(greater(s.p[2], lanes(near_plane)), lanes(1.0f));
                inside = keep(greater(lanes(far_plane), s.p[2]), inside);
                finish_batch(camera, s, extent(opacities, i, count), greater(inside, lanes(0.0f)), i, count, out);
            }
        });
    });
}

int32_t ua3d_project_backward(int64_t n, const float *means, const float *quats, const float *scales,
                              const float *viewmat, const float *K, int32_t width, int32_t height, float eps2d,
                              const int32_t *radii, const float *conics, const float *v_means2d, const float *v_depths,
                              const float *v_conics, float *v_means, float *v_quats, float *v_scales, float *v_viewmat,
                              int32_t threads) {
    return guarded([&] {
        const Camera camera(viewmat, K, width, height, eps2d);
        const Inputs in{means, quats, scales};
        const BackwardArrays arrays{radii, conics, v_means2d, v_depths, v_conics, v_means, v_quats, v_scales};
        const int64_t pieces = (n + GRAIN - 1) / GRAIN;
        Array<double> view_sums(v_viewmat ? 12 * pieces : 0);
        view_sums.fill(0.0);
        parallel_for(n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
            double *sums = v_viewmat ? view_sums.data() + begin / GRAIN * 12 : nullptr;
            for (int64_t i = begin; i < end; i += LANES)
                backward_batch(camera, in, arrays, i, (int)std::min<int64_t>(LANES, end - i), sums);
        });
        if (!v_viewmat) return;
        double total[12] = {};
        for (int64_t piece = 0; piece < pieces; piece++)
            for (int k = 0; k < 12; k++) total[k] += view_sums[12 * piece + k];
        for (int k = 0; k < 12; k++) v_viewmat[k] += (float)total[k];
    });
}
