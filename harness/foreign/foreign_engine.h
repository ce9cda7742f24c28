#pragma once
// An engine that this project did not write and cannot compile, under the suite: a shared library or a command.
//
//   const auto description = describe_foreign("./libmine.so");     // nothing: the words name no engine
//   ForeignEngine::use("./libmine.so", *description);              // for this process, once
//   stress::add_store_claims<ForeignEngine>(registry);
//
// A library is called through touchstone/engine.h, on the suite's own threads. A command speaks JSON lines on its standard
// input and output (docs/foreign.md). What it does wrong is a ForeignFailure, within its patience; what it leaves is ended.
//
// Thread safety: use() before any engine exists; the rest as U of engine_under_test.h. One foreign engine a process.

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "harness/engine_under_test.h"

namespace touchstone::harness {

/// The engine itself is at fault, and how.
struct ForeignFailure : std::runtime_error {
  enum class Kind { cannot_start, died, hung, garbage, refused };

  ForeignFailure(Kind kind_of_failure, const std::string& text)
      : std::runtime_error(text), kind(kind_of_failure) {}

  Kind kind;
};

struct ForeignDescription {
  std::string name;
  Capabilities capabilities;
  bool process = false;  ///< of its own: it can be stopped and killed
  bool durable = false;  ///< what it has committed is there again when it was killed and started anew
};

/// One client's calls.
class ForeignClient {
 public:
  virtual ~ForeignClient() = default;
  virtual model::StoreResponse apply(const model::StoreOperation& operation) = 0;
};

class ForeignPin {
 public:
  virtual ~ForeignPin() = default;
  virtual std::uint64_t version() const = 0;
  virtual std::optional<model::Subtree> read(const std::string& path) = 0;
};

/// One fresh engine.
class ForeignInstance {
 public:
  virtual ~ForeignInstance() = default;
  virtual std::unique_ptr<ForeignClient> client(int id) = 0;
  virtual std::unique_ptr<ForeignPin> pin() = 0;
};

/// The library or process that makes them.
class ForeignHost {
 public:
  virtual ~ForeignHost() = default;
  virtual const ForeignDescription& description() const = 0;
  virtual std::unique_ptr<ForeignInstance> open(const EngineSettings& settings) = 0;
};

/// True if the words name a shared library (they end in .so), or begin with a program that can be run.
bool names_foreign(const std::string& words);

/// Throws ForeignFailure.
std::unique_ptr<ForeignHost> start_foreign(const std::string& words);

/// What the engine says that it is, asked in a process of its own. Throws ForeignFailure.
ForeignDescription describe_foreign(const std::string& words);

class ForeignEngine {
 public:
  static constexpr std::string_view kName = "foreign";
  static inline Capabilities kCapabilities = {};  ///< since use()

  static void use(std::string words, const ForeignDescription& description);

  /// The library or process that this process uses, started when it is first asked for.
  static ForeignHost& host();

  explicit ForeignEngine(const EngineSettings& settings) : instance_(host().open(settings)) {}

  class Client {
   public:
    explicit Client(std::unique_ptr<ForeignClient> client) : client_(std::move(client)) {}
    model::StoreResponse apply(const model::StoreOperation& operation) { return client_->apply(operation); }

   private:
    std::unique_ptr<ForeignClient> client_;
  };

  class Pin {
   public:
    explicit Pin(std::unique_ptr<ForeignPin> pin) : pin_(std::move(pin)) {}
    std::uint64_t version() const { return pin_->version(); }
    std::optional<model::Subtree> read(const std::string& path) const { return pin_->read(path); }

   private:
    std::unique_ptr<ForeignPin> pin_;
  };

  Client client(int id) { return Client(instance_->client(id)); }
  Pin pin() { return Pin(instance_->pin()); }

 private:
  std::unique_ptr<ForeignInstance> instance_;
};

static_assert(EngineUnderTest<ForeignEngine>);

/// The pin of an engine without pins: the newest state, through a client of its own.
std::unique_ptr<ForeignPin> newest_as_pin(std::unique_ptr<ForeignClient> client);

}  // namespace touchstone::harness
