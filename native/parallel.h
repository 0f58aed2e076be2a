// Loops over threads whose results never depend on the number of threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#ifdef _OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif

namespace ua3d {
namespace {

// Runs body(thread) on each of `threads` threads. The body must not throw.
template <class Body> void on_threads(int threads, const Body &body) {
    if (threads <= 1) return body(0);
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    body(omp_get_thread_num());
#else
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back([&body, i] { body(i); });
    body(0);
    for (auto &other : others) other.join();
#endif
}

// Threads worth starting for `items` pieces of work when one thread should get at least `grain` of them.
inline int useful_threads(int threads, int64_t items, int64_t grain) {
    return (int)std::max<int64_t>(1, std::min<int64_t>(threads, items / std::max<int64_t>(grain, 1)));
}

// Calls body(begin, end, thread) for pieces of `grain` items that cover [0, items); whoever is free takes the next.
// Pieces begin at multiples of the grain whatever the number of threads is.
template <class Body> void parallel_for(int64_t items, int64_t grain, int threads, const Body &body) {
    std::atomic<int64_t> next{0};
    on_threads(useful_threads(threads, items, grain), [&](int thread) {
        for (;;) {
            int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
            if (begin >= items) return;
            body(begin, std::min(begin + grain, items), thread);
        }
    });
}

}  // namespace
}  // namespace ua3d
