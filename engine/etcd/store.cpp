#include "engine/etcd/store.h"

#include <stdexcept>

namespace touchstone::engine {
namespace {

void check_all(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (auto refused = check_path(path)) throw Error(std::move(*refused));
  }
}

void check(const std::string& path) {
  if (auto refused = check_path(path)) throw Error(std::move(*refused));
}

}  // namespace

EtcdStore::EtcdStore(EtcdOptions etcd, StoreOptions options)
    : etcd_(std::move(etcd)), options_(std::move(options)) {
  if (options_.policy != Policy::ticket)
    throw std::invalid_argument("an etcd store has the policy `ticket` only");
}

EtcdWorker EtcdStore::worker() const {
  return EtcdWorker(*this);
}

EtcdProcess EtcdStore::process(std::string name, Contract contract,
                               std::function<void(EtcdContext&)> body) const {
  check_all(contract.inputs);
  check_all(contract.outputs);
  return {std::move(name), std::move(contract), std::move(body), this};
}

std::optional<Value> EtcdSnapshot::read(const std::string& path) const {
  check(path);
  if (revision_ == 0) return std::nullopt;  // nothing was ever committed
  return value_at(worker_->leaves_at(path, revision_), path);
}

EtcdWorker::EtcdWorker(const EtcdStore& store)
    : store_(store), gateway_(store.etcd()), keys_{store.etcd().root}, random_(store.options().seed, 0) {
  // A number that no other worker has: a put of unknown outcome costs one, and is made again.
  while (writer_.empty()) {
    try {
      const EtcdOutcome outcome = gateway_.run({.success = {put(keys_.writers())}});
      const auto& previous = outcome.answers.at(0);
      const std::int64_t number = previous.empty() ? 1 : previous[0].version + 1;
      writer_ = keys_.root + "/writer/" + std::to_string(number);
      random_ = SplitMix(store.options().seed, static_cast<std::uint64_t>(number));
    } catch (const EtcdUnreachable&) {
      (void)gateway_.read({get({keys_.writers()})});  // waits until etcd is back, or throws
    }
  }
  store_.tally_.enter(counters_);
}

EtcdWorker::~EtcdWorker() {
  store_.tally_.leave(counters_);
  try {
    give_back();
    // While a commit is unsettled the key is what keeps it from passing twice.
    if (!unsettled_ && fence_ != 0) gateway_.run({.success = {engine::erase({writer_})}});
  } catch (const std::exception&) {
    // Unreachable: the lease runs out, and a key of a few bytes stays.
  }
}

EtcdSnapshot EtcdWorker::snapshot() {
  const auto outcome = gateway_.read({get({keys_.clock()})});
  const auto& clock = outcome.answers.at(0);
  if (clock.empty()) return EtcdSnapshot(*this, 0, 0);
  known_version_ = static_cast<Version>(clock[0].version);
  known_revision_ = clock[0].mod_revision;
  return EtcdSnapshot(*this, known_version_, known_revision_);
}

std::optional<Value> EtcdWorker::read(const std::string& path) {
  check(path);
  return value_at(leaves_at(path, 0), path);
}

/// The leaf itself and all below it; revision 0 is now.
Leaves EtcdWorker::leaves_at(const std::string& path, std::int64_t revision) {
  const auto outcome =
      gateway_.read({get({keys_.leaf(path)}, revision), get(keys_.leaves_below(path), revision)});
  const std::size_t prefix = keys_.leaf("").size();
  Leaves leaves;
  for (const auto& keys : outcome.answers) {
    for (const EtcdKeyValue& key : keys) leaves.emplace(key.key.substr(prefix), decode_scalar(key.value));
  }
  return leaves;
}

/// Of the commit that made this version; nothing if there is none yet.
std::optional<std::int64_t> EtcdWorker::revision_of(Version version) {
  if (version == 0) return 0;
  if (version == known_version_) return known_revision_;
  const auto outcome = gateway_.read({get({keys_.clock()})});
  const auto& clock = outcome.answers.at(0);
  const Version now = clock.empty() ? 0 : static_cast<Version>(clock[0].version);
  if (version > now) return std::nullopt;
  if (version == now) return clock[0].mod_revision;
  return search(version, clock[0].create_revision, clock[0].mod_revision - 1);
}

/// Versions grow with revisions: by bisection, with one question a step.
std::int64_t EtcdWorker::search(Version version, std::int64_t low, std::int64_t high) {
  while (low <= high) {
    const std::int64_t middle = low + (high - low) / 2;
    const auto outcome = gateway_.read({get({keys_.clock()}, middle)});
    const EtcdKeyValue& clock = outcome.answers.at(0).at(0);
    const auto seen = static_cast<Version>(clock.version);
    if (seen == version) return clock.mod_revision;
    if (seen < version) {
      low = middle + 1;
    } else {
      high = clock.mod_revision - 1;
    }
  }
  throw EtcdFailure("the history of etcd has no version " + std::to_string(version));
}

Version EtcdWorker::version_at(std::int64_t revision) {
  const auto outcome = gateway_.read({get({keys_.clock()}, revision)});
  const auto& clock = outcome.answers.at(0);
  return clock.empty() ? 0 : static_cast<Version>(clock[0].version);
}

std::optional<Rejected> EtcdWorker::check_caller(const EtcdStore* store) const {
  if (BodyFrame<NativePlatform>::inside(&store_)) {
    return Rejected{ErrorCode::nested_commit, "a body committed to the store that is running it"};
  }
  if (store != &store_) return Rejected{ErrorCode::foreign_key, "the process belongs to another store"};
  return std::nullopt;
}

CommitResult EtcdWorker::compare_and_swap(Version expected, const WriteSet& writes,
                                          const std::vector<std::string>& reads) {
  CommitResult result = swap(expected, writes, reads);
  if (std::holds_alternative<Rejected>(result)) counters_.rejected.add(1);
  return result;
}

CommitResult EtcdWorker::swap(Version expected, const WriteSet& writes,
                              const std::vector<std::string>& reads) {
  if (auto refused = check_caller(&store_)) return std::move(*refused);
  const auto base = revision_of(expected);
  if (!base) {
    return Rejected{ErrorCode::future_version,
                    "expected version " + std::to_string(expected) + ", which the store has not made yet"};
  }
  auto planned = plan_of(writes);
  if (auto* refused = std::get_if<Rejected>(&planned)) return std::move(*refused);
  for (const std::string& path : reads) {
    if (auto refused = check_path(path)) return std::move(*refused);
  }
  if (writes.empty()) {
    give_back();
    failures_ = 0;
    counters_.commits_empty.add(1);
    return Committed{expected, CommitPath::empty};
  }
  const EtcdPlan& plan = std::get<EtcdPlan>(planned);
  std::set<std::string> footprint = plan.named;
  footprint.insert(reads.begin(), reads.end());
  while (true) {
    const Attempt attempt = submit(expected, *base, plan, footprint);
    switch (attempt.kind) {
      case Attempt::Kind::committed:
        return Committed{attempt.version, attempt.path};
      case Attempt::Kind::busy:
        return Busy{remaining(attempt.lease)};
      case Attempt::Kind::under_scalar:
        return under_scalar(*plan.named.begin(), attempt.where);
      case Attempt::Kind::conflict:
        if (conflicted()) {
          join();
          (void)try_begin_turn();
        }
        return Conflict{attempt.where, expected, attempt.version, ticket()};
      case Attempt::Kind::expired:
        lose_turn();  // and then it is judged like anybody's
        break;
    }
  }
}

}  // namespace touchstone::engine
