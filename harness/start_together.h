#pragma once
// Threads that start at the same moment and are joined, with what they threw.
//
//   start_together(10, [&](int i) { ... });          // returns when all have ended; rethrows the first exception
//
// Thread safety: the function runs on all the threads at once. Nothing happens before all of them exist, so that short
// work collides.

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace touchstone::harness {

template <class Work>
void start_together(int threads, Work work) {
  std::atomic<int> missing{threads};
  std::mutex mutex;
  std::exception_ptr thrown;
  std::vector<std::thread> crowd;
  crowd.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    crowd.emplace_back([&, i] {
      missing.fetch_sub(1);
      while (missing.load() > 0) std::this_thread::yield();
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!thrown) thrown = std::current_exception();
      }
    });
  }
  for (auto& thread : crowd) thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace touchstone::harness
