#include "engine/etcd/store.h"

namespace touchstone::engine {
namespace {

/// The order of what a refused commit reads.
enum Answer : std::size_t { kClock, kWriter, kQueue, kTurn, kTurns, kFirstOfFootprint };

constexpr const char* kSettled = "settled";

}  // namespace

EtcdWorker::Attempt EtcdWorker::submit(Version expected, std::int64_t base, const EtcdPlan& plan,
                                       const std::set<std::string>& footprint) {
  Attempt attempt = commit(expected, base, plan, footprint);
  if (attempt.kind == Attempt::Kind::busy) counters_.busy.add(1);
  return attempt;
}

/// Commits, or says why not. A lost answer is settled first (V4).
EtcdWorker::Attempt EtcdWorker::commit(Version expected, std::int64_t base, const EtcdPlan& plan,
                                       const std::set<std::string>& footprint) {
  if (unsettled_) (void)settle(expected);
  const EtcdTransaction asked = transaction(expected, base, plan, footprint);
  const Time deadline = NativePlatform::now() + gateway_.options().patience;
  while (true) {
    try {
      EtcdTransaction now = asked;
      now.compare.push_back(was_last_put_at(writer_, fence_));
      now.success.push_back(put(writer_, std::to_string(++commits_)));
      const EtcdOutcome outcome = gateway_.run(now);
      if (!outcome.succeeded) return refused(expected, base, outcome);
      const auto& clock = outcome.answers.at(0);
      fence_ = outcome.revision;
      return committed(expected, outcome.revision,
                       clock.empty() ? 1 : static_cast<Version>(clock[0].version) + 1);
    } catch (const EtcdUnreachable& lost) {
      if (!lost.sent && NativePlatform::now() >= deadline) throw;
      if (!lost.sent) continue;
    }
    unsettled_ = true;
    if (auto settled = settle(expected)) return *settled;
  }
}

EtcdTransaction EtcdWorker::transaction(Version expected, std::int64_t base, const EtcdPlan& plan,
                                        const std::set<std::string>& footprint) {
  EtcdTransaction transaction;
  transaction.success.push_back(put(keys_.clock()));
  transaction.failure = {get({keys_.clock()}), get({writer_}), get_first(keys_.queue()), get({keys_.turn()}),
                         get({keys_.turns()})};
  add_gate(transaction);
  add_validation(expected, base, footprint, transaction);
  for (const std::string& path : plan.bare) {
    transaction.compare.push_back(is_absent({keys_.leaf(path)}));
    transaction.failure.push_back(get({keys_.leaf(path)}));
  }
  add_erasures(plan, base, transaction);
  for (const auto& [path, scalar] : plan.puts) {
    transaction.success.push_back(put(keys_.leaf(path), encode_scalar(scalar)));
  }
  for (const std::string& path : plan.named) transaction.success.push_back(put(keys_.stamp(path)));
  return transaction;
}

/// V2. A commit in its turn ends it.
void EtcdWorker::add_gate(EtcdTransaction& transaction) const {
  if (!store_.options().ticket) return;
  if (in_turn()) {
    transaction.compare.push_back(was_created_at(keys_.turn(), claim_.turn));
    transaction.success.push_back(engine::erase({keys_.turn()}));
    transaction.success.push_back(engine::erase({keys_.queued(claim_.age)}));
  } else {
    transaction.compare.push_back(is_absent(keys_.queue()));
    transaction.compare.push_back(is_absent({keys_.turn()}));
  }
}

/// V1: each path of the footprint with its ancestors and all below it.
void EtcdWorker::add_validation(Version expected, std::int64_t base, const std::set<std::string>& footprint,
                                EtcdTransaction& transaction) {
  if (store_.options().mode == Mode::strict) {
    transaction.compare.push_back(was_put(keys_.clock(), static_cast<std::int64_t>(expected)));
    return;
  }
  std::set<std::string> single = footprint;
  for (const std::string& path : footprint) {
    for (std::string& above : ancestors_of(path)) single.insert(std::move(above));
    transaction.compare.push_back(unchanged_since(keys_.stamps_below(path), base));
    transaction.failure.push_back(get_newest(keys_.stamps_below(path)));
  }
  for (const std::string& path : single) {
    transaction.compare.push_back(unchanged_since({keys_.stamp(path)}, base));
    transaction.failure.push_back(get({keys_.stamp(path)}));
  }
  counters_.versions_compared.add(single.size());  // of each path the range below, and the ancestors
}

/// etcd takes no transaction that erases a key and puts it. Where a put lies below a named path, the leaves that must go are
/// erased one by one: those of the expected version, because the commit passes only if they are still the same (V1).
void EtcdWorker::add_erasures(const EtcdPlan& plan, std::int64_t base, EtcdTransaction& transaction) {
  std::set<std::string> leaves;
  for (const std::string& path : plan.named) {
    if (plan.puts.count(path) == 0) leaves.insert(path);
    const auto put_below = plan.puts.lower_bound(below(path));
    if (put_below == plan.puts.end() || put_below->first >= beyond(path)) {
      transaction.success.push_back(engine::erase(keys_.leaves_below(path)));
    } else if (base != 0) {
      for (const auto& [leaf, scalar] : leaves_at(path, base)) {
        if (plan.puts.count(leaf) == 0) leaves.insert(leaf);
      }
    }
  }
  for (const std::string& leaf : leaves) transaction.success.push_back(engine::erase({keys_.leaf(leaf)}));
}

EtcdWorker::Attempt EtcdWorker::committed(Version expected, std::int64_t revision, Version version) {
  known_version_ = version;
  known_revision_ = revision;
  failures_ = 0;
  give_back();
  const CommitPath path = version == expected + 1 ? CommitPath::fast : CommitPath::merged;
  (path == CommitPath::fast ? counters_.commits_fast : counters_.commits_merged).add(1);
  return {.kind = Attempt::Kind::committed, .version = version, .path = path};
}

/// All answers are of the revision at which the comparison failed.
EtcdWorker::Attempt EtcdWorker::refused(Version expected, std::int64_t base, const EtcdOutcome& outcome) {
  const auto& answers = outcome.answers;
  const auto& turn = answers.at(kTurn);
  if (in_turn() && (turn.empty() || turn[0].create_revision != claim_.turn))
    return {.kind = Attempt::Kind::expired};
  if (store_.options().ticket && !in_turn() && (!turn.empty() || !answers.at(kQueue).empty())) {
    return {.kind = Attempt::Kind::busy,
            .lease = turn.empty() ? answers.at(kQueue)[0].lease : turn[0].lease,
            .turns = answers.at(kTurns).empty() ? 0 : answers.at(kTurns)[0].version};
  }
  const auto& clock = answers.at(kClock);
  const Version now = clock.empty() ? 0 : static_cast<Version>(clock[0].version);
  if (store_.options().mode == Mode::strict && now != expected) {
    return {.kind = Attempt::Kind::conflict, .version = now};
  }
  const std::string stamps = keys_.stamp(""), leaves = keys_.leaf("");
  const EtcdKeyValue* newest = nullptr;
  const EtcdKeyValue* scalar = nullptr;
  for (std::size_t i = kFirstOfFootprint; i < answers.size(); ++i) {
    for (const EtcdKeyValue& key : answers[i]) {
      if (key.key.starts_with(leaves)) scalar = &key;
      if (key.key.starts_with(stamps) && (newest == nullptr || key.mod_revision > newest->mod_revision))
        newest = &key;
    }
  }
  if (newest != nullptr && newest->mod_revision > base && store_.options().mode == Mode::smart) {
    return {.kind = Attempt::Kind::conflict,
            .version = version_at(newest->mod_revision),
            .where = newest->key.substr(stamps.size())};
  }
  if (scalar != nullptr)
    return {.kind = Attempt::Kind::under_scalar, .where = scalar->key.substr(leaves.size())};
  throw EtcdFailure("the keys of worker " + writer_ + " were changed by somebody else");
}

/// V4. What the last commit came to: nothing, if it can never pass any more.
std::optional<EtcdWorker::Attempt> EtcdWorker::settle(Version expected) {
  const Time deadline = NativePlatform::now() + gateway_.options().patience;
  while (true) {
    try {
      const EtcdOutcome outcome = gateway_.run({.compare = {was_last_put_at(writer_, fence_)},
                                                .success = {put(writer_, kSettled)},
                                                .failure = {get({writer_})}});
      unsettled_ = false;
      if (outcome.succeeded) {
        fence_ = outcome.revision;
        return std::nullopt;
      }
      const EtcdKeyValue& writer = outcome.answers.at(0).at(0);
      fence_ = writer.mod_revision;
      if (writer.value == kSettled)
        return std::nullopt;  // by an earlier question, whose answer was lost, too
      return committed(expected, fence_, version_at(fence_));
    } catch (const EtcdUnreachable& lost) {
      if (NativePlatform::now() >= deadline) throw EtcdUnreachable(lost.what(), true);
      NativePlatform::sleep_until(NativePlatform::now() + std::chrono::milliseconds(20));
    }
  }
}

}  // namespace touchstone::engine
