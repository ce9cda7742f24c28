#pragma once
// Runs functions side by side, each in a process of its own, so that a crash of one is an answer.
//
//   std::vector<ChildEnd> ends = run_children({first, second}, progress, std::chrono::seconds(20));
//
// A child is forked without exec and sees the caller's memory; the caller must have one thread. It is killed when its parent dies, and when
// its progress does not rise for as long as `patience`. SIGINT is the parent's to handle: children ignore it.
//
// Thread safety: one thread.

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

namespace touchstone::harness::fuzzing {

/// Objects in memory that children write and the parent reads, whatever becomes of the child.
template <class T>
class Shared {
 public:
  explicit Shared(std::size_t size) : size_(size) {
    void* const memory =
        ::mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    objects_ = new (memory) T[size]();
  }
  ~Shared() { ::munmap(objects_, size_ * sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator[](std::size_t at) { return objects_[at]; }
  std::size_t size() const { return size_; }

 private:
  static_assert(std::is_trivially_destructible_v<T>);

  T* objects_ = nullptr;
  std::size_t size_;
};

/// What each child is doing now: it raises its counter, and is taken to hang when it does not.
using SharedProgress = Shared<std::atomic<std::uint64_t>>;

struct ChildEnd {
  bool returned = false;
  std::string
      text;  ///< what the function returned; or how the child ended: "signal 11 (Segmentation fault)", "hung"
};

std::vector<ChildEnd> run_children(const std::vector<std::function<std::string()>>& functions,
                                   SharedProgress& progress, std::chrono::seconds patience);

}  // namespace touchstone::harness::fuzzing
