#pragma once
// etcd's transactions, leases and history, by its JSON gateway (API version 3, etcd 3.4 and later).
//
//   EtcdGateway etcd({.endpoints = {{"127.0.0.1", 2379}}});
//   EtcdTransaction commit;
//   commit.compare.push_back(mod_revision_is("counter", 7));
//   commit.success.push_back(put("counter", "8"));
//   EtcdOutcome outcome = etcd.run(commit);                  // throws EtcdUnreachable, EtcdFailure
//
// Keys and values are any bytes. Thread safety: one thread at a time.
//
// G1  What only reads is asked again, of the next endpoint, until an answer comes or the patience is over.
// G2  What may write goes out once. EtcdUnreachable::sent says whether it may have been carried out: then only the caller knows
//     how to find out.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/etcd/http_connection.h"

namespace touchstone::engine {

struct EtcdEndpoint {
  std::string host;  ///< a numeric address
  std::uint16_t port = 2379;
};

struct EtcdOptions {
  std::vector<EtcdEndpoint> endpoints = {{"127.0.0.1", 2379}};
  std::string root = "touchstone";  ///< all keys of this store begin with it and a '/'
  std::chrono::milliseconds request_timeout{2000};
  std::chrono::milliseconds patience{10'000};  ///< for an answer, over all endpoints
};

/// No endpoint answered within the patience.
struct EtcdUnreachable : std::runtime_error {
  EtcdUnreachable(const std::string& what, bool was_sent) : std::runtime_error(what), sent(was_sent) {}
  bool sent;  ///< it may have been carried out
};

/// etcd refused the request itself: a compacted revision, more operations than it takes, a lease that is gone.
struct EtcdFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Of a lease that ran out or was revoked.
struct EtcdLeaseGone : EtcdFailure {
  using EtcdFailure::EtcdFailure;
};

struct EtcdKeyValue {
  std::string key;
  std::string value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;  ///< how often it was put since it was made
  std::int64_t lease = 0;
};

/// A key, or with `end` all keys from it up to `end`, that excluded.
struct EtcdRange {
  std::string begin;
  std::string end = {};
};

struct EtcdCompare {
  enum class Target : std::uint8_t { version, create, mod };
  enum class Relation : std::uint8_t { equal, less, greater };
  EtcdRange range;  ///< every key in it; without any, a key whose numbers are 0
  Target target;
  Relation relation;
  std::int64_t number;
};

struct EtcdOperation {
  enum class Kind : std::uint8_t { range, put, erase };
  Kind kind;
  EtcdRange range;
  std::string value = {};
  std::int64_t lease = 0;
  std::int64_t revision = 0;  ///< of a range: 0 is now
  enum class Pick : std::uint8_t { all, first, newest };
  Pick pick = Pick::all;  ///< of a range: every key, the first by name, or the one that was put last
};

struct EtcdTransaction {
  std::vector<EtcdCompare> compare = {};
  std::vector<EtcdOperation> success = {};
  std::vector<EtcdOperation> failure = {};
};

struct EtcdOutcome {
  bool succeeded = false;
  std::int64_t revision = 0;  ///< of the whole store, after it
  std::vector<std::vector<EtcdKeyValue>>
      answers;  ///< of each operation: a range's keys, a put's previous key
};

class EtcdGateway {
 public:
  explicit EtcdGateway(const EtcdOptions& options);

  /// Once (G2).
  EtcdOutcome run(const EtcdTransaction& transaction);

  /// Of ranges only; as often as it takes (G1).
  EtcdOutcome read(const std::vector<EtcdOperation>& ranges);

  struct Lease {
    std::int64_t id = 0;
    std::int64_t seconds = 0;  ///< the server may give more than was asked for
  };
  Lease grant(std::int64_t seconds);
  bool keep_alive(std::int64_t lease);  ///< false: it is gone
  void revoke(std::int64_t lease);  ///< with all keys that are attached to it; one that is gone is no error
  std::optional<std::chrono::seconds> time_to_live(std::int64_t lease);

  const EtcdOptions& options() const { return options_; }

  /// Asked so far, those without an answer among them.
  std::uint64_t requests() const { return requests_; }

 private:
  std::string ask(const char* path, const std::string& body);
  std::string insist(const char* path, const std::string& body);

  const EtcdOptions options_;
  std::vector<HttpConnection> connections_;
  std::size_t current_ = 0;  ///< the endpoint that answered last
  std::uint64_t requests_ = 0;
};

}  // namespace touchstone::engine
