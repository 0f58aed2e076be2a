// Large blocks that are used again by later calls: fresh memory from the system costs a page fault every 4 KiB,
// which is more than the work done on it here.
#pragma once
#include <cstddef>

namespace ua3d {

// A block of at least `bytes` bytes, aligned to 64, contents undefined. Throws std::bad_alloc.
void *take_block(size_t bytes);
// Gives a block back; a few are kept for the next call. Thread-safe, like take_block.
void return_block(void *block);

// An array of plain values in such a block; movable, not copyable.
template <class T> class Array {
  public:
    Array() = default;
    explicit Array(size_t count) : data_(static_cast<T *>(take_block(count * sizeof(T) + 64))), count_(count) {}
    Array(Array &&other) noexcept { swap(other); }
    Array &operator=(Array &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Array() {
        if (data_) return_block(data_);
    }
    T *data() { return data_; }
    const T *data() const { return data_; }
    size_t size() const { return count_; }
    T &operator[](size_t i) { return data_[i]; }
    const T &operator[](size_t i) const { return data_[i]; }
    void fill(T value) {
        for (size_t i = 0; i < count_; i++) data_[i] = value;
    }

  private:
    void swap(Array &other) noexcept {
        T *data = data_;
        size_t count = count_;
        data_ = other.data_, count_ = other.count_;
        other.data_ = data, other.count_ = count;
    }
    T *data_ = nullptr;
    size_t count_ = 0;
};

}  // namespace ua3d
