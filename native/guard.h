#pragma once
#include <exception>

namespace ua3d {

// Runs body at the C border, where no exception may pass; false when it threw (memory ran out).
template <class Body> bool guarded(const Body &body) {
    try {
        body();
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

}  // namespace ua3d
