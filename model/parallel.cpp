#include "model/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace touchstone::model {
namespace {

class Crew {
 public:
  Crew(std::size_t count, const std::function<void(std::size_t item, std::size_t thread)>& work)
      : count_(count), work_(work) {}

  void run(std::size_t threads) {
    std::vector<std::thread> others;
    others.reserve(threads - 1);
    try {
      while (others.size() + 1 < threads)
        others.emplace_back([this, thread = others.size() + 1] { work_on(thread); });
    } catch (const std::exception&) {
      // No more threads: those that there are do it.
    }
    work_on(0);
    for (std::thread& other : others) other.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work_on(std::size_t thread) {
    // Relaxed: which thread gets an item makes no difference; what they write is published by the join.
    for (std::size_t item = 0; (item = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      try {
        work_(item, thread);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (item < failed_) {
          failed_ = item;
          failure_ = std::current_exception();
        }
        // Relaxed: a thread that misses it does one item more.
        next_.store(count_, std::memory_order_relaxed);
      }
    }
  }

  std::size_t count_;
  const std::function<void(std::size_t item, std::size_t thread)>& work_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::size_t failed_ = ~std::size_t{0};
  std::exception_ptr failure_;
};

}  // namespace

unsigned threads_for(unsigned wanted) {
  if (wanted != 0) return wanted;
  static const unsigned machine =
      std::max(1U, std::thread::hardware_concurrency());  // asks the system each time
  return machine;
}

void for_each_in_parallel(std::size_t count, unsigned threads,
                          const std::function<void(std::size_t item, std::size_t thread)>& work) {
  if (count != 0) Crew(count, work).run(std::clamp<std::size_t>(threads, 1, count));
}

}  // namespace touchstone::model
