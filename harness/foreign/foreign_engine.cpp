#include "harness/foreign/foreign_engine.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/foreign/command_host.h"
#include "harness/foreign/library_host.h"
#include "harness/isolated.h"
#include "harness/replay.h"

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;
using Kind = ForeignFailure::Kind;

class NewestAsPin : public ForeignPin {
 public:
  explicit NewestAsPin(std::unique_ptr<ForeignClient> client) : client_(std::move(client)) {
    version_ = expect<model::VersionIs>(client_->apply(model::ReadVersion{})).version;
  }

  std::uint64_t version() const override { return version_; }

  std::optional<model::Subtree> read(const std::string& path) override {
    return expect<model::ValueRead>(client_->apply(model::ReadPath{path})).value;
  }

 private:
  template <class T>
  static T expect(const model::StoreResponse& response) {
    if (const auto* it = std::get_if<T>(&response)) return *it;
    throw ForeignFailure(Kind::garbage, "the engine answered a read with " + model::describe(response));
  }

  std::unique_ptr<ForeignClient> client_;
  std::uint64_t version_ = 0;
};

bool is_library(const std::string& words) {
  return words.size() > 3 && words.compare(words.size() - 3, 3, ".so") == 0;
}

constexpr std::pair<const char*, bool Capabilities::*> kFlags[] = {
    {"strict", &Capabilities::strict},       {"validate_reads", &Capabilities::validate_reads},
    {"erase", &Capabilities::erase},         {"composites", &Capabilities::composites},
    {"ticket", &Capabilities::ticket},       {"commit_path", &Capabilities::commit_path},
    {"snapshots", &Capabilities::snapshots}, {"pins", &Capabilities::pins},
    {"rejects", &Capabilities::rejects}};

std::string to_text(const ForeignDescription& description) {
  Json json = {
      {"name", description.name}, {"process", description.process}, {"durable", description.durable}};
  for (const auto& [name, flag] : kFlags) json[name] = description.capabilities.*flag;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ForeignDescription parse_description(const std::string& text) {
  const Json json = Json::parse(text);
  ForeignDescription description{json.at("name"), {}, json.at("process"), json.at("durable")};
  for (const auto& [name, flag] : kFlags) description.capabilities.*flag = json.at(name);
  return description;
}

/// What use() was told, and the host once there is one.
struct InUse {
  std::string words;
  std::unique_ptr<ForeignHost> host;
};

InUse& in_use() {
  static InUse it;
  return it;
}

}  // namespace

std::unique_ptr<ForeignPin> newest_as_pin(std::unique_ptr<ForeignClient> client) {
  return std::make_unique<NewestAsPin>(std::move(client));
}

bool names_foreign(const std::string& words) {
  if (is_library(words)) return true;
  const auto split = split_words(words);
  const auto* parts = std::get_if<std::vector<std::string>>(&split);
  return parts != nullptr && !parts->empty() && program_path(parts->front()).has_value();
}

std::unique_ptr<ForeignHost> start_foreign(const std::string& words) {
  if (is_library(words)) return load_library(words);
  return start_command(std::get<std::vector<std::string>>(split_words(words)));
}

ForeignDescription describe_foreign(const std::string& words) {
  const auto outcome = run_isolated(
      [&](Isolated&) -> std::string {
        try {
          return "=" + to_text(start_foreign(words)->description());
        } catch (const ForeignFailure& why) {
          return std::to_string(static_cast<int>(why.kind)) + why.what();
        }
      },
      std::chrono::seconds(20), [](const std::string&) {});
  if (outcome.kind == Isolated::Outcome::Kind::died)
    throw ForeignFailure(Kind::died, "it died while it was asked what it is: " + outcome.text);
  if (outcome.kind == Isolated::Outcome::Kind::hung)
    throw ForeignFailure(Kind::hung, "it gave no answer while it was asked what it is");
  if (outcome.text.front() == '=') return parse_description(outcome.text.substr(1));
  throw ForeignFailure(static_cast<Kind>(outcome.text.front() - '0'), outcome.text.substr(1));
}

void ForeignEngine::use(std::string words, const ForeignDescription& description) {
  in_use() = {std::move(words), nullptr};
  kCapabilities = description.capabilities;
}

ForeignHost& ForeignEngine::host() {
  if (!in_use().host) in_use().host = start_foreign(in_use().words);
  return *in_use().host;
}

}  // namespace touchstone::harness
