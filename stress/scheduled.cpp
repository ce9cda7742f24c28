#include "stress/scheduled.h"

#include <stdexcept>

namespace touchstone::stress {
namespace {

const std::vector<Scheduled>& everything() {
  static const std::vector<Scheduled> all = [] {
    std::vector<Scheduled> joined;
    for (const engine::Policy policy : {engine::Policy::ticket, engine::Policy::key_queue}) {
      for (auto&& some : {scheduled_gate(policy), scheduled_turns(policy), scheduled_bound(policy)})
        joined.insert(joined.end(), some.begin(), some.end());
    }
    return joined;
  }();
  return all;
}

}  // namespace

Scheduled& ScheduledList::add(std::string claim, std::string name, Scheduled::Search search,
                              std::uint64_t executions, const Reached& wanted,
                              std::function<void(Reached&)> body) {
  if (policy_ == engine::Policy::key_queue) name += "-by-key";
  Scheduled promise{.claim = std::move(claim),
                    .name = std::move(name),
                    .search = search,
                    .body = {},
                    .executions = executions,
                    .wanted = wanted};
  promise.body = [body = std::move(body), reached = promise.reached] { body(*reached); };
  all_.push_back(std::move(promise));
  return all_.back();
}

std::vector<const Scheduled*> all_scheduled_for(std::string_view claim) {
  std::vector<const Scheduled*> chosen;
  for (const Scheduled& promise : everything())
    if (promise.claim == claim) chosen.push_back(&promise);
  return chosen;
}

const Scheduled& scheduled(std::string_view claim, std::string_view name) {
  for (const Scheduled* promise : all_scheduled_for(claim))
    if (promise->name == name) return *promise;
  throw std::out_of_range(std::string(claim) + " has no schedules named " + std::string(name));
}

harness::explore::Report look(const Scheduled& promise, harness::explore::Options options) {
  if (!options.executions) options.executions = promise.executions;
  switch (promise.search) {
    case Scheduled::Search::exhausted:
      return exhaust(promise.body, options);
    case Scheduled::Search::sampled:
      return portfolio(promise.body, options);
    case Scheduled::Search::scripted:
      break;
  }
  return scripted(promise.body, promise.script, options);
}

}  // namespace touchstone::stress
