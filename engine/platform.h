#pragma once
// The seam: everything in the engine that is not pure comes from a policy `P` that satisfies `Platform`.
//
//   template <Platform P> class Store;              // the engine, written once
//   Store<NativePlatform> store;                    // real threads: forwards inline to std, costs nothing
//   Store<ControlledPlatform> store;                // every operation below becomes a scheduling point
//
// Both are instantiated in one binary, so that one test body runs on real threads and under control.
//
// What a platform gives, and what the engine may assume of it:
//   P::atomic<T>        std::atomic's load, store, exchange, compare_exchange_strong, fetch_add, fetch_sub,
//   fetch_or and
//                       fetch_and, with the memory orders as given. T is an integer, an enum or a pointer.
//   P::mutex            lock, try_lock, unlock. Not recursive. Only for slow paths.
//   P::cell<T>          plain data that a protocol protects: read() and write() are race-checked under
//   control. P::await(a, pred)   returns the first value of `a` for which pred(value) holds. For words that
//   another thread releases
//                       soon (a lock held for an install). No wake-up call is needed: a change of the word is
//                       enough.
//   P::wait_until(a, pred, deadline)
//                       the same for long waits. The thread sleeps; it looks again when notify_all(a) is
//                       called *after* the change, and gives up at `deadline` with nullopt. A change without
//                       notify_all is not seen before then.
//   P::notify_all(a)    wakes the threads in wait_until on `a`.
//   P::yield()          lets others run. Never needed for progress.
//   P::now()            steady time. P::sleep_until(t) returns at t or later. Under control both are virtual.
//   P::random           a generator: P::random r(seed, stream); r.below(n) is uniform in [0, n). Under
//   control each draw is a
//                       decision of the schedule.
//   P::thread           constructed from a callable; join(). Not joined twice, never detached.
//   P::process_id()     the pid now, never cached.
//   P::thread_slot()    a void*& that belongs to the calling (virtual) thread, null at its start.
//   P::fault_point(name)  a named place where a test may stop, delay or crash the caller. `name` is a string
//   literal.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>

namespace touchstone::engine {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;
inline constexpr Time kForever = Time::max();

template <class P>
concept Platform = requires(typename P::template atomic<std::uint64_t>& a, typename P::mutex& m,
                            typename P::random& r, typename P::template cell<int>& c, typename P::counter& n,
                            bool (*pred)(std::uint64_t), Time t) {
  { a.load() } -> std::same_as<std::uint64_t>;
  { P::await(a, pred) } -> std::same_as<std::uint64_t>;
  { P::wait_until(a, pred, t) } -> std::same_as<std::optional<std::uint64_t>>;
  P::notify_all(a);
  m.lock();
  m.unlock();
  { c.read() } -> std::convertible_to<int>;
  c.write(1);
  n.add(std::uint64_t{1});
  { n.load() } -> std::same_as<std::uint64_t>;
  P::yield();
  { P::now() } -> std::same_as<Time>;
  P::sleep_until(t);
  { r.below(std::uint64_t{1}) } -> std::same_as<std::uint64_t>;
  { P::process_id() } -> std::integral;
  { P::thread_slot() } -> std::same_as<void*&>;
  P::fault_point("name");
  typename P::thread;
};

}  // namespace touchstone::engine
