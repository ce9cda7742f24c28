#include "harness/explore/plain_search.h"

#include <algorithm>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

namespace {

constexpr ThreadMask bit(ThreadId id) {
  return ThreadMask{1} << id;
}

}  // namespace

void PlainSearch::begin(Scheduler&) {
  at_ = 0;
  preemptions_ = 0;
}

ThreadId PlainSearch::pick(Scheduler& scheduler) {
  const ThreadMask enabled = scheduler.enabled();
  const ThreadId running = scheduler.running();
  const bool goes_on = (enabled & bit(running)) != 0;
  if (at_ == nodes_.size()) {
    const ThreadId first = goes_on ? running : lowest(enabled);
    const bool spent = limits_.preemptions && preemptions_ >= *limits_.preemptions;
    const ThreadMask others = goes_on && spent ? 0 : enabled & ~bit(first);
    nodes_.push_back({others, first, 0});
  }
  const auto taken = static_cast<ThreadId>(nodes_[at_++].taken);
  if (goes_on && taken != running) ++preemptions_;
  return taken;
}

std::uint64_t PlainSearch::choose(Scheduler&, Choice what, std::uint64_t arity, std::uint64_t fallback) {
  const bool draws = what == Choice::draw;
  const std::uint64_t values = draws ? std::min(arity == 0 ? limits_.draws : arity, limits_.draws) : arity;
  if (values <= 1) return fallback;
  if (at_ == nodes_.size()) nodes_.push_back({0, 0, values});
  const std::uint64_t taken = nodes_[at_++].taken;
  if (!draws) return taken;
  if (taken == 0) return fallback;
  return taken - 1 < fallback ? taken - 1 : taken;
}

bool PlainSearch::advance() {
  nodes_.resize(at_);
  while (!nodes_.empty()) {
    Node& node = nodes_.back();
    if (node.values != 0 && node.taken + 1 < node.values) {
      ++node.taken;
      return true;
    }
    if (node.left != 0) {
      node.taken = lowest(node.left);
      node.left &= node.left - 1;
      return true;
    }
    nodes_.pop_back();
  }
  return false;
}

}  // namespace touchstone::harness::explore
