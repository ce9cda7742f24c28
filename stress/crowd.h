#pragma once
// Threads that meet: the two ways in which a scenario on real threads makes its workers collide.
//
//   together(10, [&](int i) { ... });                             // ten threads, let go at once, joined
//   in_rounds(10, 500, prepare, work, settle);                    // 500 times: prepare(r); work(r, i) on ten threads; settle(r)
//   by_somebody_else([&] { store.compare_and_swap(...); });       // from inside a body, where a commit would be nested
//
// Thread safety: prepare and settle run alone, on the calling thread; work runs on all the others at once. What work throws ends
// the process, as on any thread: a check that fails is reported by EXPECT, not by ASSERT.

#include <barrier>
#include <thread>
#include <vector>

namespace touchstone::stress {

template <class Prepare, class Work, class Settle>
void in_rounds(int threads, int rounds, Prepare prepare, Work work, Settle settle) {
  std::barrier line(threads + 1);
  std::vector<std::thread> crowd;
  crowd.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    crowd.emplace_back([&, i] {
      for (int round = 0; round < rounds; ++round) {
        line.arrive_and_wait();
        work(round, i);
        line.arrive_and_wait();
      }
    });
  }
  for (int round = 0; round < rounds; ++round) {
    prepare(round);
    line.arrive_and_wait();
    line.arrive_and_wait();
    settle(round);
  }
  for (auto& thread : crowd) thread.join();
}

template <class Work>
void together(int threads, Work work) {
  in_rounds(
      threads, 1, [](int) {}, [&](int, int i) { work(i); }, [](int) {});
}

template <class Act>
void by_somebody_else(Act act) {
  std::thread(act).join();
}

}  // namespace touchstone::stress
