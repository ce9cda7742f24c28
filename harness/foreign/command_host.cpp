#include "harness/foreign/command_host.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>

#include "harness/foreign/child_process.h"
#include "harness/foreign/protocol.h"

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;
using Kind = ForeignFailure::Kind;
using std::chrono::milliseconds;

constexpr std::size_t kLongestLine = std::size_t{16} << 20U;
constexpr std::size_t kKeptErrors = 2000;

/// One process, and who waits for its answers.
class Conversation {
 public:
  explicit Conversation(const std::vector<std::string>& words)
      : child_(words), reader_([this] { read_until_closed(); }) {}

  ~Conversation() {
    child_.close_input();
    child_.end(milliseconds(2000));
    reader_.join();
  }

  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  Json ask(Json request) {
    const auto deadline = ChildProcess::Clock::now() + patience_;
    std::unique_lock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    const std::uint64_t id = ++last_id_;
    request["id"] = id;
    const std::string what = request.at("op");
    auto& answer = waiting_[id];
    lock.unlock();
    send(request, deadline);
    lock.lock();
    const bool came = changed_.wait_until(lock, deadline, [&] { return !answer.is_null() || failure_; });
    const Json taken = std::move(answer);
    waiting_.erase(id);
    if (!taken.is_null()) return taken;
    if (came && failure_) std::rethrow_exception(failure_);
    lock.unlock();
    fail(Kind::hung,
         fmt::format("the engine hung: no answer to \"{}\" within {} ms", what, patience_.count()));
  }

  void set_patience(milliseconds patience) { patience_ = patience; }

  void kill() {
    end_with(std::make_exception_ptr(OutcomeUnknown("the engine was killed")));
    child_.signal(SIGKILL);
    child_.end(milliseconds(2000));
  }

  void pause() { child_.pause(); }
  void resume() { child_.signal(SIGCONT); }

 private:
  void send(const Json& request, ChildProcess::Clock::time_point deadline) {
    const std::string line = request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    const std::lock_guard lock(sending_);
    const auto sent = child_.send(line, deadline);
    if (sent == ChildProcess::Sent::late)
      fail(Kind::hung, fmt::format("the engine hung: it read nothing within {} ms", patience_.count()));
    // Closed: the reader learns how it ended, and says so.
  }

  /// The first failure is everybody's from now on.
  void end_with(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    changed_.notify_all();
  }

  [[noreturn]] void fail(Kind kind, const std::string& text) {
    std::string whole = text;
    {
      const std::lock_guard lock(mutex_);
      if (!errors_.empty()) whole += "\nits standard error ends:\n" + errors_;
    }
    end_with(std::make_exception_ptr(ForeignFailure(kind, whole)));
    const std::lock_guard lock(mutex_);
    std::rethrow_exception(failure_);
  }

  void read_until_closed() {
    try {
      std::string buffer;
      const auto take_errors = [this](std::string_view bytes) {
        const std::lock_guard lock(mutex_);
        errors_ += bytes;
        if (errors_.size() > kKeptErrors) errors_.erase(0, errors_.size() - kKeptErrors);
      };
      while (child_.receive([&](std::string_view bytes) { take(buffer, bytes); }, take_errors)) {
      }
      fail(Kind::died, "the engine died: " + child_.end(milliseconds(1000)));
    } catch (const std::exception&) {
      // fail() has told everybody; nobody waits here. What still comes is read, so that it can end.
      while (child_.receive([](std::string_view) {}, [](std::string_view) {})) {
      }
    }
  }

  void take(std::string& buffer, std::string_view bytes) {
    buffer += bytes;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = buffer.find('\n', begin)) != std::string::npos; begin = end + 1)
      take_line(std::string_view(buffer).substr(begin, end - begin));
    buffer.erase(0, begin);
    if (buffer.size() > kLongestLine)
      fail(Kind::garbage, fmt::format("the engine wrote a line of more than {} bytes", kLongestLine));
  }

  void take_line(std::string_view line) {
    const auto shown = [&] {
      return fmt::format("{}{}", model::quoted(line.substr(0, 200)), line.size() > 200 ? "..." : "");
    };
    Json answer = Json::parse(line, nullptr, false);
    if (!answer.is_object()) fail(Kind::garbage, "the engine wrote what is no JSON object: " + shown());
    if (!answer.contains("id") || !answer.at("id").is_number_unsigned())
      fail(Kind::garbage, "the engine answered without the \"id\" of a request: " + shown());
    const std::lock_guard lock(mutex_);
    const auto asked = waiting_.find(answer.at("id"));
    if (asked == waiting_.end()) return;  // whoever asked has gone
    asked->second = std::move(answer);
    changed_.notify_all();
  }

  ChildProcess child_;
  milliseconds patience_{10'000};
  std::mutex sending_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Json> waiting_;
  std::uint64_t last_id_ = 0;
  std::exception_ptr failure_;
  std::string errors_;
  std::thread reader_;
};

class CommandClient : public ForeignClient {
 public:
  CommandClient(std::shared_ptr<Conversation> conversation, std::uint64_t engine, int id)
      : conversation_(std::move(conversation)), engine_(engine), id_(id) {}

  model::StoreResponse apply(const model::StoreOperation& operation) override {
    Json request = request_for(operation);
    request["engine"] = engine_;
    request["client"] = id_;
    return response_to(operation, conversation_->ask(std::move(request)));
  }

 private:
  std::shared_ptr<Conversation> conversation_;
  std::uint64_t engine_;
  int id_;
};

class CommandPin : public ForeignPin {
 public:
  CommandPin(std::shared_ptr<Conversation> conversation, std::uint64_t engine)
      : conversation_(std::move(conversation)), engine_(engine) {
    const Json answer = conversation_->ask({{"op", "pin"}, {"engine", engine_}});
    pin_ = whole_number(answer, "pin");
    version_ = whole_number(answer, "version");
  }

  ~CommandPin() override {
    try {
      conversation_->ask({{"op", "unpin"}, {"engine", engine_}, {"pin", pin_}});
    } catch (const std::exception&) {
      // Whoever asks it next is told what is wrong with it.
    }
  }

  std::uint64_t version() const override { return version_; }

  std::optional<model::Subtree> read(const std::string& path) override {
    const Json answer =
        conversation_->ask({{"op", "pin_read"}, {"engine", engine_}, {"pin", pin_}, {"path", path}});
    const auto response = response_to(model::ReadPath{path}, answer);
    if (const auto* read = std::get_if<model::ValueRead>(&response)) return read->value;
    throw ForeignFailure(Kind::garbage,
                         "the engine answered a read of a pin with " + model::describe(response));
  }

 private:
  std::shared_ptr<Conversation> conversation_;
  std::uint64_t engine_;
  std::uint64_t pin_ = 0;
  std::uint64_t version_ = 0;
};

class CommandInstance : public ForeignInstance {
 public:
  CommandInstance(std::shared_ptr<Conversation> conversation, std::uint64_t engine, bool pins)
      : conversation_(std::move(conversation)), engine_(engine), pins_(pins) {}

  ~CommandInstance() override {
    try {
      conversation_->ask({{"op", "close"}, {"engine", engine_}});
    } catch (const std::exception&) {
      // Whoever asks it next is told what is wrong with it.
    }
  }

  std::unique_ptr<ForeignClient> client(int id) override {
    return std::make_unique<CommandClient>(conversation_, engine_, id);
  }

  std::unique_ptr<ForeignPin> pin() override {
    if (pins_) return std::make_unique<CommandPin>(conversation_, engine_);
    return newest_as_pin(client(-1));
  }

 private:
  std::shared_ptr<Conversation> conversation_;
  std::uint64_t engine_;
  bool pins_;
};

class Process : public CommandHost {
 public:
  explicit Process(std::vector<std::string> words) : words_(std::move(words)) { restart(); }

  const ForeignDescription& description() const override { return description_; }

  std::unique_ptr<ForeignInstance> open(const EngineSettings& settings) override {
    return open_durable(settings, "");
  }

  std::unique_ptr<ForeignInstance> open_durable(const EngineSettings& settings,
                                                const std::string& directory) override {
    Json request = {{"op", "open"},
                    {"engine", ++engines_},
                    {"strict", settings.strict},
                    {"validate_reads", settings.validate_reads},
                    {"ticket", settings.ticket},
                    {"backoff", settings.backoff},
                    {"seed", settings.seed}};
    if (!directory.empty()) request["directory"] = directory;
    const Json answer = conversation_->ask(std::move(request));
    if (answer.contains("error"))
      throw ForeignFailure(Kind::refused, "the engine cannot open: " + answer.at("error").dump());
    return std::make_unique<CommandInstance>(conversation_, engines_, description_.capabilities.pins);
  }

  void pause() override { conversation_->pause(); }
  void resume() override { conversation_->resume(); }
  void kill() override { conversation_->kill(); }

  void restart() override {
    try {
      conversation_ = std::make_shared<Conversation>(words_);
    } catch (const std::system_error& why) {
      throw ForeignFailure(Kind::cannot_start, std::string("cannot be run: ") + why.what());
    }
    const Json answer = conversation_->ask({{"op", "hello"}, {"protocol", kProtocolVersion}});
    description_ = description_of(answer);
    if (answer.contains("patience_ms"))
      conversation_->set_patience(milliseconds(whole_number(answer, "patience_ms")));
  }

 private:
  const std::vector<std::string> words_;
  std::shared_ptr<Conversation> conversation_;
  ForeignDescription description_;
  std::uint64_t engines_ = 0;
};

}  // namespace

std::optional<std::string> program_path(const std::string& program) {
  if (program.find('/') != std::string::npos)
    return ::access(program.c_str(), X_OK) == 0 ? std::optional(program) : std::nullopt;
  const char* const folders = std::getenv("PATH");
  std::istringstream path(folders == nullptr ? "" : folders);
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::unique_ptr<CommandHost> start_command(const std::vector<std::string>& words) {
  std::vector<std::string> resolved = words;
  const auto program = program_path(words.front());
  if (!program) throw ForeignFailure(Kind::cannot_start, "no program is named " + words.front());
  resolved.front() = *program;
  return std::make_unique<Process>(std::move(resolved));
}

}  // namespace touchstone::harness
