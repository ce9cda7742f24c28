#include "model/stream_checker.h"

#include <algorithm>
#include <unordered_map>

#include "model/general_search.h"

namespace touchstone::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSlice = 20'000;

/// One key in one part: the carried worlds become configurations of its search, and what passes becomes worlds again.
class KeyPart {
 public:
  KeyPart(History& part, KeyId key, const std::vector<OperationNumber>& numbers, std::int64_t from,
          std::int64_t until, std::size_t max_memory)
      : part_(part),
        key_(key),
        problem_(make_endless_problem(part, numbers, until)),
        automaton_(make_endless_automaton(part, problem_.representatives)),
        search_(problem_, *automaton_, {.witness = false, .max_memory = max_memory}) {
    for (const SearchOperation& it : problem_.operations)
      carried_ += part.operations[it.number].invoked < from;
  }

  /// The search refers to the problem.
  KeyPart(const KeyPart&) = delete;
  KeyPart& operator=(const KeyPart&) = delete;

  void begin(const CarriedKey& key) {
    const std::size_t words = search_.layout().words();
    std::vector<Word> configurations(key.worlds.size() * words);
    for (std::size_t i = 0; i < key.worlds.size(); ++i)
      restore(key, key.worlds[i], &configurations[i * words]);
    search_.begin_at(carried_, std::move(configurations));  // their invocations come first
  }

  Progress run(std::chrono::nanoseconds budget) {
    const Clock::time_point begun = Clock::now();
    Progress progress = Progress::kRunning;
    while (progress == Progress::kRunning && Clock::now() - begun < budget) progress = search_.run(kSlice);
    return progress;
  }

  Refutation refutation() {
    Dead dead = search_.dead();
    Refutation out;
    out.key = key_;
    out.method = Method::kBreadthFirst;
    out.failing = problem_.operations[Problem::operation_of(problem_.events[dead.event])].number;
    out.worlds = std::move(dead.worlds);
    out.reason = "nothing explains " + describe(part_, part_.operations[*out.failing]);
    if (!out.worlds.empty()) out.reason += ": " + out.worlds.front().reason;
    return out;
  }

  /// What is open at the end, and the worlds by it.
  CarriedKey carry_on() const {
    std::vector<const SearchOperation*> open;
    std::vector<const SearchOperation*> unknown;
    const auto invoked = static_cast<std::size_t>(
        std::count_if(problem_.events.begin(), problem_.events.begin() + problem_.stop,
                      [](std::uint32_t event) { return !Problem::is_return(event); }));
    for (std::size_t i = 0; i < invoked; ++i) {
      const SearchOperation& it = problem_.operations[i];
      if (!it.mandatory() && !used_by_all(it)) unknown.push_back(&it);
      if (it.mandatory() && it.return_event >= problem_.stop) open.push_back(&it);
    }
    CarriedKey key;
    for (const SearchOperation* it : open) key.open.push_back(client_of(*it));
    for (const SearchOperation* it : unknown) key.unknown.push_back(client_of(*it));
    const Layout& layout = search_.layout();
    for (std::size_t i = 0; i < count(); ++i) {
      CarriedWorld world{automaton_->held(Layout::state(configuration(i))), {}, {}, {}};
      for (const SearchOperation* it : open) {
        world.taken.push_back(Layout::taken(configuration(i), it->slot));
        world.optional.push_back(layout.optional(configuration(i), it->slot));
      }
      for (const SearchOperation* it : unknown) world.used.push_back(used(i, *it));
      key.worlds.push_back(std::move(world));
    }
    return key;
  }

 private:
  const std::string& client_of(const SearchOperation& it) const {
    return part_.clients.name(part_.operations[it.number].client);
  }

  /// T2: the place of the operation's client.
  std::optional<std::size_t> place_in(const std::vector<std::string>& clients,
                                      const SearchOperation& it) const {
    const auto found = std::find(clients.begin(), clients.end(), client_of(it));
    if (found == clients.end()) return std::nullopt;
    return static_cast<std::size_t>(found - clients.begin());
  }

  void restore(const CarriedKey& key, const CarriedWorld& world, Word* out) {
    const Layout& layout = search_.layout();
    Layout::set_state(out, automaton_->holding(world.value ? part_.value(*world.value) : kNil));
    for (std::uint32_t i = 0; i < carried_; ++i) {
      const SearchOperation& it = problem_.operations[i];
      if (!it.mandatory()) {
        // Those that were used are the first of their class, as they were in the part before.
        const auto place = place_in(key.unknown, it);
        if (place && world.used[*place]) layout.use(out, problem_.unknown_of_class[it.class_id]);
      } else if (const auto place = place_in(key.open, it)) {
        if (world.taken[*place]) layout.set_taken(out, it.slot);
        if (world.optional[*place]) layout.set_optional(out, it.slot);
      }
    }
  }

  std::size_t count() const { return search_.frontier().size() / search_.layout().words(); }
  const Word* configuration(std::size_t i) const {
    return search_.frontier().data() + i * search_.layout().words();
  }
  bool used(std::size_t i, const SearchOperation& it) const {
    return search_.layout().used(configuration(i), problem_.unknown_of_class[it.class_id]) > it.slot;
  }
  bool used_by_all(const SearchOperation& it) const {
    for (std::size_t i = 0; i < count(); ++i) {
      if (!used(i, it)) return false;
    }
    return true;
  }

  History& part_;
  KeyId key_;
  Problem problem_;
  std::unique_ptr<Automaton> automaton_;
  BreadthFirst search_;
  std::uint32_t carried_ = 0;  ///< the first so many operations are carried
};

}  // namespace

std::optional<Refutation> StreamChecker::advance(History& part, std::int64_t from, std::int64_t until) {
  std::vector<std::vector<OperationNumber>> by_key(part.keys.size());
  for (OperationNumber number = 0; number < part.operations.size(); ++number) {
    const Operation& it = part.operations[number];
    const bool done = it.invoked < from && !it.completed() && !needs_unknown(part.clients.name(it.client));
    if (it.invoked < until && !done) by_key[it.key].push_back(number);
  }
  for (KeyId id = 0; id < by_key.size(); ++id) {
    if (by_key[id].empty()) continue;
    const auto [entry, fresh] = keys_.try_emplace(part.keys.name(id));
    CarriedKey& key = entry->second;
    if (key.given_up) continue;
    if (fresh) {
      const bool nothing = part.initial == kNil;
      key.worlds.push_back(
          {nothing ? std::nullopt : std::optional(part.values.scalar(part.initial)), {}, {}, {}});
    }
    KeyPart search(part, id, by_key[id], from, until, options_.max_memory);
    search.begin(key);
    const Progress progress = search.run(options_.budget);
    if (progress == Progress::kRefuted) return search.refutation();
    if (progress == Progress::kExplained) {
      key = search.carry_on();
      most_worlds_ = std::max(most_worlds_, key.worlds.size());
    } else {
      give_up(key, part.keys.name(id), progress == Progress::kRunning ? "time" : "memory");
    }
  }
  gather_unknown();
  return std::nullopt;
}

void StreamChecker::give_up(CarriedKey& carried, const std::string& key, const std::string& budget) {
  carried = CarriedKey{};
  carried.given_up = true;
  if (inconclusive_.empty()) inconclusive_ = "the " + budget + " budget ran out at key " + key;
}

void StreamChecker::gather_unknown() {
  unknown_.clear();
  for (const auto& [name, key] : keys_) unknown_.insert(key.unknown.begin(), key.unknown.end());
}

}  // namespace touchstone::model
