// What the two passes share: alpha of a Gaussian at sixteen pixels, and the choice of a compiled channel count.
#pragma once
#include <type_traits>

#include "binning.h"

#define UA3D_INLINE_MEMBER inline __attribute__((always_inline))

namespace ua3d {
namespace {

// Offsets of a block's pixels from its first one.
alignas(64) constexpr float LANE_X[LANES] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) constexpr float LANE_Y[LANES] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};

// log2 of opacity * exp(-sigma). The conic comes from a positive determinant, so sigma >= 0 needs no test.
UA3D_INLINE Lanes exponent(const Row &g, Lanes x, Lanes y) {
    Lanes dx = x - g.mean_x, dy = y - g.mean_y;
    return dx * (g.x_x * dx + g.x_y * dy) + (g.y_y * dy * dy + g.log2_opacity);
}

UA3D_INLINE Lanes alpha_of(Lanes exponent) {
    Lanes alpha = min(exp2(exponent), lanes(ALPHA_MAX));
    return keep(at_least(exponent, lanes(LOG2_THRESHOLD)), alpha);
}

// Calls body with the number of channels as a compile-time constant where there is a variant for it, else with 0.
template <class Body> void dispatch(int channels, const Body &body) {
    switch (channels) {
        case 1: return body(std::integral_constant<int, 1>{});
        case 2: return body(std::integral_constant<int, 2>{});
        case 3: return body(std::integral_constant<int, 3>{});
        case 4: return body(std::integral_constant<int, 4>{});
        case 5: return body(std::integral_constant<int, 5>{});
        case 6: return body(std::integral_constant<int, 6>{});
        case 7: return body(std::integral_constant<int, 7>{});
        case 8: return body(std::integral_constant<int, 8>{});
        default: return body(std::integral_constant<int, 0>{});
    }
}

}  // namespace
}  // namespace ua3d
