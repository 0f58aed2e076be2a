// What every variant of the library tells about itself, and the pool of memory blocks.
#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

#include "interface.h"
#include "memory.h"

int32_t ua3d_abi() { return UA3D_ABI; }

const char *ua3d_isa() { return UA3D_ISA; }

const char *ua3d_best_isa() {
#if defined(__x86_64__)
    // These also ask whether the operating system saves the wide registers.
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx2 && avx512) return "avx512";
    if (avx2) return "avx2";
#endif
    return "baseline";
}

namespace ua3d {
namespace {

constexpr size_t HEADER = 64;  // holds the block's size and keeps the alignment
constexpr int SLOTS = 32;      // free blocks kept
constexpr size_t KEPT_MAX = size_t(256) << 20;  // bytes of all free blocks together

struct Pool {
    std::mutex mutex;
    char *free_blocks[SLOTS] = {};
    size_t kept = 0;  // bytes
};

Pool &pool() {
    static Pool *instance = new Pool;  // never destroyed: threads may outlive static destructors
    return *instance;
}

size_t &size_of(char *block) { return *reinterpret_cast<size_t *>(block); }

// The smallest kept block that fits without wasting more than three quarters of it, or null.
char *take_kept(size_t bytes) {
    Pool &p = pool();
    std::lock_guard<std::mutex> lock(p.mutex);
    char **best = nullptr;
    for (char *&block : p.free_blocks) {
        if (!block || size_of(block) < bytes || size_of(block) / 4 > bytes + 4096) continue;
        if (!best || size_of(block) < size_of(*best)) best = &block;
    }
    if (!best) return nullptr;
    char *block = *best;
    *best = nullptr;
    p.kept -= size_of(block);
    return block;
}

}  // namespace

void *take_block(size_t bytes) {
    bytes += HEADER;
    char *block = take_kept(bytes);
    if (!block) {
        size_t rounded = (bytes + bytes / 4 + 4095) & ~size_t(4095);  // room to grow into: sizes vary between calls
        block = static_cast<char *>(aligned_alloc(64, rounded));
        if (!block) throw std::bad_alloc();
        size_of(block) = rounded;
    }
    return block + HEADER;
}

void return_block(void *pointer) {
    char *block = static_cast<char *>(pointer) - HEADER;
    {
        Pool &p = pool();
        std::lock_guard<std::mutex> lock(p.mutex);
        char **free_slot = std::find(p.free_blocks, p.free_blocks + SLOTS, nullptr);
        if (free_slot != p.free_blocks + SLOTS && p.kept + size_of(block) <= KEPT_MAX) {
            p.kept += size_of(block);
            *free_slot = block;
            return;
        }
    }
    free(block);
}

}  // namespace ua3d
