#include "model/global_versions.h"

#include <algorithm>
#include <numeric>

#include "model/commit_order.h"

namespace touchstone::model {
namespace {

std::vector<OperationNumber> by_invocation(const History& history) {
  std::vector<OperationNumber> numbers(history.operations.size());
  std::iota(numbers.begin(), numbers.end(), OperationNumber{0});
  const auto earlier = [&](OperationNumber a, OperationNumber b) {
    return history.operations[a].invoked < history.operations[b].invoked;
  };
  if (!std::is_sorted(numbers.begin(), numbers.end(), earlier)) {
    std::stable_sort(numbers.begin(), numbers.end(), earlier);
  }
  return numbers;
}

}  // namespace

GlobalVersionsResult check_global_versions(const History& history, bool witness) {
  GlobalVersionsResult result;
  CommitOrder order(history.store_rules);
  auto progress = CommitOrder::Progress::kRunning;
  const auto keep = [&] {
    for (const OperationNumber number : order.take_placed()) {
      const auto& call = history.store_calls[history.operations[number].argument];
      const bool never_happened = !call.response && StoreSpec::observes_only(call.operation, nullptr);
      if (witness && !never_happened) result.witness.push_back(number);
    }
  };
  for (const OperationNumber number : by_invocation(history)) {
    const Operation& it = history.operations[number];
    progress = order.advance(it.invoked);
    if (progress != CommitOrder::Progress::kRunning) break;
    order.add(number, it.invoked, it.returned, history.store_calls[it.argument]);
    keep();
  }
  if (progress == CommitOrder::Progress::kRunning) progress = order.finish();
  keep();
  result.applies = progress != CommitOrder::Progress::kUndecided;
  result.linearizable = progress == CommitOrder::Progress::kRunning;
  if (progress == CommitOrder::Progress::kRefuted) {
    result.failing = order.failing();
    result.state = describe(order.state());
    result.reason = order.reason();
  }
  return result;
}

}  // namespace touchstone::model
