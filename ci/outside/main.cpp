// One use of each component of the installed package: a commit, an etcd that is not there, a checked history, an explored race.

#include <chrono>
#include <cstdio>

#include "engine/etcd/store.h"
#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/explorer.h"
#include "model/checker.h"

int main() {
  namespace engine = touchstone::engine;
  namespace explore = touchstone::harness::explore;
  engine::Store<> store;
  const auto committed = store.compare_and_swap(0, engine::WriteSet{}.set("a.b", 7));
  const bool one = std::holds_alternative<engine::Committed>(committed) && store.read("a.b")->integer() == 7;

  bool nobody = false;
  const engine::EtcdStore distributed(
      {.endpoints = {{"127.0.0.1", 1}}, .patience = std::chrono::milliseconds(1)});
  try {
    distributed.worker();
  } catch (const engine::EtcdUnreachable&) {
    nobody = true;
  }

  const auto verdict = touchstone::model::check(touchstone::model::History{});
  const bool two = verdict.answer == touchstone::model::Answer::kLinearizable;

  const explore::Report report = explore::exhaust([] {
    using P = explore::ControlledPlatform;
    engine::Store<P> raced;
    P::thread rival([&raced] { raced.compare_and_swap(0, engine::WriteSet{}.set("a", 1)); });
    raced.compare_and_swap(0, engine::WriteSet{}.set("b", 2));
    rival.join();
    explore::require(raced.version() == 2, "two that want different paths both commit");
  });
  const bool three = report.verdict == explore::Verdict::passed;
  std::printf("engine %d etcd %d model %d harness %d\n", one, nobody, two, three);
  return one && nobody && two && three ? 0 : 1;
}
