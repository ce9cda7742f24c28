#include "harness/foreign/library_host.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "harness/foreign/call_watch.h"
#include "harness/touchstone/engine.h"

namespace touchstone::harness {
namespace {

using Kind = ForeignFailure::Kind;
using model::Scalar;
using model::Subtree;

touchstone_value to_c(const Scalar& scalar) {
  touchstone_value value{};
  if (const auto* flag = std::get_if<bool>(&scalar)) {
    value.kind = TOUCHSTONE_BOOLEAN;
    value.integer = *flag ? 1 : 0;
  } else if (const auto* whole = std::get_if<std::int64_t>(&scalar)) {
    value.kind = TOUCHSTONE_INTEGER;
    value.integer = *whole;
  } else if (const auto* number = std::get_if<double>(&scalar)) {
    value.kind = TOUCHSTONE_DOUBLE;
    value.number = *number;
  } else {
    const auto& text = std::get<std::string>(scalar);
    value.kind = TOUCHSTONE_TEXT;
    value.text = text.data();
    value.length = text.size();
  }
  return value;
}

std::optional<Subtree> to_model(const touchstone_value& value) {
  switch (value.kind) {
    case TOUCHSTONE_ABSENT:
      return std::nullopt;
    case TOUCHSTONE_BOOLEAN:
      return Subtree{{"", value.integer != 0}};
    case TOUCHSTONE_INTEGER:
      return Subtree{{"", value.integer}};
    case TOUCHSTONE_DOUBLE:
      return Subtree{{"", value.number}};
    case TOUCHSTONE_TEXT:
      if (value.text == nullptr && value.length > 0) break;
      return Subtree{{"", std::string(value.text == nullptr ? "" : value.text, value.length)}};
  }
  throw ForeignFailure(Kind::garbage,
                       fmt::format("the engine gave a value of kind {}, which is none", int{value.kind}));
}

std::optional<model::CommitPath> to_model(touchstone_took took, bool declared) {
  if (!declared || took == TOUCHSTONE_UNSAID) return std::nullopt;
  return took == TOUCHSTONE_FAST     ? model::CommitPath::kFast
         : took == TOUCHSTONE_MERGED ? model::CommitPath::kMerged
                                     : model::CommitPath::kEmpty;
}

/// What is no success of `function`, in the model's words.
model::StoreResponse refusal_of(touchstone_status status, const char* function) {
  switch (status) {
    case TOUCHSTONE_BUSY:
      return model::Busy{};
    case TOUCHSTONE_EMPTY_PATH:
      return model::Rejected{model::Rejection::kEmptyPath};
    case TOUCHSTONE_BAD_PATH:
      return model::Rejected{model::Rejection::kBadPath};
    case TOUCHSTONE_UNDER_SCALAR:
      return model::Rejected{model::Rejection::kUnderScalar};
    case TOUCHSTONE_FUTURE_VERSION:
      return model::Rejected{model::Rejection::kFutureVersion};
    case TOUCHSTONE_UNKNOWN:
      throw OutcomeUnknown(fmt::format("{} answered TOUCHSTONE_UNKNOWN", function));
    case TOUCHSTONE_FAILED:
      throw ForeignFailure(Kind::refused, fmt::format("{} answered TOUCHSTONE_FAILED", function));
    default:
      throw ForeignFailure(Kind::garbage, fmt::format("{} answered status {}, which is no answer to it",
                                                      function, static_cast<int>(status)));
  }
}

std::vector<const char*> pointers_to(const std::vector<std::string>& paths) {
  std::vector<const char*> pointers;
  for (const auto& path : paths) pointers.push_back(path.c_str());
  return pointers;
}

struct Library {
  const touchstone_engine& c;
  CallWatch& watch;
  const ForeignDescription& description;
};

class LibraryClient : public ForeignClient {
 public:
  LibraryClient(const Library& library, void* engine, int id)
      : library_(library), caller_(library.watch, fmt::format("client {}", id)) {
    const CallWatch::Call call(caller_, "client");
    client_ = library_.c.client(engine, id);
    if (client_ == nullptr) throw ForeignFailure(Kind::refused, "client() gave null");
  }

  ~LibraryClient() override {
    const CallWatch::Call call(caller_, "client_end");
    library_.c.client_end(client_);
  }

  model::StoreResponse apply(const model::StoreOperation& operation) override {
    if (const auto* swap = std::get_if<model::CompareAndSwap>(&operation)) return commit(*swap);
    if (const auto* read = std::get_if<model::ReadPath>(&operation)) return read_path(read->path);
    if (const auto* snapshot = std::get_if<model::SnapshotRead>(&operation)) return read_all(snapshot->paths);
    if (!std::holds_alternative<model::ReadVersion>(operation))
      throw std::logic_error("bodies are for engines in C++");
    std::uint64_t version = 0;
    const CallWatch::Call call(caller_, "version");
    const auto status = library_.c.version(client_, &version);
    if (status == TOUCHSTONE_OK) return model::VersionIs{version};
    return refusal_of(status, "version");
  }

 private:
  model::StoreResponse read_path(const std::string& path) {
    touchstone_value value{};
    const CallWatch::Call call(caller_, "read");
    const auto status = library_.c.read(client_, path.c_str(), &value);
    if (status == TOUCHSTONE_OK) return model::ValueRead{to_model(value)};
    return refusal_of(status, "read");
  }

  model::StoreResponse read_all(const std::vector<std::string>& paths) {
    const auto pointers = pointers_to(paths);
    std::vector<touchstone_value> values(paths.size());
    model::SnapshotIs seen;
    const CallWatch::Call call(caller_, "snapshot");
    const auto status =
        library_.c.snapshot(client_, pointers.data(), pointers.size(), values.data(), &seen.version);
    if (status != TOUCHSTONE_OK) return refusal_of(status, "snapshot");
    for (const auto& value : values) seen.values.push_back(to_model(value));
    return seen;
  }

  model::StoreResponse commit(const model::CompareAndSwap& swap) {
    std::vector<touchstone_write> writes;
    for (const auto& write : swap.writes)
      writes.push_back({write.path.c_str(), write.value ? to_c(write.value->at("")) : touchstone_value{}});
    const auto reads = pointers_to(swap.reads);
    const touchstone_commit asked{swap.expected, writes.data(), writes.size(), reads.data(), reads.size()};
    touchstone_answer answer{};
    const CallWatch::Call call(caller_, "commit");
    const auto status = library_.c.commit(client_, &asked, &answer);
    if (status == TOUCHSTONE_COMMITTED)
      return model::Committed{answer.version,
                              to_model(answer.took, library_.description.capabilities.commit_path)};
    if (status == TOUCHSTONE_CONFLICT)
      return model::Conflict{answer.path == nullptr ? "" : answer.path, swap.expected, answer.version};
    return refusal_of(status, "commit");
  }

  const Library& library_;
  CallWatch::Caller caller_;
  void* client_ = nullptr;
};

class LibraryPin : public ForeignPin {
 public:
  LibraryPin(const Library& library, void* engine) : library_(library), caller_(library.watch, "a pin") {
    const CallWatch::Call call(caller_, "pin");
    pin_ = library_.c.pin(engine, &version_);
    if (pin_ == nullptr) throw ForeignFailure(Kind::refused, "pin() gave null");
  }

  ~LibraryPin() override {
    const CallWatch::Call call(caller_, "unpin");
    library_.c.unpin(pin_);
  }

  std::uint64_t version() const override { return version_; }

  std::optional<Subtree> read(const std::string& path) override {
    touchstone_value value{};
    const CallWatch::Call call(caller_, "pin_read");
    const auto status = library_.c.pin_read(pin_, path.c_str(), &value);
    if (status == TOUCHSTONE_OK) return to_model(value);
    throw ForeignFailure(Kind::garbage,
                         "pin_read answered " + model::describe(refusal_of(status, "pin_read")));
  }

 private:
  const Library& library_;
  CallWatch::Caller caller_;
  void* pin_ = nullptr;
  std::uint64_t version_ = 0;
};

class LibraryInstance : public ForeignInstance {
 public:
  LibraryInstance(const Library& library, const EngineSettings& settings)
      : library_(library), caller_(library.watch, "the engine") {
    const touchstone_settings c{.strict = settings.strict,
                                .validate_reads = settings.validate_reads,
                                .ticket = settings.ticket,
                                .backoff = settings.backoff,
                                .seed = settings.seed};
    const CallWatch::Call call(caller_, "open");
    engine_ = library_.c.open(&c);
    if (engine_ == nullptr) throw ForeignFailure(Kind::refused, "open() gave null");
  }

  ~LibraryInstance() override {
    const CallWatch::Call call(caller_, "close");
    library_.c.close(engine_);
  }

  std::unique_ptr<ForeignClient> client(int id) override {
    return std::make_unique<LibraryClient>(library_, engine_, id);
  }

  std::unique_ptr<ForeignPin> pin() override {
    if (library_.description.capabilities.pins) return std::make_unique<LibraryPin>(library_, engine_);
    return newest_as_pin(client(-1));
  }

 private:
  const Library& library_;
  CallWatch::Caller caller_;
  void* engine_ = nullptr;
};

class LibraryHost : public ForeignHost {
 public:
  LibraryHost(const touchstone_engine& c, ForeignDescription description)
      : description_(std::move(description)),
        watch_(std::chrono::milliseconds(c.patience_ms == 0 ? 10'000 : c.patience_ms)),
        library_{c, watch_, description_} {}

  const ForeignDescription& description() const override { return description_; }

  std::unique_ptr<ForeignInstance> open(const EngineSettings& settings) override {
    return std::make_unique<LibraryInstance>(library_, settings);
  }

 private:
  const ForeignDescription description_;
  CallWatch watch_;
  const Library library_;
};

ForeignDescription description_of(const touchstone_engine& c) {
  const auto can = [&c](std::uint32_t flag) { return (c.capabilities & flag) != 0; };
  ForeignDescription description{c.name == nullptr ? "" : c.name, {}};
  description.capabilities = {.strict = can(TOUCHSTONE_CAN_STRICT),
                              .validate_reads = can(TOUCHSTONE_CAN_VALIDATE_READS),
                              .erase = can(TOUCHSTONE_CAN_ERASE),
                              .ticket = can(TOUCHSTONE_CAN_TICKET),
                              .commit_path = can(TOUCHSTONE_CAN_COMMIT_PATH),
                              .snapshots = can(TOUCHSTONE_CAN_SNAPSHOTS),
                              .pins = can(TOUCHSTONE_CAN_PINS),
                              .rejects = can(TOUCHSTONE_CAN_REJECT)};
  return description;
}

/// The functions that it must have for what it declares, and has not.
std::string missing_from(const touchstone_engine& c, const Capabilities& can) {
  const std::pair<const char*, bool> needed[] = {{"open", c.open == nullptr},
                                                 {"close", c.close == nullptr},
                                                 {"client", c.client == nullptr},
                                                 {"client_end", c.client_end == nullptr},
                                                 {"version", c.version == nullptr},
                                                 {"read", c.read == nullptr},
                                                 {"commit", c.commit == nullptr},
                                                 {"snapshot", can.snapshots && c.snapshot == nullptr},
                                                 {"pin", can.pins && c.pin == nullptr},
                                                 {"pin_read", can.pins && c.pin_read == nullptr},
                                                 {"unpin", can.pins && c.unpin == nullptr}};
  std::string missing;
  for (const auto& [name, absent] : needed)
    if (absent) missing += (missing.empty() ? "" : ", ") + std::string(name);
  return missing;
}

}  // namespace

std::unique_ptr<ForeignHost> load_library(const std::string& file) {
  // Without a slash dlopen looks in the system's folders only.
  const auto path = std::filesystem::absolute(file).string();
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw ForeignFailure(Kind::cannot_start, fmt::format("cannot be loaded: {}", ::dlerror()));
  using Describe = const touchstone_engine* (*)();
  const auto describe = reinterpret_cast<Describe>(::dlsym(library, "touchstone_engine_v1"));
  if (describe == nullptr)
    throw ForeignFailure(Kind::cannot_start,
                         "has no function touchstone_engine_v1 (touchstone/engine.h, version 1)");
  const touchstone_engine* const c = describe();
  if (c == nullptr) throw ForeignFailure(Kind::cannot_start, "touchstone_engine_v1() gave null");
  if (c->abi != TOUCHSTONE_ENGINE_ABI)
    throw ForeignFailure(
        Kind::cannot_start,
        fmt::format("is built for version {} of touchstone/engine.h, not {}", c->abi, TOUCHSTONE_ENGINE_ABI));
  auto description = description_of(*c);
  const std::string missing = missing_from(*c, description.capabilities);
  if (!missing.empty())
    throw ForeignFailure(Kind::cannot_start, "lacks functions for what it declares: " + missing);
  return std::make_unique<LibraryHost>(*c, std::move(description));
}

}  // namespace touchstone::harness
