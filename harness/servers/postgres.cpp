// PostgreSQL under the suite: a table of keys, values and versions, at each of its isolation levels.

#include <fmt/format.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <thread>
#include <utility>

#include "harness/foreign/command_host.h"
#include "harness/servers/kinds.h"
#include "harness/servers/server_process.h"

namespace touchstone::harness {
namespace {

constexpr const char* kBare = "READ COMMITTED without version column";

struct ClearResult {
  void operator()(PGresult* result) const { ::PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

class PostgresSession : public Session {
 public:
  PostgresSession(std::string connection, const std::string& level)
      : where_(std::move(connection)),
        versioned_(level != kBare),
        isolation_(versioned_ ? level : "READ COMMITTED") {}
  ~PostgresSession() override { disconnect(); }

  void begin() override {
    connect();
    if (::PQtransactionStatus(connection_) != PQTRANS_IDLE) run("ROLLBACK");
    read_.clear();
    written_.clear();
    run("BEGIN ISOLATION LEVEL " + isolation_);
  }

  std::optional<std::string> read(const std::string& key) override {
    const Result rows = run("SELECT v, n FROM kv WHERE k = $1", {key});
    const bool absent = ::PQntuples(rows.get()) == 0;
    read_[key] = absent ? "" : ::PQgetvalue(rows.get(), 0, 1);
    if (absent) return std::nullopt;
    return std::string(::PQgetvalue(rows.get(), 0, 0));
  }

  void write(const std::string& key, const std::string& value) override { written_[key] = value; }

  bool commit() override {
    for (const auto& [key, value] : written_) {  // in the order of keys, so that nobody waits in a circle
      if (put(key, value)) continue;
      run("ROLLBACK");
      return false;
    }
    const auto [result, why] = ask("COMMIT", {});
    if (::PQstatus(connection_) != CONNECTION_OK) {
      disconnect();
      throw OutcomeUnknown(why);
    }
    return ::PQresultStatus(result.get()) == PGRES_COMMAND_OK;
  }

  void make_table() {
    connect();
    run("DROP TABLE IF EXISTS kv");
    run("CREATE TABLE kv (k text PRIMARY KEY, v text NOT NULL, n bigint NOT NULL)");
  }

  bool answers() {
    try {
      connect();
      return true;
    } catch (const Unreachable&) {
      return false;
    }
  }

 private:
  void disconnect() {
    if (connection_ != nullptr) ::PQfinish(connection_);
    connection_ = nullptr;
  }

  void connect() {
    if (connection_ != nullptr) return;
    connection_ = ::PQconnectdb(where_.c_str());
    if (::PQstatus(connection_) == CONNECTION_OK) {
      ::PQsetNoticeProcessor(
          connection_, [](void*, const char*) {}, nullptr);
      return;
    }
    const std::string why = ::PQerrorMessage(connection_);
    disconnect();
    throw Unreachable(why);
  }

  std::pair<Result, std::string> ask(const std::string& sql, const std::vector<std::string>& values) {
    std::vector<const char*> pointers;
    for (const auto& value : values) pointers.push_back(value.c_str());
    Result result(::PQexecParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                                 pointers.data(), nullptr, nullptr, 0));
    return {std::move(result), ::PQerrorMessage(connection_)};
  }

  /// Before COMMIT: what goes wrong ends the transaction, and nothing of it happened.
  Result run(const std::string& sql, const std::vector<std::string>& values = {}) {
    auto [result, why] = ask(sql, values);
    const auto status = ::PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return std::move(result);
    if (::PQstatus(connection_) != CONNECTION_OK) {
      disconnect();
      throw Unreachable(why);
    }
    const char* const state = ::PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    const std::string code = state == nullptr ? "" : state;
    if (code == "40001" || code == "40P01") throw Refused(why);
    if (code.compare(0, 2, "53") == 0 || code.compare(0, 2, "57") == 0) throw Unreachable(why);
    throw ServerFailure("PostgreSQL: " + why);
  }

  bool put(const std::string& key, const std::string& value) {
    const auto seen = read_.find(key);
    if (!versioned_ || seen == read_.end()) {
      run("INSERT INTO kv VALUES ($1, $2, 1) ON CONFLICT (k) DO UPDATE SET v = $2, n = kv.n + 1",
          {key, value});
      return true;
    }
    const Result changed =
        seen->second.empty()
            ? run("INSERT INTO kv VALUES ($1, $2, 1) ON CONFLICT (k) DO NOTHING", {key, value})
            : run("UPDATE kv SET v = $2, n = n + 1 WHERE k = $1 AND n = $3::bigint",
                  {key, value, seen->second});
    return std::string(::PQcmdTuples(changed.get())) == "1";
  }

  const std::string where_;
  const bool versioned_;
  const std::string isolation_;
  PGconn* connection_ = nullptr;
  std::map<std::string, std::string> read_;  ///< key to version, "" where it was absent
  std::map<std::string, std::string> written_;
};

class PostgresServer : public Server {
 public:
  explicit PostgresServer(const std::filesystem::path& directory)
      : data_(directory / "data"), options_(unprivileged(directory)), port_(free_port()) {
    ServerProcess making({TOUCHSTONE_POSTGRES "/initdb", "-D", data_.string(), "-U", "touchstone", "-A",
                          "trust", "-N", "-E", "UTF8", "--locale=C"},
                         directory / "initdb.log", options_);
    making.wait_until([&] { return std::filesystem::exists(data_ / "postgresql.conf") && ended(making); });
    process_ = std::make_unique<ServerProcess>(
        std::vector<std::string>{
            TOUCHSTONE_POSTGRES "/postgres", "-D", data_.string(), "-p", std::to_string(port_), "-c",
            "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "deadlock_timeout=50ms",
            "-c", "shared_buffers=16MB", "-c", "max_connections=40", "-c", "restart_after_crash=on"},
        directory / "postgres.log", options_);
    process_->wait_until([this] { return PostgresSession(where(), kBare).answers(); });
    clear();
  }

  ~PostgresServer() override { process_->stop(); }

  std::unique_ptr<Session> session(const ServerLevel& level, int) override {
    return std::make_unique<PostgresSession>(where(), level.name);
  }

  void clear() override { PostgresSession(where(), kBare).make_table(); }
  std::vector<ServerProcess*> processes() override { return {process_.get()}; }

  /// Sessions of the one that was killed may still hold its shared memory: then it refuses to start.
  void revive(std::size_t) override {
    for (int attempt = 0; attempt < 20; ++attempt) {
      process_->start();
      while (!process_->has_ended()) {
        if (PostgresSession(where(), kBare).answers()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    throw ServerFailure("PostgreSQL does not start again; its log ends:\n" + process_->end_of_log());
  }

 private:
  static bool ended(const ServerProcess& process) {
    return process.end_of_log().find("Success.") != std::string::npos;
  }

  /// It refuses to run as root: then as the user that its package made.
  static ChildOptions unprivileged(const std::filesystem::path& directory) {
    if (::geteuid() != 0) return {};
    const passwd* const user = ::getpwnam("postgres");
    if (user == nullptr)
      throw ServerFailure("PostgreSQL does not run as root, and there is no user postgres");
    // The folder above is this process's own: others may pass through it.
    if (::chmod(directory.parent_path().c_str(), 0711) != 0 ||
        ::chown(directory.c_str(), user->pw_uid, user->pw_gid) != 0)
      throw ServerFailure(fmt::format("{} cannot be given to postgres", directory.string()));
    return {.log = "", .user = user->pw_uid, .group = user->pw_gid};
  }

  std::string where() const {
    return fmt::format(
        "host=127.0.0.1 port={} user=touchstone dbname=postgres connect_timeout=3 tcp_user_timeout=3000 "
        "options='-c statement_timeout=3000'",
        port_);
  }

  const std::filesystem::path data_;
  const ChildOptions options_;
  const std::uint16_t port_;
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace

ServerKind postgres_kind() {
  return {"postgres",
          "PostgreSQL",
          {{"READ COMMITTED", "read committed: each statement has a snapshot of its own", "",
            model::Level::kReadCommitted},
           {"REPEATABLE READ", "snapshot isolation; not serializable", "", model::Level::kSnapshot},
           {"SERIALIZABLE", "serializable", "", model::Level::kSerializable},
           {kBare, "read committed", "a transaction without its compare", model::Level::kSnapshot}},
          [](const std::filesystem::path& directory) -> std::unique_ptr<Server> {
            return std::make_unique<PostgresServer>(directory);
          }};
}

}  // namespace touchstone::harness
