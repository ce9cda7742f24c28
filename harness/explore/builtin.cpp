#include "harness/explore/builtin.h"

#include <algorithm>
#include <array>
#include <memory>

#include "harness/explore/controlled_platform.h"
#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

namespace {

using P = ControlledPlatform;
using std::memory_order;

constexpr int kMostThreads = 16;

/// Starts `threads` threads, each running work(its number from 0), and joins them.
template <class Work>
void run_threads(int threads, const Work& work) {
  std::array<P::thread, kMostThreads> started;
  for (int i = 0; i < threads; ++i) started[static_cast<std::size_t>(i)] = P::thread([&work, i] { work(i); });
  for (int i = 0; i < threads; ++i) started[static_cast<std::size_t>(i)].join();
}

/// x = 1; r = y  beside  y = 1; r = x.
std::function<void()> store_buffering(memory_order order) {
  return [order] {
    std::array<P::atomic<int>, 2> word;
    run_threads(2, [&](int i) {
      word[static_cast<std::size_t>(i)].store(1, order);
      static_cast<void>(word[static_cast<std::size_t>(1 - i)].load(order));
    });
  };
}

/// data = 1 (relaxed); flag = 1 (release)  beside  if (flag (acquire) == 1) r = data (relaxed).
std::function<void()> message_passing(memory_order publish, memory_order observe) {
  return [publish, observe] {
    P::atomic<int> data{0};
    P::atomic<int> flag{0};
    run_threads(2, [&](int i) {
      if (i == 0) {
        data.store(1, memory_order::relaxed);
        flag.store(1, publish);
      } else if (flag.load(observe) == 1) {
        static_cast<void>(data.load(memory_order::relaxed));
      }
    });
  };
}

/// x = 1 | y = 1 | r = x; s = y | t = y; u = x.
std::function<void()> independent_reads(memory_order write, memory_order read) {
  return [write, read] {
    std::array<P::atomic<int>, 2> word;
    run_threads(4, [&](int i) {
      const auto at = static_cast<std::size_t>(i % 2);
      if (i < 2) {
        word[at].store(1, write);
      } else {
        static_cast<void>(word[at].load(read));
        static_cast<void>(word[1 - at].load(read));
      }
    });
  };
}

/// x = 1; x = 2  beside  r = x; s = x, all relaxed.
void read_read_coherence() {
  P::atomic<int> word{0};
  run_threads(2, [&](int i) {
    for (int n = 1; n <= 2; ++n) {
      if (i == 0) {
        word.store(n, memory_order::relaxed);
      } else {
        static_cast<void>(word.load(memory_order::relaxed));
      }
    }
  });
}

constexpr int kPetersonSpins = 5;

/// Peterson's lock for two threads, every access seq_cst: flag[me] = 1; turn = other; then at most kPetersonSpins looks at
/// flag[other] and, if that is 1, at turn; a look that finds neither flag[other] == 0 nor turn == me is a spin. Who is not
/// let in by the last look stops there (an assumption that fails). Inside: a plain cell is written; then flag[me] = 0.
void peterson() {
  std::array<P::atomic<int>, 2> flag;
  P::atomic<int> turn{0};
  P::cell<int> inside;
  run_threads(2, [&](int me) {
    const int other = 1 - me;
    flag[static_cast<std::size_t>(me)].store(1);
    turn.store(other);
    bool entered = false;
    for (int spin = 0; spin < kPetersonSpins && !entered; ++spin) {
      entered = flag[static_cast<std::size_t>(other)].load() == 0 || turn.load() != other;
    }
    assume(entered);
    inside.write(me);
    flag[static_cast<std::size_t>(me)].store(0);
  });
}

std::vector<Builtin> make_builtins() {
  using enum std::memory_order;
  return {
      {"fetch-add-3x3", "3 threads add 1 to one counter 3 times", 1680, 0, false, fetch_add_program(3, 3)},
      {"fetch-add-2x2", "2 threads add 1 to one counter twice", 6, 0, false, fetch_add_program(2, 2)},
      {"cas-2x1", "2 threads increment by a compare-exchange loop once", 4, 0, false, cas_program(2, 1)},
      {"cas-2x2", "2 threads increment by a compare-exchange loop twice", 40, 0, false, cas_program(2, 2)},
      {"cas-3x1", "3 threads increment by a compare-exchange loop once", 48, 0, false, cas_program(3, 1)},
      {"cas-3x2", "3 threads increment by a compare-exchange loop twice", 28032, 0, false, cas_program(3, 2)},
      {"mutex-2x2", "2 threads enter one mutex twice", 6, 0, false, mutex_program(2, 2)},
      {"mutex-3x2", "3 threads enter one mutex twice", 90, 0, false, mutex_program(3, 2)},
      {"readers-4", "1 writer stores once, 4 readers load once", 16, 0, false, readers_program(4)},
      {"readers-7", "1 writer stores once, 7 readers load once", 128, 0, false, readers_program(7)},
      {"lastzero-10", "10 writers and a search for the last zero", 3328, 0, false, last_zero_program(10)},
      {"lastzero-15", "15 writers and a search for the last zero", 147456, 0, false, last_zero_program(15)},
      {"treiber-2", "2 threads push and pop once", 40, 0, false, treiber_program(2)},
      {"treiber-3", "3 threads push and pop once", 25680, 0, false, treiber_program(3)},
      {"committers-2", "2 optimistic committers on 2 keys", 8, 0, false, optimistic_program(2, 2)},
      {"committers-3", "3 optimistic committers on 2 keys, ticket at the 2nd failure", 696, 0, false,
       optimistic_program(3, 2)},
      {"store-buffering", "store then load the other's word, seq_cst", 3, 0, true, store_buffering(seq_cst)},
      {"store-buffering-relaxed", "store then load the other's word, relaxed", 4, 0, true,
       store_buffering(relaxed)},
      {"message-passing", "data relaxed, flag release and acquire", 2, 0, true,
       message_passing(release, acquire)},
      {"message-passing-relaxed", "data and flag relaxed", 3, 0, true, message_passing(relaxed, relaxed)},
      {"iriw-acquire", "2 writers release, 2 readers acquire in opposite order", 16, 0, true,
       independent_reads(release, acquire)},
      {"iriw", "2 writers, 2 readers in opposite order, seq_cst", 15, 0, true,
       independent_reads(seq_cst, seq_cst)},
      {"read-read-coherence", "2 stores beside 2 loads of one word, relaxed", 6, 0, true,
       read_read_coherence},
      {"peterson", "Peterson's lock, at most 5 looks", 60, 14, false, peterson},
  };
}

}  // namespace

std::function<void()> fetch_add_program(int threads, int times) {
  return [threads, times] {
    P::atomic<int> counter{0};
    run_threads(threads, [&](int) {
      for (int n = 0; n < times; ++n) counter.fetch_add(1);
    });
    require(counter.load() == threads * times, "no increment is lost");
  };
}

std::function<void()> cas_program(int threads, int times) {
  return [threads, times] {
    P::atomic<int> counter{0};
    run_threads(threads, [&](int) {
      for (int n = 0; n < times; ++n) {
        int seen = counter.load();
        while (!counter.compare_exchange_strong(seen, seen + 1)) {
        }
      }
    });
    require(counter.load() == threads * times, "no increment is lost");
  };
}

std::function<void()> mutex_program(int threads, int times) {
  return [threads, times] {
    P::mutex mutex;
    P::cell<int> counter;
    run_threads(threads, [&](int) {
      for (int n = 0; n < times; ++n) {
        mutex.lock();
        counter.write(counter.read() + 1);
        mutex.unlock();
      }
    });
    require(counter.read() == threads * times, "no increment is lost");
  };
}

std::function<void()> readers_program(int readers) {
  return [readers] {
    P::atomic<int> word{0};
    run_threads(readers + 1, [&](int i) {
      if (i == 0) {
        word.store(1);
      } else {
        static_cast<void>(word.load());
      }
    });
  };
}

std::function<void()> last_zero_program(int n) {
  return [n] {
    std::array<P::atomic<int>, kMostThreads> word;
    run_threads(n + 1, [&](int i) {
      if (i == 0) {
        auto at = static_cast<std::size_t>(n);
        while (word[at].load() != 0) --at;
      } else {
        const auto at = static_cast<std::size_t>(i);
        word[at].store(word[at - 1].load() + 1);
      }
    });
  };
}

std::function<void()> treiber_program(int threads) {
  return [threads] {
    P::atomic<int> head{0};  // 0: empty; node i belongs to thread i - 1
    std::array<P::atomic<int>, kMostThreads> next;
    std::array<int, kMostThreads> popped{};
    run_threads(threads, [&](int i) {
      const int mine = i + 1;
      int top = head.load();
      do {
        next[static_cast<std::size_t>(mine)].store(top);
      } while (!head.compare_exchange_strong(top, mine));
      top = head.load();
      while (!head.compare_exchange_strong(top, next[static_cast<std::size_t>(top)].load())) {
      }
      popped[static_cast<std::size_t>(i)] = top;
    });
    std::sort(popped.begin(), popped.begin() + threads);
    for (int i = 0; i < threads; ++i)
      require(popped[static_cast<std::size_t>(i)] == i + 1, "every node is popped once");
  };
}

std::function<void()> optimistic_program(int threads, int threshold) {
  return [threads, threshold] {
    std::array<P::atomic<int>, 2> version;
    P::atomic<int> ticket{0};
    P::mutex mutex;
    run_threads(threads, [&](int i) {
      const int me = i + 1;
      int failures = 0;
      while (true) {
        P::await(ticket, [me](int holder) { return holder == 0 || holder == me; });
        const int first = version[0].load();
        const int second = version[1].load();
        mutex.lock();
        const bool valid = version[0].load() == first && version[1].load() == second;
        if (valid) {
          version[0].store(first + 1);
          version[1].store(second + 1);
        }
        mutex.unlock();
        if (valid) break;
        if (++failures == threshold) ticket.store(me);
      }
      if (failures >= threshold) ticket.store(0);
    });
    require(version[0].load() == threads && version[1].load() == threads, "every commit counts");
  };
}

const std::vector<Builtin>& builtins() {
  static const std::vector<Builtin> all = make_builtins();
  return all;
}

const Builtin* find_builtin(std::string_view name) {
  const auto found =
      std::find_if(builtins().begin(), builtins().end(), [name](const Builtin& b) { return b.name == name; });
  return found == builtins().end() ? nullptr : &*found;
}

}  // namespace touchstone::harness::explore
