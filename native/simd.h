// Sixteen float lanes that move together: 16 pixels of a 4 x 4 block, or 16 Gaussians.
//
// `Vec` is one register of the machine (4, 8 or 16 floats). Wider lanes are built by pairing, not by asking the
// compiler for a vector wider than the machine's: GCC turns selects on such vectors into scalar code.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace ua3d {

#define UA3D_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX2__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
constexpr int LANES = 16;

typedef float Vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Bits __attribute__((vector_size(4 * WIDTH)));
#if defined(__AVX512F__)
typedef __mmask16 VecMask;
#else
typedef Bits VecMask;  // all ones where true
#endif

// ---- one register ------------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
UA3D_INLINE VecMask greater(Vec a, Vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
UA3D_INLINE VecMask at_least(Vec a, Vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ); }
UA3D_INLINE Vec select(VecMask m, Vec a, Vec b) { return (Vec)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
UA3D_INLINE uint32_t bits(VecMask m) { return m; }
UA3D_INLINE Vec min(Vec a, Vec b) { return (Vec)_mm512_min_ps((__m512)a, (__m512)b); }
UA3D_INLINE Vec max(Vec a, Vec b) { return (Vec)_mm512_max_ps((__m512)a, (__m512)b); }
UA3D_INLINE Vec sqrt(Vec a) { return (Vec)_mm512_sqrt_ps((__m512)a); }
UA3D_INLINE Vec absolute(Vec a) { return (Vec)_mm512_abs_ps((__m512)a); }
#else
UA3D_INLINE VecMask greater(Vec a, Vec b) { return a > b; }
UA3D_INLINE VecMask at_least(Vec a, Vec b) { return a >= b; }
UA3D_INLINE Vec select(VecMask m, Vec a, Vec b) { return m ? a : b; }
UA3D_INLINE Vec absolute(Vec a) { return (Vec)((Bits)a & 0x7fffffff); }
#if defined(__AVX2__)
UA3D_INLINE uint32_t bits(VecMask m) { return (uint32_t)_mm256_movemask_ps((__m256)m); }
UA3D_INLINE Vec min(Vec a, Vec b) { return (Vec)_mm256_min_ps((__m256)a, (__m256)b); }
UA3D_INLINE Vec max(Vec a, Vec b) { return (Vec)_mm256_max_ps((__m256)a, (__m256)b); }
UA3D_INLINE Vec sqrt(Vec a) { return (Vec)_mm256_sqrt_ps((__m256)a); }
#elif defined(__SSE2__)
UA3D_INLINE uint32_t bits(VecMask m) { return (uint32_t)_mm_movemask_ps((__m128)m); }
UA3D_INLINE Vec min(Vec a, Vec b) { return (Vec)_mm_min_ps((__m128)a, (__m128)b); }
UA3D_INLINE Vec max(Vec a, Vec b) { return (Vec)_mm_max_ps((__m128)a, (__m128)b); }
UA3D_INLINE Vec sqrt(Vec a) { return (Vec)_mm_sqrt_ps((__m128)a); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
UA3D_INLINE uint32_t bits(VecMask m) {
    const Bits place = {1, 2, 4, 8};
    return (uint32_t)vaddvq_s32((int32x4_t)(m & place));
}
UA3D_INLINE Vec min(Vec a, Vec b) { return (Vec)vminq_f32((float32x4_t)a, (float32x4_t)b); }
UA3D_INLINE Vec max(Vec a, Vec b) { return (Vec)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
UA3D_INLINE Vec sqrt(Vec a) { return (Vec)vsqrtq_f32((float32x4_t)a); }
#else
UA3D_INLINE uint32_t bits(VecMask m) {
    uint32_t result = 0;
    for (int i = 0; i < WIDTH; i++) result |= (uint32_t)(m[i] & 1) << i;
    return result;
}
UA3D_INLINE Vec min(Vec a, Vec b) { return select(a < b, a, b); }
UA3D_INLINE Vec max(Vec a, Vec b) { return select(a > b, a, b); }
UA3D_INLINE Vec sqrt(Vec a) {
    for (int i = 0; i < WIDTH; i++) a[i] = sqrtf(a[i]);
    return a;
}
#endif
#endif

// 2^x for x in [-126, 127]; smaller x give about 2^-126. Relative error below 3e-7.
UA3D_INLINE Vec exp2(Vec x) {
    auto polynomial = [](Vec f) {  // 2^f on [0, 1), minimax of degree 5
        Vec r = f * 1.8775767e-3f + 8.9893397e-3f;
        r = r * f + 5.5826318e-2f;
        r = r * f + 2.4015361e-1f;
        r = r * f + 6.9315308e-1f;
        return r * f + 9.9999994e-1f;
    };
#if defined(__AVX512F__)
    __m512 fraction = _mm512_reduce_ps((__m512)x, 0x01);  // x - floor(x)
    return (Vec)_mm512_scalef_ps((__m512)polynomial((Vec)fraction), (__m512)x);
#else
    x = max(x, Vec{} - 126.0f);
    Bits whole = __builtin_convertvector(x, Bits);
    whole += x < __builtin_convertvector(whole, Vec);  // truncation to floor: true is -1
    Vec fraction = x - __builtin_convertvector(whole, Vec);
    return (Vec)((Bits)polynomial(fraction) + (whole << 23));
#endif
}

// 1 / x to about 1e-7 relative, for x not tiny.
UA3D_INLINE Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
    __m512 y = _mm512_rcp14_ps((__m512)x);
    return (Vec)_mm512_mul_ps(y, _mm512_fnmadd_ps((__m512)x, y, _mm512_set1_ps(2.0f)));
#elif defined(__AVX2__)
    __m256 y = _mm256_rcp_ps((__m256)x);
    return (Vec)y * (2.0f - x * (Vec)y);
#elif defined(__SSE2__)
    __m128 y = _mm_rcp_ps((__m128)x);
    return (Vec)y * (2.0f - x * (Vec)y);
#else
    return 1.0f / x;
#endif
}

// ---- pairs -------------------------------------------------------------------------------------------------------

template <class T> struct Twice {
    T low, high;
};

#define UA3D_OPERATOR(op)                                                                                          \
    template <class T> UA3D_INLINE Twice<T> operator op(Twice<T> a, Twice<T> b) {                                   \
        return {a.low op b.low, a.high op b.high};                                                                  \
    }                                                                                                               \
    template <class T> UA3D_INLINE Twice<T> operator op(Twice<T> a, float b) { return {a.low op b, a.high op b}; }  \
    template <class T> UA3D_INLINE Twice<T> operator op(float a, Twice<T> b) { return {a op b.low, a op b.high}; }  \
    template <class T> UA3D_INLINE void operator op##=(Twice<T> &a, Twice<T> b) {                                   \
        a.low = a.low op b.low;                                                                                     \
        a.high = a.high op b.high;                                                                                  \
    }
UA3D_OPERATOR(+)
UA3D_OPERATOR(-)
UA3D_OPERATOR(*)
UA3D_OPERATOR(/)
#undef UA3D_OPERATOR
template <class T> UA3D_INLINE Twice<T> operator-(Twice<T> a) { return {-a.low, -a.high}; }
template <class T> UA3D_INLINE Twice<T> operator&(Twice<T> a, Twice<T> b) { return {a.low & b.low, a.high & b.high}; }

template <class T> UA3D_INLINE auto greater(Twice<T> a, Twice<T> b) {
    return Twice<decltype(greater(a.low, b.low))>{greater(a.low, b.low), greater(a.high, b.high)};
}
template <class T> UA3D_INLINE auto at_least(Twice<T> a, Twice<T> b) {
    return Twice<decltype(at_least(a.low, b.low))>{at_least(a.low, b.low), at_least(a.high, b.high)};
}
template <class M, class T> UA3D_INLINE Twice<T> select(Twice<M> m, Twice<T> a, Twice<T> b) {
    return {select(m.low, a.low, b.low), select(m.high, a.high, b.high)};
}
template <class T> UA3D_INLINE uint32_t bits(Twice<T> m) {
    constexpr int half = sizeof(T) / 4;
    return bits(m.low) | (bits(m.high) << half);
}
template <class T> UA3D_INLINE Twice<T> min(Twice<T> a, Twice<T> b) { return {min(a.low, b.low), min(a.high, b.high)}; }
template <class T> UA3D_INLINE Twice<T> max(Twice<T> a, Twice<T> b) { return {max(a.low, b.low), max(a.high, b.high)}; }
template <class T> UA3D_INLINE Twice<T> sqrt(Twice<T> a) { return {sqrt(a.low), sqrt(a.high)}; }
template <class T> UA3D_INLINE Twice<T> absolute(Twice<T> a) { return {absolute(a.low), absolute(a.high)}; }
template <class T> UA3D_INLINE Twice<T> exp2(Twice<T> a) { return {exp2(a.low), exp2(a.high)}; }
template <class T> UA3D_INLINE Twice<T> reciprocal(Twice<T> a) { return {reciprocal(a.low), reciprocal(a.high)}; }

// ---- sixteen lanes -----------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
typedef Vec Lanes;
typedef VecMask Mask;
#elif defined(__AVX2__)
typedef Twice<Vec> Lanes;
typedef Twice<VecMask> Mask;
#else
typedef Twice<Twice<Vec>> Lanes;
typedef Twice<Twice<VecMask>> Mask;
#endif
constexpr uint32_t ALL = 0xffff;

UA3D_INLINE bool all(VecMask m) { return bits(m) == (1u << WIDTH) - 1; }
template <class T> UA3D_INLINE bool all(Twice<T> m) { return all(m.low & m.high); }

UA3D_INLINE void spread(float x, Vec &out) { out = Vec{} + x; }
template <class T> UA3D_INLINE void spread(float x, Twice<T> &out) {
    spread(x, out.low);
    spread(x, out.high);
}
UA3D_INLINE Lanes lanes(float x) {
    Lanes out;
    spread(x, out);
    return out;
}
// Register by register: a pair copied as a whole goes through narrower moves, and reading it back stalls.
UA3D_INLINE void load_into(const float *from, Vec &out) { memcpy(&out, from, sizeof out); }
template <class T> UA3D_INLINE void load_into(const float *from, Twice<T> &out) {
    load_into(from, out.low);
    load_into(from + sizeof(T) / 4, out.high);
}
UA3D_INLINE Lanes load(const float *from) {
    Lanes out;
    load_into(from, out);
    return out;
}
UA3D_INLINE void store(float *to, Vec x) { memcpy(to, &x, sizeof x); }
template <class T> UA3D_INLINE void store(float *to, Twice<T> x) {
    store(to, x.low);
    store(to + sizeof(T) / 4, x.high);
}
UA3D_INLINE Lanes clamp(Lanes x, Lanes low, Lanes high) { return min(max(x, low), high); }
// x where the mask holds, else 0.
UA3D_INLINE Lanes keep(Mask m, Lanes x) { return select(m, x, lanes(0.0f)); }

// ---- sums over lanes ---------------------------------------------------------------------------------------------

// One step of a transposed sum: lanes at distance D are added; even groups of the result come from a, odd ones from b.
template <int D, int... I> UA3D_INLINE Vec fold(Vec a, Vec b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (I % (2 * D) < D ? I : I - D + WIDTH)...) +
           __builtin_shufflevector(a, b, (I % (2 * D) < D ? I + D : I + WIDTH)...);
#else
    return __builtin_shuffle(a, b, Bits{(I % (2 * D) < D ? I : I - D + WIDTH)...}) +
           __builtin_shuffle(a, b, Bits{(I % (2 * D) < D ? I + D : I + WIDTH)...});
#endif
}
template <int D> UA3D_INLINE Vec fold(Vec a, Vec b) { return fold<D>(a, b, std::make_integer_sequence<int, WIDTH>{}); }

// Lane i of the result is the sum of the lanes of v[i].
template <int D> UA3D_INLINE Vec fold_all(const Vec *v) {
    if constexpr (D == 0) {
        return v[0];
    } else {
        Vec half[D];
#pragma GCC unroll 16
        for (int i = 0; i < D; i++) half[i] = fold<D>(v[i], v[i + D]);
        return fold_all<D / 2>(half);
    }
}

UA3D_INLINE Vec add_parts(Vec x) { return x; }
template <class T> UA3D_INLINE Vec add_parts(Twice<T> x) { return add_parts(x.low + x.high); }

// out[i] = sum of the 16 lanes of v[i] for i < N; out needs room for N rounded up to WIDTH.
template <int N> UA3D_INLINE void sum_lanes(const Lanes *v, float *out) {
#pragma GCC unroll 16
    for (int start = 0; start < N; start += WIDTH) {
        Vec group[WIDTH];
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH; i++) group[i] = start + i < N ? add_parts(v[start + i]) : Vec{};
        Vec sums = fold_all<WIDTH / 2>(group);
        memcpy(out + start, &sums, sizeof sums);
    }
}

}  // namespace ua3d
