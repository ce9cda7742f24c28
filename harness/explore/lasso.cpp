#include "harness/explore/lasso.h"

namespace touchstone::harness::explore {

namespace {

bool same_step(const Event& a, const Event& b) {
  return a.thread == b.thread && a.kind == b.kind && a.access == b.access && a.object == b.object &&
         a.before == b.before && a.after == b.after;
}

/// The smallest period of events[from..]: their number less the longest part that is both their beginning and their end
/// (Knuth, Morris, Pratt 1977).
std::size_t period_of(const std::vector<Event>& events, std::size_t from) {
  const std::size_t count = events.size() - from;
  std::vector<std::size_t> border(count, 0);
  for (std::size_t i = 1; i < count; ++i) {
    std::size_t length = border[i - 1];
    while (length != 0 && !same_step(events[from + i], events[from + length])) length = border[length - 1];
    border[i] = same_step(events[from + i], events[from + length]) ? length + 1 : 0;
  }
  return count - border.back();
}

}  // namespace

std::optional<Lasso> find_lasso(const std::vector<Event>& events, std::size_t fair_from) {
  if (fair_from >= events.size()) return std::nullopt;
  const std::size_t from = fair_from + (events.size() - fair_from) / 2;
  Lasso lasso{from, period_of(events, from)};
  if (lasso.period * Lasso::kLaps > events.size() - from) return std::nullopt;
  while (lasso.begin > fair_from &&
         same_step(events[lasso.begin - 1], events[lasso.begin - 1 + lasso.period]))
    --lasso.begin;
  return lasso;
}

}  // namespace touchstone::harness::explore
