#pragma once
// The engine's back-off and ticket in front of any transactional server: who has failed waits longer, and who has failed five
// times in a row goes alone, first come, first served.
//
//   ContentionLayer layer(ContentionPolicy::ticket);
//   ContentionLayer::Worker worker(layer, stream);
//   do { worker.before_attempt(); committed = try_it(); worker.after_attempt(committed); } while (!committed);
//
// It keeps only this process's workers apart: it saves attempts, and safety is the server's. Thread safety: a Worker is one
// thread's.

#include "engine/backoff.h"
#include "engine/native_platform.h"
#include "engine/statistics.h"
#include "engine/ticket.h"
#include "harness/seed.h"

namespace touchstone::harness {

enum class ContentionPolicy { none, backoff, ticket };

class ContentionLayer {
 public:
  using Native = engine::NativePlatform;

  explicit ContentionLayer(ContentionPolicy policy) : policy_(policy), gate_(engine::StoreOptions{}) {}

  class Worker {
   public:
    Worker(ContentionLayer& layer, Stream stream) : layer_(layer), stream_(stream) {}
    ~Worker() { layer_.gate_.leave(claim_, counters_); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void before_attempt() {
      if (layer_.policy_ == ContentionPolicy::none) return;
      if (layer_.policy_ == ContentionPolicy::ticket && failures_ >= kFailuresForTicket) {
        layer_.gate_.join(claim_, {}, kLease, counters_);
        layer_.gate_.await_turn(claim_, engine::kForever, counters_);
        return;
      }
      if (failures_ > 0) Native::sleep_until(Native::now() + kBackoff.draw(failures_, stream_));
      if (layer_.policy_ == ContentionPolicy::backoff) return;
      while (const auto bar = layer_.gate_.bar({}, {}, &claim_))
        layer_.gate_.await_change(bar, engine::kForever, counters_);
    }

    void after_attempt(bool committed) {
      failures_ = committed ? 0 : failures_ + 1;
      if (committed) layer_.gate_.leave(claim_, counters_);
    }

   private:
    static constexpr int kFailuresForTicket = 5;
    static constexpr engine::Duration kLease = std::chrono::milliseconds(500);
    static constexpr engine::Backoff kBackoff{std::chrono::milliseconds(1), 5};

    ContentionLayer& layer_;
    Stream stream_;
    engine::Claim<Native> claim_;
    engine::Counters<Native> counters_;
    int failures_ = 0;
  };

 private:
  const ContentionPolicy policy_;
  engine::TicketGate<Native> gate_;
};

}  // namespace touchstone::harness
