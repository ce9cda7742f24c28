#pragma once
// Records what clients called and were told, without making them wait for one another.
//
//   Recorder recorder(clients);
//   // in thread i:
//   recorder.call(i, client, operation);               // applies it, returns the response
//   // after the join:
//   model::History history = std::move(recorder).history(rules);
//
// Each client has a buffer of its own, so recording adds two clock reads and two locked instructions to a call.
//
// Rules:
//   O1  An interval is closed and never too short: the invocation's clock is read before anything of the call, the
//       return's after everything of it is visible to the other cores. A full barrier on each side keeps the clock
//       reads in their places; without the second one a plain store of the engine could still wait in the core's
//       store buffer, and the checker would be told of an effect before it was one.
//   O2  A client whose outcome is unknown (OutcomeUnknown) calls no more.
//
// Thread safety: call(i, ...) by one thread at a time for each i; history() after all of them.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/engine_under_test.h"
#include "model/history.h"

namespace touchstone::harness {

/// What a client called, when, and what it was told.
struct RecordedCall {
  std::int64_t invoked = 0;
  std::int64_t returned = model::kNever;
  model::Call<model::StoreSpec> call = {};  ///< without a response: nobody knows its outcome

  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  /// Lets the client apply the operation (O1). False: its outcome is unknown (O2).
  template <class Client>
  bool make(Client& client, std::atomic<int>& fence) {
    invoked = now();
    barrier(fence);
    try {
      std::optional<model::StoreResponse> response = client.apply(call.operation);
      barrier(fence);
      returned = now();
      call.response = std::move(response);
      return true;
    } catch (const OutcomeUnknown&) {
      return false;
    }
  }

 private:
  /// A sequentially consistent read-modify-write: on x86 and Arm64 a full barrier, and g++ takes it under TSan.
  static void barrier(std::atomic<int>& fence) { fence.exchange(1); }
};

class Recorder {
 public:
  explicit Recorder(std::size_t clients, std::size_t expected_calls = 256) : buffers_(clients) {
    for (auto& buffer : buffers_) buffer.calls.reserve(expected_calls);
  }

  /// Nothing: its outcome is unknown, and the client is done.
  template <class Client>
  std::optional<model::StoreResponse> call(std::size_t id, Client& client,
                                           const model::StoreOperation& operation) {
    Buffer& buffer = buffers_[id];
    RecordedCall& record = buffer.calls.emplace_back();
    record.call.operation = operation;
    if (!record.make(client, buffer.fence)) return std::nullopt;
    return record.call.response;
  }

  model::History history(const model::StoreRules& rules) && {
    model::History history(model::HistoryKind::kStore);
    history.store_rules = rules;
    for (std::size_t id = 0; id < buffers_.size(); ++id)
      for (auto& [invoked, returned, call] : buffers_[id].calls)
        history.add_store(std::to_string(id), invoked, returned, std::move(call.operation),
                          std::move(call.response));
    return history;
  }

  std::size_t calls() const {
    std::size_t sum = 0;
    for (const auto& buffer : buffers_) sum += buffer.calls.size();
    return sum;
  }

 private:
  struct alignas(128) Buffer {
    std::vector<RecordedCall> calls;
    std::atomic<int> fence{0};
  };

  std::vector<Buffer> buffers_;
};

}  // namespace touchstone::harness
