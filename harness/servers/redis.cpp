// Redis under the suite: WATCH and MULTI, or a script.

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <map>
#include <utility>

#include "harness/foreign/command_host.h"
#include "harness/servers/kinds.h"
#include "harness/servers/server_process.h"

namespace touchstone::harness {
namespace {

constexpr const char* kWatch = "WATCH what it reads, MULTI";
constexpr const char* kScript = "a script that compares versions";
constexpr const char* kBare = "MULTI without WATCH";

// KEYS: what was read, then what is written. ARGV: how many were read, their versions, the new values.
constexpr const char* kCommitScript =
    "local n = tonumber(ARGV[1]) "
    "for i = 1, n do if (redis.call('HGET', KEYS[i], 'n') or '0') ~= ARGV[1 + i] then return 0 end end "
    "for i = n + 1, #KEYS do "
    "redis.call('HSET', KEYS[i], 'v', ARGV[1 + i]) redis.call('HINCRBY', KEYS[i], 'n', 1) end "
    "return 1";

struct FreeReply {
  void operator()(redisReply* reply) const { ::freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

class RedisSession : public Session {
 public:
  RedisSession(std::uint16_t port, std::string level) : port_(port), level_(std::move(level)) {}
  ~RedisSession() override { disconnect(); }

  void begin() override {
    read_.clear();
    written_.clear();
    if (watching_) quietly({"UNWATCH"});
    watching_ = false;
  }

  std::optional<std::string> read(const std::string& key) override {
    if (level_ == kWatch) {
      quietly({"WATCH", key});
      watching_ = true;
    }
    const Reply reply = quietly({"HMGET", key, "v", "n"});
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) throw ServerFailure("HMGET: no two fields");
    const auto text = [&](std::size_t i) {
      return std::string(reply->element[i]->str, reply->element[i]->len);
    };
    const bool absent = reply->element[0]->type == REDIS_REPLY_NIL;
    read_[key] = absent ? "0" : text(1);
    return absent ? std::nullopt : std::optional(text(0));
  }

  void write(const std::string& key, const std::string& value) override { written_[key] = value; }

  bool commit() override { return level_ == kScript ? commit_by_script() : commit_by_multi(); }

  void remove_all() { quietly({"FLUSHALL"}); }
  bool answers() {
    try {
      return quietly({"PING"})->type == REDIS_REPLY_STATUS;
    } catch (const Unreachable&) {
      return false;
    }
  }

 private:
  using Words = std::vector<std::string>;

  void disconnect() {
    if (context_ != nullptr) ::redisFree(context_);
    context_ = nullptr;
    watching_ = false;
  }

  void connect() {
    if (context_ != nullptr) return;
    context_ = ::redisConnectWithTimeout("127.0.0.1", port_, {3, 0});
    if (context_ == nullptr || context_->err != 0) {
      const std::string why = context_ == nullptr ? "no memory" : context_->errstr;
      disconnect();
      throw Unreachable(why);
    }
    ::redisSetTimeout(context_, {3, 0});
  }

  void append(const Words& words) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> lengths;
    for (const auto& word : words) {
      pointers.push_back(word.data());
      lengths.push_back(word.size());
    }
    ::redisAppendCommandArgv(context_, static_cast<int>(words.size()), pointers.data(), lengths.data());
  }

  /// The next answer; null and no connection when there is none.
  Reply next_reply(std::string& why) {
    void* reply = nullptr;
    if (::redisGetReply(context_, &reply) == REDIS_OK && reply != nullptr)
      return Reply(static_cast<redisReply*>(reply));
    why = context_->errstr;
    disconnect();
    return nullptr;
  }

  /// Of what changes nothing: without an answer, nothing of the transaction happened.
  Reply quietly(const Words& words) {
    connect();
    append(words);
    std::string why;
    Reply reply = next_reply(why);
    if (!reply) throw Unreachable(why);
    return checked(std::move(reply));
  }

  Reply checked(Reply reply) {
    if (reply->type != REDIS_REPLY_ERROR) return reply;
    const std::string text(reply->str, reply->len);
    // It starts, or has no room for its log: then it has done nothing.
    if (text.compare(0, 7, "LOADING") == 0 || text.compare(0, 7, "MISCONF") == 0 ||
        text.compare(0, 9, "EXECABORT") == 0) {
      disconnect();
      throw Unreachable(text);
    }
    throw ServerFailure("Redis: " + text);
  }

  /// MULTI, the writes and EXEC go out together; only the last answer decides.
  bool commit_by_multi() {
    if (level_ == kWatch && !watching_ && !read_.empty()) throw Unreachable("the connection was lost");
    connect();
    append({"MULTI"});
    for (const auto& [key, value] : written_) {
      append({"HSET", key, "v", value});
      append({"HINCRBY", key, "n", "1"});
    }
    append({"EXEC"});
    watching_ = false;
    std::string why;
    Reply reply;
    for (std::size_t i = 0; i < 2 + 2 * written_.size(); ++i) {
      reply = next_reply(why);
      if (!reply) throw OutcomeUnknown(why);
      const bool last = i == 1 + 2 * written_.size();
      if (last || reply->type != REDIS_REPLY_ERROR) reply = checked(std::move(reply));
    }
    return reply->type != REDIS_REPLY_NIL;
  }

  bool commit_by_script() {
    Words words = {"EVAL", kCommitScript, std::to_string(read_.size() + written_.size())};
    for (const auto& [key, version] : read_) words.push_back(key);
    for (const auto& [key, value] : written_) words.push_back(key);
    words.push_back(std::to_string(read_.size()));
    for (const auto& [key, version] : read_) words.push_back(version);
    for (const auto& [key, value] : written_) words.push_back(value);
    connect();
    append(words);
    std::string why;
    Reply reply = next_reply(why);
    if (!reply) throw OutcomeUnknown(why);
    return checked(std::move(reply))->integer == 1;
  }

  const std::uint16_t port_;
  const std::string level_;
  redisContext* context_ = nullptr;
  bool watching_ = false;
  std::map<std::string, std::string> read_;  ///< key to version
  std::map<std::string, std::string> written_;
};

class RedisServer : public Server {
 public:
  explicit RedisServer(const std::filesystem::path& directory)
      : port_(free_port()),
        process_({program_path("redis-server").value_or("redis-server"), "--port", std::to_string(port_),
                  "--bind", "127.0.0.1", "--dir", directory.string(), "--save", "", "--appendonly", "yes",
                  "--appendfsync", "always", "--daemonize", "no"},
                 directory / "redis.log") {
    process_.wait_until([this] { return RedisSession(port_, kScript).answers(); });
  }

  std::unique_ptr<Session> session(const ServerLevel& level, int) override {
    return std::make_unique<RedisSession>(port_, level.name);
  }

  void clear() override { RedisSession(port_, kScript).remove_all(); }
  std::vector<ServerProcess*> processes() override { return {&process_}; }

 private:
  const std::uint16_t port_;
  ServerProcess process_;
};

}  // namespace

ServerKind redis_kind() {
  return {"redis",
          "Redis",
          {{kWatch, "EXEC fails if a watched key was changed", ""},
           {kScript, "scripts are executed atomically", ""},
           {kBare, "MULTI: commands are executed one after the other, without another's in between",
            "a missing WATCH"}},
          [](const std::filesystem::path& directory) -> std::unique_ptr<Server> {
            return std::make_unique<RedisServer>(directory);
          }};
}

}  // namespace touchstone::harness
