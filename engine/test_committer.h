#pragma once
// A committer over cells of its own, on the stage of a test.
//
//   TestCommitter it;
//   Outcome outcome = it.commit(0, WriteSet{}.set("a", 1), {"b"});   // from version 0, b must be unchanged

#include <initializer_list>
#include <vector>

#include "engine/commit.h"
#include "engine/snapshot.h"
#include "engine/test_platform.h"
#include "engine/writes.h"

namespace touchstone::engine {

struct TestCommitter {
  using P = StagedPlatform;

  explicit TestCommitter(Mode mode = Mode::smart) : committer(epoch.clock, gate, reclaimer, mode) {}

  Cell<P>* cell(const char* path) { return index.intern(path); }

  AttemptOutcome<P> commit(Version expected, const WriteSet& writes,
                           std::initializer_list<const char*> reads = {}) {
    std::vector<Write<P>> set;
    for (const auto& entry : writes.entries())
      set.emplace_back(index.intern(entry.path), Datum<P>::of(std::optional<Value>(entry.value)));
    resolve(set, index);
    std::vector<Cell<P>*> footprint;
    for (const char* path : reads) footprint.push_back(cell(path));
    sort_unique(footprint);
    const CommitRequest<P> request{expected, footprint, set};
    const auto outcome = committer.attempt(request, *slot, nullptr);
    cells = std::move(set);
    return outcome;
  }

  std::uint64_t word(const char* path) { return cell(path)->word.load(); }
  void lock(const char* path) { cell(path)->word.fetch_add(word::kLocked); }
  void unlock(const char* path) { cell(path)->word.fetch_sub(word::kLocked); }
  std::uint64_t compared() const { return slot->counters.versions_compared.load(); }

  Stage stage;
  Epoch<P> epoch;
  Slots<P> slots;
  Index<P> index;
  StoreOptions options;
  TicketGate<P> gate{options};
  Reclaimer<P> reclaimer{slots, epoch.open};
  Committer<P> committer;
  Slot<P>* slot = slots.acquire();
  std::vector<Write<P>> cells;  ///< of the last commit, as it came back
};

}  // namespace touchstone::engine
