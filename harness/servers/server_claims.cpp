#include "harness/servers/server_claims.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "harness/history_jsonl.h"
#include "harness/scratch.h"
#include "harness/servers/etcd.h"
#include "harness/servers/host_network.h"
#include "harness/servers/nemesis.h"
#include "harness/servers/server_run.h"
#include "model/checker.h"
#include "model/explanation.h"

namespace touchstone::harness {
namespace {

/// A server in a directory of its own, which goes with it.
class RunningServer {
 public:
  explicit RunningServer(const ServerKind& kind) : server_(kind.start(make_directory())) {}

  Server& operator*() { return *server_; }

 private:
  std::filesystem::path make_directory() {
    const auto path = std::filesystem::path(scratch_.path()) / "server";
    std::filesystem::create_directories(path);
    return path;
  }

  const Scratch scratch_;
  std::unique_ptr<Server> server_;
};

void keep(ClaimRun& run, const model::History& history) {
  if (run.artifact() == nullptr) return;
  run.artifact()->write("scenario.txt", "the clients of harness/servers/server_run.h, on single keys\n");
  save_jsonl_history(history, (run.artifact()->directory() / "history.jsonl").string());
}

void keep(ClaimRun& run, const model::TransactionHistory& history) {
  if (run.artifact() == nullptr) return;
  std::string text;
  for (std::size_t i = 0; i < history.transactions.size(); ++i)
    text += model::describe(history, static_cast<model::TransactionNumber>(i)) + "\n";
  run.artifact()->write("transactions.txt", text);
}

void judge(ClaimRun& run, const model::History& history) {
  run.tried().operations += history.operations.size();
  const auto verdict = model::check(history, {.budget = std::chrono::seconds(20)});
  if (verdict.answer == model::Answer::kLinearizable) return;
  keep(run, history);
  if (verdict.answer == model::Answer::kInconclusive)
    throw ClaimInconclusive(model::explain(history, verdict));
  run.require(false, "not linearizable: {}", model::explain(history, verdict));
}

void judge(ClaimRun& run, const model::TransactionHistory& history, model::Level promised) {
  run.tried().operations += history.transactions.size();
  const auto verdict = model::check_isolation(history);
  if (!verdict.inapplicable.empty()) throw ClaimInconclusive(verdict.inapplicable);
  if (verdict.holds(promised)) return;
  keep(run, history);
  std::string anomalies;
  for (const auto& anomaly : verdict.anomalies) anomalies += "\n" + anomaly.text;
  run.require(false, "not {}{}", model::name(promised), anomalies);
}

/// Starts the server once, then rounds on it.
template <class Round>
void on_server(ClaimRun& run, const ServerKind& kind, Round round) {
  RunningServer server(kind);
  run.rounds([&](Seed seed) {
    auto stream = seed.stream(run.claim());
    round(*server, stream);
  });
}

/// Histories while `nemesis` makes faults, their judgement, and progress when it has stopped.
void run_with_faults(ClaimRun& run, Server& server, const ServerLevel& level, Nemesis& nemesis,
                     Stream& stream) {
  ServerRunShape shape{.clients = 6, .transactions = 40, .keys = 3};
  shape.fault_every = 40 + stream.below(40);
  shape.fault = [&](std::size_t nth) { nemesis.fault(nth); };
  const auto ended = [&] {
    nemesis.recover();
    constexpr int kBound = 100;
    const auto attempts = attempts_until_progress(server, level, shape.clients, kBound);
    run.require(attempts.has_value(), "no progress within {} attempts after the faults", kBound);
    if (run.artifact() != nullptr) run.artifact()->write("faults.txt", nemesis.log());
  };
  const auto cells = record_cells(server, level, stream, shape);
  ended();
  judge(run, cells);
  // What is read last must be reachable: the faults end before it.
  shape.ended = ended;
  judge(run, record_transactions(server, level, stream, shape), level.promised);
  run.tried().kills += nemesis.kills();
}

void under_process_faults(ClaimRun& run, const ServerKind& kind, const ServerLevel& level,
                          ProcessFault fault) {
  on_server(run, kind, [&](Server& server, Stream& stream) {
    ProcessNemesis nemesis(server, fault, stream);
    run_with_faults(run, server, level, nemesis, stream);
  });
}

void on_a_full_disk(ClaimRun& run, const ServerKind& kind, const ServerLevel& level) {
  const Scratch scratch;
  const DiskOfItsOwn disk(std::filesystem::path(scratch.path()) / "server");
  const auto server = kind.start(disk.path());
  run.rounds([&](Seed seed) {
    auto stream = seed.stream(run.claim());
    DiskNemesis nemesis(*server, disk.path());
    run_with_faults(run, *server, level, nemesis, stream);
  });
}

void on_a_slow_disk(ClaimRun& run, const ServerKind& kind, const ServerLevel& level) {
  SlowDisk disk;
  on_server(run, kind, [&](Server& server, Stream& stream) {
    SlowDiskNemesis nemesis(disk, stream);
    run_with_faults(run, server, level, nemesis, stream);
  });
  note_delays(run, disk);
}

void on_three_hosts(ClaimRun& run, const ServerLevel& level) {
  const Scratch scratch;
  try {
    HostNetwork network(3, Seed::of_process().stream("network"));
    std::vector<EtcdAddress> nodes;
    for (int i = 0; i < 3; ++i) nodes.push_back({HostNetwork::address(i), network.descriptor(i)});
    const auto server = start_etcd(scratch.path(), nodes);
    run.rounds([&](Seed seed) {
      auto stream = seed.stream(run.claim());
      NetworkNemesis nemesis(network, 3, stream);
      run_with_faults(run, *server, level, nemesis, stream);
    });
    run.note(fmt::format("the wire carried {} packets and dropped {}", network.carried(), network.dropped()));
  } catch (const NoNetwork& why) {
    throw ClaimInconclusive(fmt::format("no hosts of their own: {}", why.what()));
  }
}

/// What goes wrong with the server itself is no verdict about it.
template <class Check>
std::function<void(ClaimRun&)> guarded(Check check) {
  return [check](ClaimRun& run) {
    try {
      check(run);
    } catch (const ServerFailure& why) {
      throw ClaimInconclusive(why.what());
    } catch (const Unreachable& why) {
      throw ClaimInconclusive(why.what());
    } catch (const NoDisk& why) {
      throw ClaimInconclusive(why.what());
    } catch (const NoSlowDisk& why) {
      throw ClaimInconclusive(why.what());
    }
  };
}

void add_network_claim(ClaimRegistry& registry, const ServerLevel& level) {
  registry.add({"N4", "partitions, delay and loss between three hosts: safe, and it goes on",
                "threads, network namespaces, checker", ReplayClass::workload, 2,
                guarded([level](ClaimRun& run) { on_three_hosts(run, level); })});
}

void add_level_claims(ClaimRegistry& registry, const ServerKind& kind, const ServerLevel& level,
                      std::size_t number) {
  registry.add({fmt::format("K{}", number), fmt::format("{}: linearizable key by key", level.name),
                "threads, checker", ReplayClass::workload, 1, guarded([kind, level](ClaimRun& run) {
                  on_server(run, kind, [&](Server& server, Stream& stream) {
                    judge(run, record_cells(server, level, stream, {}));
                  });
                })});
  registry.add({fmt::format("I{}", number), fmt::format("{}: {}", level.name, model::name(level.promised)),
                "threads, checker", ReplayClass::workload, 1, guarded([kind, level](ClaimRun& run) {
                  on_server(run, kind, [&](Server& server, Stream& stream) {
                    judge(run, record_transactions(server, level, stream, {}), level.promised);
                  });
                })});
}

void add_fault_claims(ClaimRegistry& registry, const ServerKind& kind, const ServerLevel& level) {
  const auto add = [&](const char* name, const char* promise, const char* technique,
                       std::function<void(ClaimRun&)> check) {
    registry.add({name, promise, technique, ReplayClass::workload, 2, std::move(check)});
  };
  if (kind.word == "rocksdb") return;  // it has no process that could be killed alone
  add("N1", "killed and started anew: safe, and it goes on", "threads, kill -9, checker",
      guarded([kind, level](ClaimRun& run) { under_process_faults(run, kind, level, ProcessFault::kill); }));
  add("N2", "stopped and resumed: safe, and it goes on", "threads, SIGSTOP, checker",
      guarded([kind, level](ClaimRun& run) { under_process_faults(run, kind, level, ProcessFault::pause); }));
  add("N3", "its disk is full for a while: safe, and it goes on", "threads, full file system, checker",
      guarded([kind, level](ClaimRun& run) { on_a_full_disk(run, kind, level); }));
  add("N5", "its disk is slow for a while: safe, and it goes on", "threads, delayed fsync, checker",
      guarded([kind, level](ClaimRun& run) { on_a_slow_disk(run, kind, level); }));
  if (kind.word == "etcd3") add_network_claim(registry, level);
}

constexpr std::string_view kBugs = "+bugs";

}  // namespace

std::optional<ClaimRegistry> server_claims(std::string_view name) {
  std::string word(name);
  const bool bugs = word.size() > kBugs.size() && name.substr(word.size() - kBugs.size()) == kBugs;
  if (bugs) word.resize(word.size() - kBugs.size());
  const ServerCatalogue catalogue = server_catalogue();
  for (const auto& [missing, packages] : catalogue.missing)
    if (missing == word) throw EngineUnusable("it is not here: Debian packages " + packages);
  for (const auto& kind : catalogue.kinds) {
    if (kind.word != word) continue;
    ClaimRegistry registry{std::string(name)};
    std::size_t number = 0;
    const ServerLevel* strictest = nullptr;
    for (const auto& level : kind.levels) {
      if (level.planted_bug.empty() == bugs) continue;
      level.shows_when_apart ? add_network_claim(registry, level)
                             : add_level_claims(registry, kind, level, ++number);
      if (strictest == nullptr || model::implies(level.promised, strictest->promised)) strictest = &level;
    }
    if (!bugs && strictest != nullptr) add_fault_claims(registry, kind, *strictest);
    registry.sort();
    return registry;
  }
  return std::nullopt;
}

}  // namespace touchstone::harness
