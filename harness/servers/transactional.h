#pragma once
// What the suite asks of a transactional key-value server: sessions that read, write and commit.
//
//   class MySession : public Session { ... };
//   session.begin();
//   auto seen = session.read("k");
//   session.write("k", "1");
//   bool committed = session.commit();          // false: refused, nothing of it happened
//
// Rules:
//   V1  What a session throws says what is known: Refused and Unreachable, that nothing of the transaction happened;
//       OutcomeUnknown (engine_under_test.h), that it may have happened or not. Nothing is guessed.
//   V2  After any of them, and after commit(), the session is between transactions and may begin another.
//   V3  A read shows the transaction's snapshot, as the level has one, without its own writes: writes go out at commit().
//
// Thread safety: one session by one thread at a time; the server's functions by the thread that started it.

#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/servers/server_process.h"
#include "model/isolation.h"

namespace touchstone::harness {

/// The server ended the transaction: nothing of it happened.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The server was not reached: nothing of the transaction happened.
struct Unreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Session {
 public:
  virtual ~Session() = default;
  virtual void begin() = 0;
  virtual std::optional<std::string> read(const std::string& key) = 0;
  virtual void write(const std::string& key, const std::string& value) = 0;
  virtual bool commit() = 0;
};

/// A way of using the server, with what its makers say of it.
struct ServerLevel {
  std::string name;
  std::string documented;
  /// "": none. What the adapter leaves out on purpose, so that a test sees it found.
  std::string planted_bug;
  model::Level promised = model::Level::kStrictSerializable;
  bool shows_when_apart =
      false;  ///< the planted bug does, between hosts that are parted; elsewhere hardly ever
};

/// A server that runs; of an engine in this process, without processes of its own.
class Server : public ProcessHost {
 public:
  /// Connects when it is first used. `client` picks the node of a cluster.
  virtual std::unique_ptr<Session> session(const ServerLevel& level, int client) = 0;

  /// Removes all keys.
  virtual void clear() = 0;
};

/// A kind of server that this build and this machine have.
struct ServerKind {
  std::string word;  ///< of a command line
  std::string name;  ///< for people
  std::vector<ServerLevel> levels;
  std::unique_ptr<Server> (*start)(const std::filesystem::path& directory);
};

/// Those that are here, and for each that is not, what it needs.
struct ServerCatalogue {
  std::vector<ServerKind> kinds;
  /// Word, and the Debian packages that it needs.
  std::vector<std::pair<std::string, std::string>> missing;
};

ServerCatalogue server_catalogue();

}  // namespace touchstone::harness
