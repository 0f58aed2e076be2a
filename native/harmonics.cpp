// Colours from real spherical harmonics, sixteen Gaussians at a time; order and signs of ua3dtalk/splat/sh.py.
#include <type_traits>

#include "columns.h"
#include "guard.h"
#include "interface.h"
#include "parallel.h"

namespace ua3d {
namespace {

constexpr int64_t GRAIN = 32 * LANES;
constexpr float C0 = 0.28209479177387814f, C1 = 0.4886025119029199f;
constexpr float P2 = 1.0925484305920792f, Q2 = 0.31539156525252005f, R2 = 0.5462742152960396f;
constexpr float P3 = 0.5900435899266435f, Q3 = 2.890611442640554f, R3 = 0.4570457994644658f, S3 = 0.3731763325901154f,
                T3 = 1.445305721320277f;

constexpr int count_of(int degree) { return (degree + 1) * (degree + 1); }

// The harmonics at unit vectors d.
template <int DEGREE> UA3D_INLINE void basis(const Lanes *d, Lanes *out) {
    Lanes x = d[0], y = d[1], z = d[2];
    out[0] = lanes(C0);
    if constexpr (DEGREE >= 1) out[1] = -C1 * y, out[2] = C1 * z, out[3] = -C1 * x;
    if constexpr (DEGREE >= 2) {
        out[4] = P2 * x * y, out[5] = -P2 * y * z, out[6] = Q2 * (2.0f * z * z - x * x - y * y);
        out[7] = -P2 * x * z, out[8] = R2 * (x * x - y * y);
    }
    if constexpr (DEGREE >= 3) {
        Lanes xx = x * x, yy = y * y, zz = z * z;
        out[9] = -P3 * y * (3.0f * xx - yy), out[10] = Q3 * x * y * z, out[11] = -R3 * y * (4.0f * zz - xx - yy);
        out[12] = S3 * z * (2.0f * zz - 3.0f * xx - 3.0f * yy), out[13] = -R3 * x * (4.0f * zz - xx - yy);
        out[14] = T3 * z * (xx - yy), out[15] = -P3 * x * (xx - 3.0f * yy);
    }
}

// The gradient to d of the harmonics weighted by v, before normalisation is taken into account.
template <int DEGREE> UA3D_INLINE void basis_backward(const Lanes *d, const Lanes *v, Lanes *v_d) {
    Lanes x = d[0], y = d[1], z = d[2];
    for (int k = 0; k < 3; k++) spread(0.0f, v_d[k]);
    if constexpr (DEGREE >= 1) v_d[0] = -C1 * v[3], v_d[1] = -C1 * v[1], v_d[2] = C1 * v[2];
    if constexpr (DEGREE >= 2) {
        v_d[0] += P2 * (y * v[4] - z * v[7]) - 2.0f * Q2 * x * v[6] + 2.0f * R2 * x * v[8];
        v_d[1] += P2 * (x * v[4] - z * v[5]) - 2.0f * Q2 * y * v[6] - 2.0f * R2 * y * v[8];
        v_d[2] += 4.0f * Q2 * z * v[6] - P2 * (y * v[5] + x * v[7]);
    }
    if constexpr (DEGREE >= 3) {
        Lanes xx = x * x, yy = y * y, zz = z * z, xy = x * y, xz = x * z, yz = y * z;
        v_d[0] += Q3 * yz * v[10] - 6.0f * P3 * xy * v[9] + 2.0f * R3 * xy * v[11] - 6.0f * S3 * xz * v[12] -
                  R3 * (4.0f * zz - 3.0f * xx - yy) * v[13] + 2.0f * T3 * xz * v[14] - 3.0f * P3 * (xx - yy) * v[15];
        v_d[1] += Q3 * xz * v[10] - 3.0f * P3 * (xx - yy) * v[9] - R3 * (4.0f * zz - xx - 3.0f * yy) * v[11] -
                  6.0f * S3 * yz * v[12] + 2.0f * R3 * xy * v[13] - 2.0f * T3 * yz * v[14] + 6.0f * P3 * xy * v[15];
        v_d[2] += Q3 * xy * v[10] - 8.0f * R3 * yz * v[11] + 3.0f * S3 * (2.0f * zz - xx - yy) * v[12] -
                  8.0f * R3 * xz * v[13] + T3 * (xx - yy) * v[14];
    }
}

// Loads directions and makes them unit vectors; returns 1 / length.
UA3D_INLINE Lanes load_directions(const float *directions, int64_t begin, int count, Lanes *d) {
    load_columns<3>(directions, begin, count, d);
    Lanes length = max(sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), lanes(1e-12f));
    Lanes inverse = 1.0f / length;
    for (int k = 0; k < 3; k++) d[k] = d[k] * inverse;
    return inverse;
}

struct Inputs {
    int bands;
    const float *directions, *coefficients;
};

template <int DEGREE> void forward_batch(const Inputs &in, int64_t begin, int count, float *colors) {
    constexpr int K = count_of(DEGREE);
    Lanes d[3], values[K], coefficients[3 * K];
    alignas(64) float columns[3][LANES];
    load_directions(in.directions, begin, count, d);
    load_columns<3 * K>(in.coefficients, begin, count, coefficients, 3 * in.bands);
    basis<DEGREE>(d, values);
    for (int c = 0; c < 3; c++) {
        Lanes sum = lanes(0.5f);
        for (int k = 0; k < K; k++) sum += values[k] * coefficients[3 * k + c];
        store(columns[c], max(sum, lanes(0.0f)));
    }
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) colors[3 * (begin + i) + c] = columns[c][i];
}

template <int DEGREE>
void backward_batch(const Inputs &in, const float *colors, const float *v_colors, int64_t begin, int count,
                    float *v_directions, float *v_coefficients) {
    constexpr int K = count_of(DEGREE);
    const uint32_t where = (1u << count) - 1;
    Lanes d[3], values[K], color[3], v[3], v_rows[3 * K];
    Lanes inverse = load_directions(in.directions, begin, count, d);
    basis<DEGREE>(d, values);
    load_columns<3>(colors, begin, count, color);
    load_columns<3>(v_colors, begin, count, v);
    for (int c = 0; c < 3; c++) v[c] = keep(greater(color[c], lanes(0.0f)), v[c]);
    for (int k = 0; k < K; k++)
        for (int c = 0; c < 3; c++) v_rows[3 * k + c] = values[k] * v[c];
    add_columns<3 * K>(v_rows, where, begin, v_coefficients, 3 * in.bands);
    if (!v_directions || DEGREE == 0) return;

    Lanes coefficients[3 * K], v_values[K], v_d[3];
    load_columns<3 * K>(in.coefficients, begin, count, coefficients, 3 * in.bands);
    for (int k = 0; k < K; k++)
        v_values[k] = v[0] * coefficients[3 * k] + v[1] * coefficients[3 * k + 1] + v[2] * coefficients[3 * k + 2];
    basis_backward<DEGREE>(d, v_values, v_d);
    Lanes along = v_d[0] * d[0] + v_d[1] * d[1] + v_d[2] * d[2];
    for (int k = 0; k < 3; k++) v_d[k] = (v_d[k] - along * d[k]) * inverse;
    add_columns<3>(v_d, where, begin, v_directions);
}

// Calls body(begin, count, degree) for batches of sixteen, the degree as a compile-time constant.
template <class Body> void for_batches(int64_t n, int degree, int threads, const Body &body) {
    auto run = [&](auto constant) {
        parallel_for(n, GRAIN, threads, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; i += LANES) body(i, (int)std::min<int64_t>(LANES, end - i), constant);
        });
    };
    switch (degree) {
        case 0: return run(std::integral_constant<int, 0>{});
        case 1: return run(std::integral_constant<int, 1>{});
        case 2: return run(std::integral_constant<int, 2>{});
        default: return run(std::integral_constant<int, 3>{});
    }
}

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int32_t ua3d_harmonics(int64_t n, int32_t degree, int32_t bands, const float *directions, const float *coefficients,
                       float *colors, int32_t threads) {
    return guarded([&] {
        const Inputs in{bands, directions, coefficients};
        for_batches(n, degree, threads, [&](int64_t begin, int count, auto constant) {
            forward_batch<constant.value>(in, begin, count, colors);
        });
    });
}

int32_t ua3d_harmonics_backward(int64_t n, int32_t degree, int32_t bands, const float *directions,
                                const float *coefficients, const float *colors, const float *v_colors,
                                float *v_directions, float *v_coefficients, int32_t threads) {
    return guarded([&] {
        const Inputs in{bands, directions, coefficients};
        for_batches(n, degree, threads, [&](int64_t begin, int count, auto constant) {
            backward_batch<constant.value>(in, colors, v_colors, begin, count, v_directions, v_coefficients);
        });
    });
}
