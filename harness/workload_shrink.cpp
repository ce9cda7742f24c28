#include "harness/workload_shrink.h"

#include <algorithm>
#include <utility>

namespace touchstone::harness {
namespace {

class Shrinking {
 public:
  Shrinking(Workload failing, const std::function<bool(const Workload&)>& fails, const ShrinkLimits& limits)
      : best_{std::move(failing), 0}, fails_(fails), limits_(limits) {}

  ShrunkWorkload shrink() && {
    for (bool smaller = true; smaller && time_left();) {
      smaller = take_away_clients();
      smaller = take_away_steps() || smaller;
      smaller = simplify_steps() || smaller;
    }
    return std::move(best_);
  }

 private:
  bool time_left() const { return std::chrono::steady_clock::now() < limits_.until; }

  /// Keeps the candidate if it fails.
  bool take(Workload candidate) {
    for (int attempt = 0; attempt < limits_.attempts && time_left(); ++attempt) {
      ++best_.runs;
      if (!fails_(candidate)) continue;
      best_.workload = std::move(candidate);
      return true;
    }
    return false;
  }

  bool take_away_clients() {
    bool smaller = false;
    for (std::size_t client = best_.workload.clients.size(); client-- > 0;) {
      Workload candidate = best_.workload;
      if (candidate.clients.size() < 2) break;
      candidate.clients.erase(candidate.clients.begin() + static_cast<std::ptrdiff_t>(client));
      smaller = take(std::move(candidate)) || smaller;
    }
    return smaller;
  }

  bool take_away_steps() {
    bool smaller = false;
    for (std::size_t client = 0; client < best_.workload.clients.size(); ++client)
      for (std::size_t run = best_.workload.clients[client].size(); run > 0; run /= 2)
        for (std::size_t begin = 0; begin < best_.workload.clients[client].size();) {
          Workload candidate = best_.workload;
          auto& steps = candidate.clients[client];
          const auto first = steps.begin() + static_cast<std::ptrdiff_t>(begin);
          steps.erase(first, first + static_cast<std::ptrdiff_t>(std::min(run, steps.size() - begin)));
          if (take(std::move(candidate))) {
            smaller = true;
          } else {
            begin += run;
          }
        }
    return smaller;
  }

  bool simplify_steps() {
    bool smaller = false;
    for (std::size_t client = 0; client < best_.workload.clients.size(); ++client)
      for (std::size_t at = 0; at < best_.workload.clients[client].size(); ++at)
        for (const Step& simple : simpler(best_.workload.clients[client][at])) {
          Workload candidate = best_.workload;
          candidate.clients[client][at] = simple;
          if (!take(std::move(candidate))) continue;
          smaller = true;
          break;
        }
    return smaller;
  }

  ShrunkWorkload best_;
  const std::function<bool(const Workload&)>& fails_;
  const ShrinkLimits limits_;
};

}  // namespace

ShrunkWorkload shrink_workload(Workload failing, const std::function<bool(const Workload&)>& fails,
                               const ShrinkLimits& limits) {
  return Shrinking(std::move(failing), fails, limits).shrink();
}

}  // namespace touchstone::harness
