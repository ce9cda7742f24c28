#include "harness/live_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "model/explanation.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using Progress = model::CommitOrder::Progress;

constexpr std::size_t kToldCalls = 20;

}  // namespace

LiveCheck::LiveCheck(std::size_t clients, const model::StoreRules& rules, std::size_t window)
    : rules_(rules), window_(window), rings_(clients), order_(rules) {
  for (Ring& ring : rings_) {
    ring.calls.resize(std::clamp<std::size_t>(window, 1, kLargestRing));
    ring.known = RecordedCall::now();
  }
  follower_ = std::thread([this] { follow(); });
}

LiveCheck::~LiveCheck() {
  if (!follower_.joinable()) return;
  for (Ring& ring : rings_) ring.gone.store(true);
  follower_.join();
}

LiveCheck::Seat LiveCheck::seat(std::size_t id) {
  return Seat(rings_[id]);
}

void LiveCheck::follow() {
  for (;;) {
    const bool left =
        std::all_of(rings_.begin(), rings_.end(), [](const Ring& ring) { return ring.gone.load(); });
    const bool took = take_new();
    judge();
    if (left && !took) return;
    if (!took) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

std::int64_t LiveCheck::horizon() const {
  std::int64_t earliest = model::kNever;
  for (const Ring& ring : rings_) earliest = std::min(earliest, ring.known);
  return earliest;
}

bool LiveCheck::may_take_from(const Ring& ring) {
  if (order_.kept() < window_) return true;
  judge();
  return order_.kept() < window_ || ring.known <= horizon() || progress_ != Progress::kRunning;
}

/// L2: from everybody while there is room, else from whoever is furthest behind.
bool LiveCheck::take_new() {
  bool took = false;
  for (std::size_t client = 0; client < rings_.size(); ++client) {
    Ring& ring = rings_[client];
    const bool gone = ring.gone.load();  // before `written`: nothing is written afterwards
    const std::uint64_t written = ring.written.load();
    for (; ring.taken.load() < written && may_take_from(ring); took = true) take_from(client);
    if (gone && ring.taken.load() == written) ring.known = model::kNever;
  }
  return took;
}

void LiveCheck::take_from(std::size_t client) {
  Ring& ring = rings_[client];
  const std::uint64_t number = ring.taken.load();
  Kept kept{client, std::move(ring.calls[number % ring.calls.size()])};
  ring.taken.store(number + 1);
  ring.known = kept.record.returned;  // L1: never, if its outcome is unknown
  if (progress_ != Progress::kRunning) {
    let_go(std::move(kept));
    return;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<model::OperationNumber>(waiting_.size()));
    waiting_.emplace_back();
  }
  const model::OperationNumber place = free_.back();
  free_.pop_back();
  waiting_[place] = std::move(kept);
  const RecordedCall& record = waiting_[place].record;
  order_.add(place, record.invoked, record.returned, record.call);
  most_waiting_ = std::max(most_waiting_, order_.kept());
}

void LiveCheck::judge() {
  if (progress_ == Progress::kRunning) {
    progress_ = order_.advance(horizon());
    for (const model::OperationNumber place : order_.take_placed()) {
      let_go(std::exchange(waiting_[place], Kept{}));
      free_.push_back(place);
    }
    if (progress_ == Progress::kRefuted) {
      ended_.store(true);
      calls_at_verdict_ = recorded();
    }
  }
  if (progress_ == Progress::kUndecided && !whole_) ended_.store(true);  // L4
}

/// L3.
void LiveCheck::let_go(Kept kept) {
  latest_.push_back(std::move(kept));
  if (latest_.size() <= window_) return;
  latest_.pop_front();
  whole_ = false;
}

std::uint64_t LiveCheck::recorded() const {
  std::uint64_t sum = 0;
  for (const Ring& ring : rings_) sum += ring.written.load();
  return sum;
}

model::History LiveCheck::latest_history() {
  std::vector<Kept> calls(std::make_move_iterator(latest_.begin()), std::make_move_iterator(latest_.end()));
  for (std::size_t place = 0; place < waiting_.size(); ++place) {
    if (std::find(free_.begin(), free_.end(), place) == free_.end())
      calls.push_back(std::move(waiting_[place]));
  }
  std::stable_sort(calls.begin(), calls.end(),
                   [](const Kept& a, const Kept& b) { return a.record.invoked < b.record.invoked; });
  model::History history(model::HistoryKind::kStore);
  history.store_rules = rules_;
  for (Kept& it : calls) {
    history.add_store(std::to_string(it.client), it.record.invoked, it.record.returned,
                      std::move(it.record.call.operation), std::move(it.record.call.response));
  }
  return history;
}

/// What is known where the beginning of the history is gone.
std::string LiveCheck::words(const LiveVerdict& verdict) const {
  const auto& operations = verdict.latest.operations;
  std::string text =
      fmt::format("after {} calls, of which the latest {} are known; these are the last:", verdict.calls,
                  operations.size());
  for (std::size_t i = operations.size() - std::min(operations.size(), kToldCalls); i < operations.size();
       ++i)
    text += "\n  " + describe(verdict.latest, operations[i]);
  return text;
}

LiveVerdict LiveCheck::finish() && {
  follower_.join();
  LiveVerdict verdict;
  std::string first;
  if (progress_ == Progress::kRefuted) {
    const Kept& failing = waiting_[order_.failing()];
    first = fmt::format("nothing explains {} by client {} = {}: {}", describe(failing.record.call.operation),
                        failing.client, describe(*failing.record.call.response), order_.reason());
  } else if (progress_ == Progress::kUndecided) {
    first = "several calls of unknown outcome may have made a version";
  }
  verdict.answer = progress_ == Progress::kRefuted     ? Answer::kNotLinearizable
                   : progress_ == Progress::kUndecided ? Answer::kInconclusive
                                                       : Answer::kLinearizable;
  verdict.calls = recorded();
  for (const Ring& ring : rings_)
    verdict.most_of_one_client = std::max(verdict.most_of_one_client, ring.written.load());
  verdict.calls_at_verdict = progress_ == Progress::kRefuted ? calls_at_verdict_ : verdict.calls;
  verdict.most_waiting = most_waiting_;
  verdict.whole = whole_;
  verdict.latest = latest_history();
  if (verdict.answer == Answer::kLinearizable) return verdict;
  if (!whole_) {
    verdict.explanation = first + "\n" + words(verdict);
    return verdict;
  }
  verdict.verdict = model::check(verdict.latest, {.budget = std::chrono::seconds(20)});
  if (progress_ == Progress::kRefuted && verdict.verdict->answer != Answer::kNotLinearizable)
    throw std::logic_error("while it was made the history was refuted, but the whole is not: " + first);
  verdict.answer = verdict.verdict->answer;
  if (verdict.answer != Answer::kLinearizable)
    verdict.explanation = model::explain(verdict.latest, *verdict.verdict);
  return verdict;
}

}  // namespace touchstone::harness
