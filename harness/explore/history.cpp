#include "harness/explore/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace touchstone::harness::explore {

namespace {

constexpr std::size_t kWidth = 48;

/// `call` on a line of kWidth characters that stands for `events` events.
std::string bar(const Call& call, std::size_t events) {
  const auto place = [events](std::size_t event) {
    return event * (kWidth - 2) / std::max<std::size_t>(events, 1);
  };
  const std::size_t begin = place(std::min(call.begin, events));
  const std::size_t end = call.end ? place(std::min(*call.end, events)) : kWidth - 2;
  const std::string line = fmt::format("{:{}}|{:-<{}}{}", "", begin, "", end - begin, call.end ? "|" : ">");
  return fmt::format("{:<{}}", line, kWidth);
}

}  // namespace

std::string draw_history(const Scheduler& scheduler) {
  std::size_t who = 0;
  std::size_t what = 0;
  for (const Call& call : scheduler.calls()) {
    who = std::max(who, scheduler.thread_name(call.thread).size());
    what = std::max(what, call.what.size());
  }
  std::string out;
  for (const Call& call : scheduler.calls()) {
    out +=
        fmt::format("     {:<{}}  {:<{}}  {}  {}\n", scheduler.thread_name(call.thread), who, call.what, what,
                    bar(call, scheduler.decided_events()), call.end ? call.result : "did not return");
  }
  return out;
}

}  // namespace touchstone::harness::explore
