#include "stress/claims/fault_claims.h"

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "harness/foreign/command_host.h"
#include "harness/isolated.h"
#include "harness/recorder.h"
#include "harness/workload.h"
#include "model/explanation.h"
#include "stress/claims/history_claims.h"

namespace touchstone::stress {
namespace {

using harness::CommandHost;
using harness::ForeignInstance;
using harness::Recorder;
using harness::Stream;
using harness::Workload;

constexpr int kClients = 4;

/// One run with faults: the clients' threads, and this one, which makes the faults and starts the engine anew.
class FaultyRun {
 public:
  FaultyRun(CommandHost& host, std::string directory, Workload workload, int lives)
      : host_(host),
        directory_(std::move(directory)),
        workload_(std::move(workload)),
        lives_(lives),
        recorder_(static_cast<std::size_t>(kClients * lives)),
        instance_(host_.open_durable({}, directory_)) {}

  /// Calls `fault(nth)` whenever the clients have made `every` further calls.
  template <class Fault>
  model::History run(std::size_t every, Fault fault) {
    std::vector<std::thread> clients;
    for (int id = 0; id < kClients; ++id) clients.emplace_back([this, id] { be_client(id); });
    std::size_t faults = 0;
    while (running_.load() > 0) {
      if (calls_.load() >= (faults + 1) * every) {
        fault(faults++);
      } else {
        std::this_thread::yield();
      }
    }
    for (auto& client : clients) client.join();
    instance_.reset();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(recorder_).history(rules_for({}, harness::ForeignEngine::kCapabilities));
  }

  void kill_and_restart() {
    host_.kill();
    const std::lock_guard lock(mutex_);
    instance_.reset();
    host_.restart();
    instance_ = host_.open_durable({}, directory_);
    life_.fetch_add(1);
  }

 private:
  std::unique_ptr<harness::ForeignClient> connect(std::size_t id) {
    const std::lock_guard lock(mutex_);
    return instance_->client(static_cast<int>(id));
  }

  void be_client(int number) {
    try {
      make_calls(number);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    running_.fetch_sub(1);
  }

  /// A client whose outcome is unknown calls no more (O2): the thread goes on as another one.
  void make_calls(int number) {
    int life = 0;
    std::size_t id = static_cast<std::size_t>(number);
    auto client = connect(id);
    std::uint64_t known = 0;
    for (const auto& step : workload_.clients[static_cast<std::size_t>(number)]) {
      const auto response = recorder_.call(id, *client, step.at(known));
      calls_.fetch_add(1);
      if (response) {
        if (const auto seen = harness::version_seen(*response)) known = std::max(known, *seen);
        continue;
      }
      if (++life == lives_) return;
      while (life_.load() < life) std::this_thread::yield();
      id += kClients;
      client = connect(id);
    }
  }

  CommandHost& host_;
  const std::string directory_;
  const Workload workload_;
  const int lives_;
  Recorder recorder_;
  std::mutex mutex_;
  std::unique_ptr<ForeignInstance> instance_;
  std::exception_ptr failure_;
  std::atomic<int> life_{0};
  std::atomic<int> running_{kClients};
  std::atomic<std::size_t> calls_{0};
};

Workload draw(Stream& stream) {
  return draw_workload(
      stream,
      {.clients = kClients, .steps = 25, .capabilities = harness::ForeignEngine::kCapabilities, .oldest = 1});
}

void judge(harness::ClaimRun& run, const Workload& workload, const model::History& history) {
  run.tried().operations += history.operations.size();
  const auto verdict = model::check(history, {.budget = std::chrono::seconds(20)});
  if (verdict.answer == model::Answer::kLinearizable) return;
  keep(run, workload, history);
  keep_picture(run, history, verdict);
  if (verdict.answer == model::Answer::kInconclusive)
    throw harness::ClaimInconclusive(model::explain(history, verdict));
  run.require(false, "{}", model::explain(history, verdict));
}

CommandHost& process() {
  return dynamic_cast<CommandHost&>(harness::ForeignEngine::host());
}

// F1. The danger: an engine that decides by the clock what the others must have done, and wakes up behind it.
void stopped_and_resumed(harness::ClaimRun& run) {
  run.rounds([&](harness::Seed seed) {
    auto stream = seed.stream("F1");
    const auto workload = draw(stream);
    FaultyRun faulty(process(), "", workload, 1);
    judge(run, workload, faulty.run(stream.below(20) + 5, [&](std::size_t) {
      process().pause();
      std::this_thread::sleep_for(std::chrono::milliseconds(stream.below(20)));
      process().resume();
    }));
  });
}

// F2. The danger: a commit that was answered and is gone after the kill, or comes back in parts.
void killed_and_started_anew(harness::ClaimRun& run) {
  run.rounds([&](harness::Seed seed) {
    auto stream = seed.stream("F2");
    const auto workload = draw(stream);
    const auto directory = std::filesystem::temp_directory_path() /
                           fmt::format("touchstone-engine-{}-{}", ::getpid(), run.tried().rounds);
    std::filesystem::create_directories(directory);
    struct Removal {
      const std::filesystem::path& path;
      ~Removal() { std::filesystem::remove_all(path); }
    } const removal{directory};
    constexpr int kLives = 4;
    FaultyRun faulty(process(), directory.string(), workload, kLives);
    const auto history = faulty.run(stream.below(15) + 10, [&](std::size_t nth) {
      if (nth + 1 >= kLives) return;
      faulty.kill_and_restart();
      ++run.tried().kills;
    });
    judge(run, workload, history);
  });
}

}  // namespace

void add_fault_claims(harness::ClaimRegistry& registry, const harness::ForeignDescription& description) {
  constexpr const char* kStopped =
      "stopped in the middle and resumed, it answers as if it had only been slow";
  constexpr const char* kKilled =
      "killed in the middle and started anew, it has every commit that it answered";
  constexpr auto kThreads = harness::ReplayClass::workload;
  if (description.process) {
    registry.add({"F1", kStopped, "threads, SIGSTOP, checker", kThreads, 2, stopped_and_resumed});
  } else {
    registry.add_not_claimed({"F1", kStopped, "a process of its own"});
  }
  if (description.process && description.durable) {
    registry.add({"F2", kKilled, "threads, kill -9, checker", kThreads, 4, killed_and_started_anew});
  } else {
    registry.add_not_claimed({"F2", kKilled, "durable"});
  }
}

}  // namespace touchstone::stress
