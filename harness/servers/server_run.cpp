#include "harness/servers/server_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <limits>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "harness/start_together.h"

namespace touchstone::harness {
namespace {

using model::Outcome;
using model::Scalar;

std::int64_t now() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

/// The clients' threads, and the caller's, which makes the faults.
class Clients {
 public:
  Clients(const ServerRunShape& shape, Stream& stream) : shape_(shape) {
    for (int i = 0; i < shape.clients; ++i) streams_.push_back(Seed(stream.next()).stream("client"));
  }

  /// Calls transact(client, stream) until it has reached the server as often as the shape says, in each client; not for ever.
  template <class Transact>
  void run(Transact transact) {
    std::atomic<int> running{shape_.clients};
    std::atomic<std::size_t> ended{0};
    std::mutex mutex;
    std::exception_ptr failure;
    std::vector<std::thread> threads;
    for (int client = 0; client < shape_.clients; ++client)
      threads.emplace_back([&, client] {
        try {
          int unreachable = 0;
          for (int i = 0; i < shape_.transactions && unreachable < kMostUnreachable;) {
            const bool reached = transact(client, streams_[static_cast<std::size_t>(client)]);
            ended.fetch_add(1);
            i += reached ? 1 : 0;
            unreachable = reached ? 0 : unreachable + 1;
          }
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!failure) failure = std::current_exception();
        }
        running.fetch_sub(1);
      });
    std::size_t faults = 0;
    auto last_fault = std::chrono::steady_clock::now();
    while (running.load() > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const auto now = std::chrono::steady_clock::now();
      const bool late = faults % 2 == 1 && now - last_fault > kLongestFault;
      if (shape_.fault && (late || ended.load() >= (faults + 1) * shape_.fault_every)) {
        try {
          last_fault = now;
          shape_.fault(faults++);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!failure) failure = std::current_exception();
        }
      }
    }
    for (auto& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  /// Who waits for a node that is away ends no call meanwhile.
  static constexpr std::chrono::milliseconds kLongestFault{2000};
  static constexpr int kMostUnreachable = 1000;  // in a row, ten milliseconds each

  const ServerRunShape& shape_;
  std::vector<Stream> streams_;
};

enum class Ending { committed, refused, unreachable, unknown };

/// Runs `body` as one transaction: how it ended, by what is known (V1).
template <class Body>
Ending transact(Session& session, Body body) {
  try {
    session.begin();
    body();
    return session.commit() ? Ending::committed : Ending::refused;
  } catch (const Refused&) {
    return Ending::refused;
  } catch (const Unreachable&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return Ending::unreachable;
  } catch (const OutcomeUnknown&) {
    return Ending::unknown;
  }
}

/// A client's name in the history, another one after each outcome that is unknown (H3).
std::string name_of(int client, int life) {
  return life == 0 ? std::to_string(client) : fmt::format("{}.{}", client, life);
}

std::string key_of(std::uint64_t key) {
  return "k" + std::to_string(key);
}

std::vector<Scalar> list_of(const std::optional<std::string>& text) {
  std::vector<Scalar> list;
  std::istringstream in(text.value_or(""));
  for (std::int64_t value = 0; in >> value;) list.emplace_back(value);
  return list;
}

struct ListStep {
  std::string key;
  std::optional<std::int64_t> appended;
  std::vector<Scalar> seen;
  bool was_read = false;
};

struct ListTransaction {
  std::string client;
  std::int64_t invoked = 0;
  std::int64_t returned = model::kNever;
  Outcome outcome = Outcome::kUnknown;
  std::vector<ListStep> steps;
};

void add(model::TransactionHistory& history, const ListTransaction& it) {
  auto transaction = history.begin(it.client, it.invoked);
  for (const auto& step : it.steps) {
    if (step.was_read) transaction.read_list(step.key, step.seen);
    if (step.appended) transaction.append(step.key, Scalar(*step.appended));
  }
  transaction.end(it.returned, it.outcome);
}

/// One to three keys: each is read, and to some of them a value is appended that is appended nowhere else.
std::vector<ListStep> draw_steps(Stream& stream, const ServerRunShape& shape, std::int64_t& next_value) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t i = 0, n = 1 + stream.below(3); i < n; ++i)
    keys.insert(stream.below(static_cast<std::uint64_t>(shape.keys)));
  std::vector<ListStep> steps;
  for (const std::uint64_t key : keys) {
    steps.push_back({key_of(key), std::nullopt, {}});
    if (stream.chance(1, 2)) steps.back().appended = next_value++;
  }
  stream.shuffle(steps);
  return steps;
}

Ending run_steps(Session& session, std::vector<ListStep>& steps, Stream& stream) {
  return transact(session, [&] {
    for (auto& step : steps) {
      const auto text = session.read(step.key);
      step.seen = list_of(text);
      step.was_read = true;
      if (stream.chance(1, 4)) std::this_thread::yield();
      if (step.appended)
        session.write(step.key, fmt::format("{}{}{}", text.value_or(""), text ? " " : "", *step.appended));
    }
  });
}

/// What one client does to single keys, as operations of a history of cells.
class CellClient {
 public:
  CellClient(Server& server, const ServerLevel& level, int client, const ServerRunShape& shape)
      : session_(server.session(level, client)), client_(client), shape_(shape) {}

  /// False: the server was not reached.
  bool operate(Stream& stream) {
    CellOperation it;
    it.client = name_of(client_, lives_);
    it.key = key_of(stream.below(static_cast<std::uint64_t>(shape_.keys)));
    it.function = stream.chance(1, 2)   ? model::Function::kRead
                  : stream.chance(1, 2) ? model::Function::kWrite
                                        : model::Function::kCas;
    it.argument = client_ * 100'000 + next_value_++;
    if (it.function == model::Function::kCas) it.expected = last_seen_;
    it.invoked = now();
    const Ending ending = transact(*session_, [&] { make(it); });
    if (ending == Ending::unreachable) return false;
    it.returned = now();
    it.outcome = it.differed ? Outcome::kFail : Outcome::kOk;
    if (ending == Ending::unknown) {
      // Of a read, or a compare-and-set that found something else, nothing can have happened.
      if (it.function == model::Function::kRead || it.differed) return true;
      it.outcome = Outcome::kUnknown;
      it.returned = model::kNever;
      ++lives_;
    } else if (ending != Ending::committed) {
      return true;  // nothing happened, and nothing of what was read was confirmed
    }
    if (it.function == model::Function::kRead) last_seen_ = it.observed;
    done_.push_back(std::move(it));
    return true;
  }

  void add_to(model::History& history) const {
    for (const auto& it : done_) {
      model::Operation operation{.invoked = it.invoked, .returned = it.returned};
      operation.client = history.client(it.client);
      operation.key = history.key(it.key);
      operation.function = it.function;
      operation.outcome = it.outcome;
      const auto id = [&](const std::optional<std::int64_t>& value) {
        return value ? history.value(Scalar(*value)) : model::kNil;
      };
      if (it.function == model::Function::kRead) {
        operation.observed = id(it.observed);
      } else {
        operation.argument = id(it.argument);
        operation.expected = id(it.expected);
      }
      history.operations.push_back(operation);
    }
  }

 private:
  struct CellOperation {
    std::string client;
    std::string key;
    model::Function function = model::Function::kRead;
    std::int64_t argument = 0;
    std::optional<std::int64_t> expected;
    std::optional<std::int64_t> observed;
    bool differed = false;
    std::int64_t invoked = 0;
    std::int64_t returned = 0;
    Outcome outcome = Outcome::kOk;
  };

  void make(CellOperation& it) {
    if (it.function != model::Function::kWrite) {
      const auto text = session_->read(it.key);
      it.observed = text ? std::optional(std::stoll(*text)) : std::nullopt;
      if (it.function == model::Function::kRead) return;
      it.differed = it.observed != it.expected;
      if (it.differed) return;
    }
    session_->write(it.key, std::to_string(it.argument));
  }

  std::unique_ptr<Session> session_;
  const int client_;
  const ServerRunShape& shape_;
  int lives_ = 0;
  std::int64_t next_value_ = 1;
  std::optional<std::int64_t> last_seen_;
  std::vector<CellOperation> done_;
};

}  // namespace

model::History record_cells(Server& server, const ServerLevel& level, Stream& stream,
                            const ServerRunShape& shape) {
  server.clear();
  std::vector<CellClient> clients;
  for (int client = 0; client < shape.clients; ++client) clients.emplace_back(server, level, client, shape);
  Clients(shape, stream).run([&](int client, Stream& own) {
    return clients[static_cast<std::size_t>(client)].operate(own);
  });
  model::History history(model::HistoryKind::kCell);
  for (const auto& client : clients) client.add_to(history);
  return history;
}

model::TransactionHistory record_transactions(Server& server, const ServerLevel& level, Stream& stream,
                                              const ServerRunShape& shape) {
  server.clear();
  struct Client {
    std::unique_ptr<Session> session;
    std::vector<ListTransaction> done;
    int lives = 0;
    std::int64_t next_value = 0;
  };
  std::vector<Client> clients(static_cast<std::size_t>(shape.clients));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].session = server.session(level, static_cast<int>(i));
    clients[i].next_value = static_cast<std::int64_t>(i + 1) * 100'000;
  }
  Clients(shape, stream).run([&](int number, Stream& own) {
    Client& client = clients[static_cast<std::size_t>(number)];
    ListTransaction it;
    it.client = name_of(number, client.lives);
    it.steps = draw_steps(own, shape, client.next_value);
    it.invoked = now();
    const Ending ending = run_steps(*client.session, it.steps, own);
    it.returned = now();
    if (ending == Ending::unreachable) return false;
    if (ending == Ending::unknown) {
      it.returned = model::kNever;
      ++client.lives;
    } else {
      it.outcome = ending == Ending::committed ? Outcome::kOk : Outcome::kFail;
    }
    client.done.push_back(std::move(it));
    return true;
  });
  if (shape.ended) shape.ended();
  // What all agree on in the end: without it nobody may have seen the last appends.
  ListTransaction last;
  last.client = "last";
  last.invoked = now();
  for (int key = 0; key < shape.keys; ++key)
    last.steps.push_back({key_of(static_cast<std::uint64_t>(key)), std::nullopt, {}});
  Ending ending = Ending::refused;
  for (int attempt = 0; attempt < 200 && ending != Ending::committed; ++attempt)
    ending = run_steps(*clients.front().session, last.steps, stream);
  if (ending != Ending::committed) throw ServerFailure("the server cannot be read after the run");
  last.returned = now();
  last.outcome = Outcome::kOk;
  model::TransactionHistory history(model::Objects::kLists);
  for (const auto& client : clients)
    for (const auto& it : client.done) add(history, it);
  add(history, last);
  return history;
}

ServerContention measure_contention(Server& server, const ServerLevel& level, ContentionPolicy policy,
                                    Stream& stream) {
  constexpr int kClients = 8;
  constexpr int kCommits = 12;
  server.clear();
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Stream> streams;
  for (int i = 0; i < kClients; ++i) {
    sessions.push_back(server.session(level, i));
    streams.push_back(Seed(stream.next()).stream("contention"));
    transact(*sessions.back(), [&] { sessions.back()->read("counter"); });  // connected
  }
  std::atomic<std::uint64_t> conflicts{0}, most{0};
  ContentionLayer layer(policy);
  const auto begin = std::chrono::steady_clock::now();
  start_together(kClients, [&](int id) {
    Session& session = *sessions[static_cast<std::size_t>(id)];
    ContentionLayer::Worker worker(layer, streams[static_cast<std::size_t>(id)]);
    for (int i = 0; i < kCommits; ++i) {
      std::uint64_t in_a_row = 0;
      for (bool committed = false; !committed;) {
        worker.before_attempt();
        committed = transact(session, [&] {
                      const auto seen = session.read("counter");
                      session.write("counter", std::to_string(seen ? std::stoll(*seen) + 1 : 1));
                    }) == Ending::committed;
        worker.after_attempt(committed);
        if (committed) continue;
        conflicts.fetch_add(1);
        ++in_a_row;
        std::uint64_t known = most.load();
        while (in_a_row > known && !most.compare_exchange_weak(known, in_a_row)) {
        }
      }
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {kClients * kCommits, conflicts.load(), most.load(), seconds};
}

std::optional<int> attempts_until_progress(Server& server, const ServerLevel& level, int clients, int bound) {
  int most = 0;
  for (int client = 0; client < clients; ++client) {
    const auto session = server.session(level, client);
    int attempt = 1;
    while (transact(*session, [&] {
             session->read("progress");
             session->write("progress", std::to_string(client));
           }) != Ending::committed) {
      if (++attempt > bound) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    most = std::max(most, attempt);
  }
  return most;
}

}  // namespace touchstone::harness
