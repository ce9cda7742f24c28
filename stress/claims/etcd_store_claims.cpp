// Claims about the etcd store (engine/etcd/store.h): those of any store, and N1 to N5 under faults. Each check has an etcd of its own.

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>

#include "harness/etcd_engine.h"
#include "harness/recorder.h"
#include "harness/scratch.h"
#include "harness/servers/etcd_cluster.h"
#include "harness/servers/nemesis.h"
#include "harness/servers/server_claims.h"
#include "model/explanation.h"
#include "stress/claims/bound_claim.h"
#include "stress/claims/history_claims.h"
#include "stress/claims/isolation_claims.h"
#include "stress/claims/store_claims.h"

namespace touchstone::stress {
namespace {

using harness::EtcdAddress;
using harness::EtcdCluster;
using harness::EtcdEngine;
using harness::Nemesis;
using harness::Recorder;
using harness::Stream;
using harness::Workload;
using Clock = std::chrono::steady_clock;

constexpr int kClients = 4;
constexpr int kLives = 4;

/// Clients' threads, and this one, which makes the faults: it started the cluster.
class FaultyRun {
 public:
  FaultyRun(const Workload& workload, std::uint64_t seed)
      : workload_(workload), recorder_(kClients * kLives), engine_({.seed = seed}) {}

  /// A fault whenever the clients have made `every` further calls, or after one, when nobody gets on meanwhile.
  model::History run(std::size_t every, Nemesis& nemesis) {
    std::vector<std::thread> clients;
    for (int id = 0; id < kClients; ++id) clients.emplace_back([this, id] { be_client(id); });
    std::size_t faults = 0, calls = 0;
    auto moved = Clock::now();
    while (running_.load() > 0) {
      const std::size_t now = calls_.load();
      if (now != calls) moved = Clock::now();
      calls = now;
      const bool stuck = faults % 2 == 1 && Clock::now() - moved > std::chrono::milliseconds(700);
      if (calls >= (faults + 1) * every || stuck) {
        nemesis.fault(faults++);
        moved = Clock::now();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (auto& client : clients) client.join();
    nemesis.recover();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(recorder_).history(rules_for({}, EtcdEngine::kCapabilities));
  }

  const EtcdEngine& engine() const { return engine_; }
  int unknown() const { return unknown_.load(); }

 private:
  void be_client(int number) {
    try {
      make_calls(static_cast<std::size_t>(number));
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    running_.fetch_sub(1);
  }

  /// A client whose outcome is unknown calls no more (O2): the thread goes on as another one.
  void make_calls(std::size_t number) {
    std::uint64_t known = 0;
    std::size_t next = 0;
    const auto& steps = workload_.clients[number];
    for (std::size_t life = 0; life < kLives && next < steps.size(); ++life) {
      auto client = connect();
      for (std::optional<model::StoreResponse> response = model::VersionIs{};
           response && next < steps.size();) {
        response = recorder_.call(number + life * kClients, client, steps[next++].at(known));
        calls_.fetch_add(1);
        if (!response) unknown_.fetch_add(1);
        if (response)
          if (const auto seen = harness::version_seen(*response)) known = std::max(known, *seen);
      }
    }
  }

  /// A worker's number is etcd's to give: until it can.
  EtcdEngine::Client connect() {
    while (true) {
      try {
        return engine_.client(0);
      } catch (const engine::EtcdUnreachable&) {
        calls_.fetch_add(1);
      }
    }
  }

  const Workload& workload_;
  Recorder recorder_;
  EtcdEngine engine_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::atomic<int> running_{kClients};
  std::atomic<int> unknown_{0};
  std::atomic<std::size_t> calls_{0};
};

/// The faults are over: every client's increment commits, each call within this many tries.
void demand_progress(ClaimRun& run, const engine::EtcdStore& store) {
  constexpr int kBound = 20;
  const auto add =
      store.process("progress", {.inputs = {}, .outputs = {"progress"}}, [](engine::EtcdContext& ctx) {
        const auto seen = ctx.read("progress");
        ctx.set("progress", (seen ? seen->integer() : 0) + 1);
      });
  for (int client = 0; client < kClients; ++client) {
    int tries = 0;
    for (bool committed = false; !committed;) {
      run.require(++tries <= kBound, "no progress within {} tries after the faults", kBound);
      try {
        committed = store.worker().execute(add).committed();
      } catch (const engine::EtcdUnreachable&) {
        // Not yet.
      }
    }
  }
}

/// Safety while `nemesis` makes faults, and progress when it has stopped.
void run_with_faults(ClaimRun& run, Stream& stream, Nemesis& nemesis) {
  const auto workload =
      draw_workload(stream, {.clients = kClients, .steps = 25, .capabilities = EtcdEngine::kCapabilities});
  FaultyRun faulty(workload, stream.next());
  const auto history = faulty.run(10 + stream.below(15), nemesis);
  run.tried().operations += history.operations.size();
  run.tried().kills += nemesis.kills();
  const auto verdict = model::check(history, {.budget = std::chrono::seconds(20)});
  if (run.artifact() != nullptr)
    run.artifact()->write("faults.txt",
                          nemesis.log() + fmt::format("{} outcomes unknown\n", faulty.unknown()));
  keep(run, workload, history);
  if (verdict.answer == model::Answer::kInconclusive)
    throw harness::ClaimInconclusive(model::explain(history, verdict));
  if (verdict.answer == model::Answer::kNotLinearizable) keep_picture(run, history, verdict);
  run.require(verdict.answer == model::Answer::kLinearizable, "{}", model::explain(history, verdict));
  demand_progress(run, faulty.engine().store());
}

/// What the claims of one name are about.
struct Place {
  std::size_t nodes;
  bool repeats;  ///< the planted bug: a call whose answer is lost is made again
};

engine::EtcdOptions options_of(const EtcdCluster& cluster, const Place& place) {
  using std::chrono::milliseconds;
  EtcdEngine::repeat_what_is_unknown(place.repeats);
  return {.endpoints = cluster.endpoints(),
          .root = "suite",
          .request_timeout = milliseconds(500),
          .patience = milliseconds(10'000)};
}

/// The check of any store, on an etcd that lives as long as it.
std::function<void(ClaimRun&)> on_etcd(const Place& place, std::function<void(ClaimRun&)> check) {
  return [place, check](ClaimRun& run) {
    const harness::Scratch scratch;
    try {
      const EtcdCluster cluster(scratch.path(), std::vector<EtcdAddress>(place.nodes));
      EtcdEngine::use(options_of(cluster, place));
      check(run);
    } catch (const harness::ServerFailure& why) {
      throw harness::ClaimInconclusive(why.what());
    }
  };
}

template <class MakeNemesis>
void with_faults(ClaimRun& run, const Place& place, EtcdCluster& cluster, MakeNemesis make) {
  EtcdEngine::use(options_of(cluster, place));
  run.rounds([&](Seed seed) {
    auto stream = seed.stream(run.claim());
    auto nemesis = make(stream);
    run_with_faults(run, stream, nemesis);
  });
}

void under_process_faults(ClaimRun& run, const Place& place, harness::ProcessFault fault) {
  const harness::Scratch scratch;
  EtcdCluster cluster(scratch.path(), std::vector<EtcdAddress>(place.nodes));
  with_faults(run, place, cluster,
              [&](Stream& stream) { return harness::ProcessNemesis(cluster, fault, stream); });
}

void on_a_full_disk(ClaimRun& run, const Place& place) {
  const harness::Scratch scratch;
  const harness::DiskOfItsOwn disk(std::filesystem::path(scratch.path()) / "server");
  EtcdCluster cluster(disk.path(), std::vector<EtcdAddress>(place.nodes));
  with_faults(run, place, cluster, [&](Stream&) { return harness::DiskNemesis(cluster, disk.path()); });
}

void on_a_slow_disk(ClaimRun& run, const Place& place) {
  harness::SlowDisk disk;
  const harness::Scratch scratch;
  EtcdCluster cluster(scratch.path(), std::vector<EtcdAddress>(place.nodes));
  with_faults(run, place, cluster, [&](Stream& stream) { return harness::SlowDiskNemesis(disk, stream); });
  note_delays(run, disk);
}

void on_hosts_of_their_own(ClaimRun& run, const Place& place) {
  const harness::Scratch scratch;
  try {
    const int hosts = static_cast<int>(place.nodes);
    harness::HostNetwork network(hosts, Seed::of_process().stream("network"));
    std::vector<EtcdAddress> nodes;
    for (int i = 0; i < hosts; ++i)
      nodes.push_back({harness::HostNetwork::address(i), network.descriptor(i)});
    EtcdCluster cluster(scratch.path(), nodes);
    with_faults(run, place, cluster,
                [&](Stream& stream) { return harness::NetworkNemesis(network, hosts, stream); });
    run.note(fmt::format("the wire carried {} packets and dropped {}", network.carried(), network.dropped()));
  } catch (const harness::NoNetwork& why) {
    throw harness::ClaimInconclusive(fmt::format("no hosts of their own: {}", why.what()));
  }
}

void add_fault_claims(ClaimRegistry& registry, const Place& place) {
  const auto add = [&](const char* name, const char* promise, const char* technique,
                       std::function<void(ClaimRun&)> check) {
    registry.add({name, promise, technique, ReplayClass::workload, 3, [check](ClaimRun& run) {
                    try {
                      check(run);
                    } catch (const harness::ServerFailure& why) {
                      throw harness::ClaimInconclusive(why.what());
                    } catch (const harness::NoDisk& why) {
                      throw harness::ClaimInconclusive(why.what());
                    } catch (const harness::NoSlowDisk& why) {
                      throw harness::ClaimInconclusive(why.what());
                    }
                  }});
  };
  add("N1", "nodes killed and started anew: safe, and it goes on", "threads, kill -9, checker",
      [place](ClaimRun& run) { under_process_faults(run, place, harness::ProcessFault::kill); });
  add("N2", "nodes stopped and resumed: safe, and it goes on", "threads, SIGSTOP, checker",
      [place](ClaimRun& run) { under_process_faults(run, place, harness::ProcessFault::pause); });
  add("N3", "etcd's disk is full for a while: safe, and it goes on", "threads, full file system, checker",
      [place](ClaimRun& run) { on_a_full_disk(run, place); });
  add("N5", "etcd's disk is slow for a while: safe, and it goes on", "threads, delayed fsync, checker",
      [place](ClaimRun& run) { on_a_slow_disk(run, place); });
  if (place.nodes > 1)
    add("N4", "partitions, delay and loss between the nodes: safe, and it goes on",
        "threads, network namespaces, checker",
        [place](ClaimRun& run) { on_hosts_of_their_own(run, place); });
}

}  // namespace
}  // namespace touchstone::stress

namespace touchstone::harness {

std::optional<ClaimRegistry> etcd_store_claims(std::string_view name) {
  const bool three = name == "etcd-store3" || name == "etcd-store3+bugs";
  const bool bugs = name == "etcd-store3+bugs";
  if (name != EtcdEngine::kName && !three) return std::nullopt;
  if (!EtcdCluster::is_installed()) throw EngineUnusable("etcd is not installed: Debian package etcd-server");
  const stress::Place place{three ? std::size_t{3} : std::size_t{1}, bugs};
  ClaimRegistry any{std::string(name)}, registry{std::string(name)};
  stress::add_store_claims<EtcdEngine>(any);
  stress::add_history_claim<EtcdEngine>(any);
  stress::add_isolation_claim<EtcdEngine>(any);
  stress::add_bound_claim<EtcdEngine>(any);
  for (Claim claim : any.claims()) {
    if (bugs) continue;
    claim.check = stress::on_etcd(place, claim.check);
    registry.add(claim);
  }
  stress::add_fault_claims(registry, place);
  registry.add_not_claimed(
      {"A4", "on an unchanged base no version is compared", "a fast path (docs/distributed.md)"});
  registry.sort();
  return registry;
}

}  // namespace touchstone::harness
