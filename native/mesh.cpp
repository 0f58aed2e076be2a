// A z-buffer for triangle meshes: which face each pixel shows, and where on it.
#include <algorithm>
#include <cmath>

#include "guard.h"
#include "interface.h"

namespace {

struct Vertex {
    float x, y, depth;
};

// Twice the signed area of (a, b, point) as a function of the point, in double: faces that share an edge must decide
// its pixels the same way.
struct Edge {
    double x, y, constant;
    Edge(const Vertex &a, const Vertex &b, double scale = 1.0)
        : x(-((double)b.y - a.y) * scale), y(((double)b.x - a.x) * scale), constant(-(x * a.x + y * a.y)) {}
    double operator()(double px, double py) const { return x * px + y * py + constant; }
};

struct Image {
    int width, height;
    int32_t *face_id;
    float *barycentric, *inverse_depth;
};

// The pixels whose centres lie within [low, high], as [first, last].
int first_pixel(float low) { return (int)std::ceil(std::clamp(low - 0.5f, 0.0f, 1e9f)); }
int last_pixel(float high, int size) { return (int)std::floor(std::clamp(high - 0.5f, -1.0f, (float)(size - 1))); }

// Keeps the nearest face of each pixel; the first one wins a tie, and either winding is drawn.
void draw(const Vertex &a, const Vertex &b, const Vertex &c, int32_t face, const Image &image) {
    if (!(a.depth > 0 && b.depth > 0 && c.depth > 0)) return;
    const double area = Edge(a, b)(c.x, c.y);
    if (!(std::fabs(area) > 1e-12) || !std::isfinite(area)) return;
    const Edge at_a(b, c, 1 / area), at_b(c, a, 1 / area);
    const double inverse_a = 1.0 / a.depth, inverse_b = 1.0 / b.depth, inverse_c = 1.0 / c.depth;
    const int y1 = last_pixel(std::max({a.y, b.y, c.y}), image.height);
    const int x0 = first_pixel(std::min({a.x, b.x, c.x})), x1 = last_pixel(std::max({a.x, b.x, c.x}), image.width);
    for (int y = first_pixel(std::min({a.y, b.y, c.y})); y <= y1; y++) {
        for (int x = x0; x <= x1; x++) {
            double u = at_a(x + 0.5, y + 0.5), v = at_b(x + 0.5, y + 0.5), w = 1.0 - u - v;
            if (u < 0 || v < 0 || w < 0) continue;
            // 1/depth is linear on the screen; weights of the surface point follow from it.
            double ua = u * inverse_a, vb = v * inverse_b, wc = w * inverse_c, inverse = ua + vb + wc;
            int64_t pixel = (int64_t)y * image.width + x;
            if (image.inverse_depth[pixel] >= (float)inverse) continue;
            image.face_id[pixel] = face;
            image.inverse_depth[pixel] = (float)inverse;
            float *weights = image.barycentric + 3 * pixel;
            weights[0] = (float)(ua / inverse), weights[1] = (float)(vb / inverse), weights[2] = (float)(wc / inverse);
        }
    }
}

}  // namespace

int32_t ua3d_mesh_rasterise(int64_t n_vertices, const float *vertices, int64_t n_faces, const int32_t *faces,
                            int32_t width, int32_t height, int32_t *face_id, float *barycentric,
                            float *inverse_depth) {
    return ua3d::guarded([&] {
        const int64_t pixels = (int64_t)width * height;
        std::fill(face_id, face_id + pixels, -1);
        std::fill(barycentric, barycentric + 3 * pixels, 0.0f);
        std::fill(inverse_depth, inverse_depth + pixels, 0.0f);
        const Image image{width, height, face_id, barycentric, inverse_depth};
        const Vertex *points = reinterpret_cast<const Vertex *>(vertices);
        for (int64_t f = 0; f < n_faces; f++) {
            const int32_t *corner = faces + 3 * f;
            if (std::any_of(corner, corner + 3, [&](int32_t i) { return i < 0 || i >= n_vertices; })) continue;
            draw(points[corner[0]], points[corner[1]], points[corner[2]], (int32_t)f, image);
        }
    });
}

int32_t ua3d_mesh_interpolate(int64_t n_pixels, const int32_t *face_id, const float *barycentric, const int32_t *faces,
                              int32_t columns, const float *attributes, float *out) {
    for (int64_t pixel = 0; pixel < n_pixels; pixel++) {
        float *values = out + pixel * columns;
        std::fill(values, values + columns, 0.0f);
        if (face_id[pixel] < 0) continue;
        for (int corner = 0; corner < 3; corner++) {
            const float weight = barycentric[3 * pixel + corner];
            const float *row = attributes + (int64_t)faces[3 * (int64_t)face_id[pixel] + corner] * columns;
            for (int k = 0; k < columns; k++) values[k] += weight * row[k];
        }
    }
    return 1;
}
