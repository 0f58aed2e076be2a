// A z-buffer for triangle meshes: which face each pixel shows, and where on it.
#include <algorithm>
#include <cmath>

#include "guard.h"
#include "interface.h"

namespace {

struct Vertex {
    float x, y, depth;
};

// Twice the signed area of (a, b, point), in double: faces that share an edge must decide its pixels the same way.
double edge(const Vertex &a, const Vertex &b, double x, double y) {
    return ((double)b.x - a.x) * (y - a.y) - ((double)b.y - a.y) * (x - a.x);
}

struct Image {
    int width, height;
    int32_t *face_id;
    float *barycentric, *depth;
};

// The pixels whose centres lie within [low, high], as [first, last].
int first_pixel(float low) { return (int)std::ceil(std::max(low - 0.5f, 0.0f)); }
int last_pixel(float high, int size) { return (int)std::floor(std::min(high - 0.5f, (float)(size - 1))); }

// Keeps the nearest face of each pixel; the first one wins a tie, and either winding is drawn.
void draw(const Vertex &a, const Vertex &b, const Vertex &c, int32_t face, const Image &image) {
    if (!(a.depth > 0 && b.depth > 0 && c.depth > 0)) return;
    const double area = edge(a, b, c.x, c.y);
    if (!(std::fabs(area) > 1e-12)) return;
    const int y1 = last_pixel(std::max({a.y, b.y, c.y}), image.height);
    const int x1 = last_pixel(std::max({a.x, b.x, c.x}), image.width);
    for (int y = first_pixel(std::min({a.y, b.y, c.y})); y <= y1; y++) {
        for (int x = first_pixel(std::min({a.x, b.x, c.x})); x <= x1; x++) {
            double u = edge(b, c, x + 0.5, y + 0.5) / area, v = edge(c, a, x + 0.5, y + 0.5) / area, w = 1.0 - u - v;
            if (u < 0 || v < 0 || w < 0) continue;
            // 1/depth is linear on the screen; weights of the surface point follow from it.
            double ua = u / a.depth, vb = v / b.depth, wc = w / c.depth, inverse = ua + vb + wc;
            float depth = (float)(1.0 / inverse);
            int64_t pixel = (int64_t)y * image.width + x;
            if (image.face_id[pixel] >= 0 && image.depth[pixel] <= depth) continue;
            image.face_id[pixel] = face;
            image.depth[pixel] = depth;
            float *weights = image.barycentric + 3 * pixel;
            weights[0] = (float)(ua / inverse), weights[1] = (float)(vb / inverse), weights[2] = (float)(wc / inverse);
        }
    }
}

}  // namespace

int32_t ua3d_mesh_rasterise(int64_t n_vertices, const float *vertices, int64_t n_faces, const int32_t *faces,
                            int32_t width, int32_t height, int32_t *face_id, float *barycentric, float *depth) {
    return ua3d::guarded([&] {
        const int64_t pixels = (int64_t)width * height;
        std::fill(face_id, face_id + pixels, -1);
        std::fill(barycentric, barycentric + 3 * pixels, 0.0f);
        std::fill(depth, depth + pixels, 0.0f);
        const Image image{width, height, face_id, barycentric, depth};
        const Vertex *points = reinterpret_cast<const Vertex *>(vertices);
        for (int64_t f = 0; f < n_faces; f++) {
            const int32_t *corner = faces + 3 * f;
            if (std::any_of(corner, corner + 3, [&](int32_t i) { return i < 0 || i >= n_vertices; })) continue;
            draw(points[corner[0]], points[corner[1]], points[corner[2]], (int32_t)f, image);
        }
    });
}
