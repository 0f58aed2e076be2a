// L1 and structural similarity of two images in one go, with the gradient to the first.
//
// SSIM (Wang et al. 2004) as 3D Gaussian splatting uses it: an 11-tap Gaussian window with sigma 1.5, zeros beyond the
// border, C1 = 0.01^2, C2 = 0.03^2, the mean over pixels and channels. Three sweeps over rows, each split over threads:
//   1. blur x, y, xx, yy, xy along the row
//   2. blur them down the columns; S and its derivatives to the blurred x, xx, xy; blur those along the row
//   3. blur the derivatives down the columns; a blur is its own transpose, so this is the gradient
#include <cmath>
#include <cstring>

#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"

namespace ua3d {
namespace {

constexpr int TAPS = 11, REACH = 5;
constexpr float C1 = 1e-4f, C2 = 9e-4f;
enum Map { X, Y, XX, YY, XY, MAPS };
enum Derivative { D_X, D_XX, D_XY, DERIVATIVES };
constexpr int64_t GRAIN = 8;  // rows

struct Window {
    float weight[TAPS];
    Window() {
        double sum = 0.0, values[TAPS];
        for (int k = 0; k < TAPS; k++) sum += values[k] = std::exp(-(k - REACH) * (k - REACH) / (2 * 1.5 * 1.5));
        for (int k = 0; k < TAPS; k++) weight[k] = (float)(values[k] / sum);
    }
};

struct Images {
    const float *x, *y;
    int height, width, channels;
    Window window;
    int64_t row() const { return (int64_t)width * channels; }
    int64_t margin() const { return (int64_t)REACH * channels; }       // beyond both ends of a row: zeros
    int64_t padded() const { return row() + 2 * margin(); }
    int64_t size() const { return row() * height; }
};

// Blurs a padded row; its first value lies `margin` after `in`.
void blur_along(const Images &images, const float *in, float *out) {
    const float *w = images.window.weight;
    const int64_t n = images.row(), step = images.channels;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int k = 0; k < TAPS; k++) sum += w[k] * in[i + k * step];
        out[i] = sum;
    }
}

// Blurs row y of a map down the columns.
void blur_down(const Images &images, const float *map, int y, const float *zeros, float *out) {
    const float *w = images.window.weight, *rows[TAPS];
    const int64_t n = images.row();
    for (int k = 0; k < TAPS; k++) {
        int source = y + k - REACH;
        rows[k] = source >= 0 && source < images.height ? map + source * n : zeros;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int k = 0; k < TAPS; k++) sum += w[k] * rows[k][i];
        out[i] = sum;
    }
}

void products(const Images &images, int y, float *const *maps) {
    const float *x_row = images.x + y * images.row(), *y_row = images.y + y * images.row();
    for (int64_t i = 0; i < images.row(); i++) {
        float a = x_row[i], b = y_row[i];
        maps[X][i] = a, maps[Y][i] = b, maps[XX][i] = a * a, maps[YY][i] = b * b, maps[XY][i] = a * b;
    }
}

// The sum of S over a row from its blurred maps, and dS to the blurred x, xx and xy.
double similarity(int64_t n, const float *const *blurred, float *const *derivative) {
    const float *mx = blurred[X], *my = blurred[Y], *mxx = blurred[XX], *myy = blurred[YY], *mxy = blurred[XY];
    float *d_x = derivative[D_X], *d_xx = derivative[D_XX], *d_xy = derivative[D_XY];
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float a = mx[i], b = my[i];
        float A1 = 2 * a * b + C1, A2 = 2 * (mxy[i] - a * b) + C2;
        float B1 = a * a + b * b + C1, B2 = mxx[i] - a * a + myy[i] - b * b + C2;
        float inverse = 1.0f / (B1 * B2), S = A1 * A2 * inverse;
        float to_variance = -S * B1 * inverse, to_covariance = 2 * A1 * inverse;
        float to_mean = 2 * b * A2 * inverse - 2 * a * S * B2 * inverse;
        sum += S;
        d_x[i] = to_mean - 2 * a * to_variance - b * to_covariance;
        d_xx[i] = to_variance;
        d_xy[i] = to_covariance;
    }
    return sum;
}

// Writes a row of the gradient.
void finish_row(int64_t n, const float *x, const float *y, const float *const *blurred, float l1, float ssim,
                float *gradient) {
    const float *d_x = blurred[D_X], *d_xx = blurred[D_XX], *d_xy = blurred[D_XY];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float difference = x[i] - y[i];
        float sign = (float)(difference > 0) - (float)(difference < 0);
        gradient[i] = l1 * sign - ssim * (d_x[i] + 2 * x[i] * d_xx[i] + y[i] * d_xy[i]);
    }
}

double absolute_sum(int64_t n, const float *x, const float *y) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += std::fabs(x[i] - y[i]);
    return sum;
}

// `count` rows of one thread, each padded with zeros on both sides; row(k) is the first value.
class Rows {
  public:
    Rows(const Images &images, float *memory, int count) {
        memset(memory, 0, sizeof(float) * images.padded() * count);
        for (int k = 0; k < count; k++) row_[k] = memory + k * images.padded() + images.margin();
    }
    float *const *all() const { return row_; }
    float *operator[](int k) const { return row_[k]; }

  private:
    float *row_[MAPS + DERIVATIVES];
};

}  // namespace
}  // namespace ua3d

using namespace ua3d;

int32_t ua3d_l1_ssim(const float *x, const float *y, float *gradient, int32_t height, int32_t width, int32_t channels,
                     float l1_weight, float ssim_weight, double *loss, int32_t threads) {
    return guarded([&] {
        const Images images{x, y, height, width, channels, Window()};
        const int64_t n = images.row(), size = images.size();
        constexpr int COUNT = MAPS + DERIVATIVES;
        Array<float> maps(size * COUNT), memory(threads * images.padded() * COUNT), zeros(n);
        Array<double> sums(2 * height);
        zeros.fill(0.0f);
        float *derivatives = maps.data() + MAPS * size;
        auto rows_of = [&](int thread) { return Rows(images, memory.data() + thread * images.padded() * COUNT, COUNT); };
        const float scale = 1.0f / (float)size;

        parallel_for(height, GRAIN, threads, [&](int64_t begin, int64_t end, int thread) {
            Rows rows = rows_of(thread);
            for (int64_t r = begin; r < end; r++) {
                products(images, r, rows.all());
                for (int m = 0; m < MAPS; m++)
                    blur_along(images, rows[m] - images.margin(), maps.data() + m * size + r * n);
            }
        });
        parallel_for(height, GRAIN, threads, [&](int64_t begin, int64_t end, int thread) {
            Rows rows = rows_of(thread);
            for (int64_t r = begin; r < end; r++) {
                for (int m = 0; m < MAPS; m++) blur_down(images, maps.data() + m * size, r, zeros.data(), rows[m]);
                sums[2 * r] = similarity(n, rows.all(), rows.all() + MAPS);
                sums[2 * r + 1] = absolute_sum(n, x + r * n, y + r * n);
                for (int d = 0; gradient && d < DERIVATIVES; d++)
                    blur_along(images, rows[MAPS + d] - images.margin(), derivatives + d * size + r * n);
            }
        });
        double similar = 0.0, absolute = 0.0;
        for (int r = 0; r < height; r++) similar += sums[2 * r], absolute += sums[2 * r + 1];
        *loss = l1_weight * absolute / size + ssim_weight * (1.0 - similar / size);
        if (!gradient) return;
        parallel_for(height, GRAIN, threads, [&](int64_t begin, int64_t end, int thread) {
            Rows rows = rows_of(thread);
            for (int64_t r = begin; r < end; r++) {
                for (int d = 0; d < DERIVATIVES; d++) blur_down(images, derivatives + d * size, r, zeros.data(), rows[d]);
                finish_row(n, x + r * n, y + r * n, rows.all(), l1_weight * scale, ssim_weight * scale, gradient + r * n);
            }
        });
    });
}
