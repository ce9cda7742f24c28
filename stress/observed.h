#pragma once
// What a refused commit could have changed, and what a pinned reader could have seen changed: shared by the tests of A7 and A10
// and by their claims.
//
//   const Observed before = observe(store, paths, effects.size());
//   ...; observe(store, paths, effects.size()) == before      // state, version, the paths' versions, effects published
//
// Thread safety: one thread.

#include <atomic>
#include <latch>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/store.h"

namespace touchstone::stress {

struct Observed {
  engine::Version version;
  std::map<std::string, std::string> values;
  std::map<std::string, engine::Version> changed;
  std::size_t effects;

  friend bool operator==(const Observed&, const Observed&) = default;
};

/// Of these paths and of one below each.
inline Observed observe(engine::Store<>& store, const std::vector<std::string>& paths, std::size_t effects) {
  const auto snapshot = store.snapshot();
  Observed seen{snapshot.version(), {}, {}, effects};
  for (const std::string& base : paths) {
    for (const std::string& path : {base, base + ".below"}) {
      const auto value = snapshot.read(path);
      seen.values[path] = value ? to_text(*value) : "absent";
      seen.changed[path] = snapshot.changed(path);
    }
  }
  return seen;
}

/// What became of a reader's version and of its memory.
struct Pinned {
  bool torn = false;                ///< a read of its version changed while others committed
  std::uint64_t looks = 0;          ///< reads of the whole state meanwhile
  std::uint64_t commits = 0;        ///< of the others
  std::uint64_t values_for_it = 0;  ///< old values that were freed when it let go, and not before
  std::uint64_t snapshots_open = 0;
};

/// Two writers pass `commits` commits over `keys` keys, with erases among them, while two pinned readers read all keys again
/// and again, and a third lets go last of all.
inline Pinned pass_by_a_pinned_reader(engine::Store<>& store, int keys, int commits) {
  using engine::WriteSet;
  const auto key = [](int i) { return "data.k" + std::to_string(i); };
  WriteSet first;
  for (int i = 0; i < keys; ++i) first.set(key(i), i);
  store.compare_and_swap(0, first);
  const auto live = [&store] {
    store.reclaim();
    const engine::Statistics s = store.statistics();
    return s.nodes_made - s.nodes_freed;
  };
  Pinned seen;
  std::uint64_t with_the_pin = 0;
  {
    const auto outer = store.snapshot();
    std::atomic<bool> torn{false};
    std::atomic<std::uint64_t> looks{0};
    std::atomic<int> writing{2};
    std::latch opened(2);
    const auto writer = [&](int w) {
      opened.wait();
      for (int n = 0; n < commits / 2; ++n) {
        const std::string path = key((n * 2 + w) % keys);
        store.compare_and_swap(store.version(),
                               n % 5 == 4 ? WriteSet{}.erase(path) : WriteSet{}.set(path, -n));
      }
      writing.fetch_sub(1);
    };
    const auto reader = [&] {
      const auto snapshot = store.snapshot();
      const auto whole = snapshot.read("data");
      opened.count_down();
      while (writing.load() != 0) {
        looks.fetch_add(1);
        if (snapshot.read("data") != whole || snapshot.version() != 1) torn = true;
      }
    };
    std::vector<std::thread> threads;
    for (int w = 0; w < 2; ++w) threads.emplace_back(writer, w);
    for (int r = 0; r < 2; ++r) threads.emplace_back(reader);
    for (auto& thread : threads) thread.join();
    for (int i = 0; i < keys; ++i)
      if (outer.read(key(i)) != engine::Value(i)) torn = true;
    seen.torn = torn;
    seen.looks = looks;
    with_the_pin = live();
  }
  seen.commits = store.version() - 1;
  seen.values_for_it = with_the_pin - live();
  seen.snapshots_open = store.statistics().snapshots_open;
  return seen;
}

}  // namespace touchstone::stress
