// The C interface of the native kernels, called through ctypes by ua3dtalk/native/__init__.py.
//
// Conventions of every function: arrays are contiguous, row-major, float32 or int32 (float64 where said), owned by the
// caller; `threads` is the largest number of threads to use, and no result depends on it; functions may be called from
// several threads at once. A return value of 0 (or a null work object) means that memory ran out.
// Change UA3D_ABI whenever a signature changes; the Python side refuses a library with another number.
#pragma once
#include <cstdint>

#define UA3D_ABI 3
#define UA3D_API extern "C" __attribute__((visibility("default")))

UA3D_API int32_t ua3d_abi();
// "baseline", "avx2" or "avx512": how this object was compiled.
UA3D_API const char *ua3d_isa();
// The best of these names that this machine's processor and system can run.
UA3D_API const char *ua3d_best_isa();

// Pinhole projection of n Gaussians into one camera (gsplat's fully_fused_projection). See projection.cpp.
UA3D_API int32_t ua3d_project(int64_t n, const float *means, const float *quats, const float *scales,
                              const float *opacities, const float *viewmat, const float *K, int32_t width,
                              int32_t height, float eps2d, float near_plane, float far_plane, int32_t *radii,
                              float *means2d, float *depths, float *conics, int32_t threads);
// Adds to v_means, v_quats, v_scales and (when not null) v_viewmat [4, 4].
UA3D_API int32_t ua3d_project_backward(int64_t n, const float *means, const float *quats, const float *scales,
                                       const float *viewmat, const float *K, int32_t width, int32_t height,
                                       float eps2d, const int32_t *radii, const float *conics, const float *v_means2d,
                                       const float *v_depths, const float *v_conics, float *v_means, float *v_quats,
                                       float *v_scales, float *v_viewmat, int32_t threads);

// Composites n projected Gaussians with `channels` features each (row stride `channels`), and their depth as one more
// channel when `with_depth`, into renders [height, width, channels + with_depth] and alphas [height, width].
// Returns the work object that the backward pass needs; free it with ua3d_rasterise_free.
UA3D_API void *ua3d_rasterise(int64_t n, int32_t channels, int32_t with_depth, const float *means2d,
                              const float *conics, const float *opacities, const float *depths, const int32_t *radii,
                              const float *colors, int32_t width, int32_t height, float *renders, float *alphas,
                              int32_t threads);
// Adds to v_means2d, v_absolute (when not null), v_conics, v_opacities, v_colors, v_depths.
UA3D_API int32_t ua3d_rasterise_backward(const void *work, const float *v_renders, const float *v_alphas,
                                         float *v_means2d, float *v_absolute, float *v_conics, float *v_opacities,
                                         float *v_colors, float *v_depths, int32_t threads);
UA3D_API void ua3d_rasterise_free(void *work);

// Colours [n, 3] = max(0, 0.5 + harmonics up to `degree` (0..3) at directions [n, 3] of any length times coefficients
// [n, bands, 3]). The gradient adds to v_directions (when not null) and v_coefficients.
UA3D_API int32_t ua3d_harmonics(int64_t n, int32_t degree, int32_t bands, const float *directions,
                                const float *coefficients, float *colors, int32_t threads);
UA3D_API int32_t ua3d_harmonics_backward(int64_t n, int32_t degree, int32_t bands, const float *directions,
                                         const float *coefficients, const float *colors, const float *v_colors,
                                         float *v_directions, float *v_coefficients, int32_t threads);

// l1_weight * mean|x - y| + ssim_weight * (1 - mean SSIM) of images [height, width, channels]; its gradient to x is
// written to `gradient` when that is not null.
UA3D_API int32_t ua3d_l1_ssim(const float *x, const float *y, float *gradient, int32_t height, int32_t width,
                              int32_t channels, float l1_weight, float ssim_weight, double *loss, int32_t threads);

// Z-buffer of n_faces triangles [n_faces, 3] with screen vertices [n_vertices, 3] (x px, y px, depth > 0): per pixel the
// face (-1: none), its perspective-correct barycentric weights [height, width, 3] and 1 / depth (0: none).
UA3D_API int32_t ua3d_mesh_rasterise(int64_t n_vertices, const float *vertices, int64_t n_faces, const int32_t *faces,
                                     int32_t width, int32_t height, int32_t *face_id, float *barycentric,
                                     float *inverse_depth);
// Attributes [n_vertices, columns] at the pixels that show a face, 0 elsewhere, into out [n_pixels, columns].
UA3D_API int32_t ua3d_mesh_interpolate(int64_t n_pixels, const int32_t *face_id, const float *barycentric,
                                       const int32_t *faces, int32_t columns, const float *attributes, float *out);

// Product of `views` Gaussian beliefs over each of n Gaussians, which are the innermost axis of every array: means,
// variances [state, n] and spreads [members[m], state, n] per view (members 0: no spread). Writes the fused mean and,
// when not null, the diagonal of the fused covariance [state, n]. `saved` (null when no gradient is wanted) holds
// ua3d_fuse_saved(n, sum of members) doubles for the backward pass, aligned to 64 bytes. See fusion.cpp.
UA3D_API int64_t ua3d_fuse_saved(int64_t n, int32_t rows);
UA3D_API int32_t ua3d_fuse(int64_t n, int32_t views, int32_t state, const int32_t *members, const float *const *means,
                           const float *const *variances, const float *const *spreads, float *mean, float *variance,
                           double *saved, int32_t threads);
// Writes the gradients of every view's mean, variance and spread; v_mean and v_variance may be null.
UA3D_API int32_t ua3d_fuse_backward(int64_t n, int32_t views, int32_t state, const int32_t *members,
                                    const float *const *means, const float *const *variances,
                                    const float *const *spreads, const double *saved, const float *v_mean,
                                    const float *v_variance, float *const *v_means, float *const *v_variances,
                                    float *const *v_spreads, int32_t threads);
