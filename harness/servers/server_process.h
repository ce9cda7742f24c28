#pragma once
// A server's process on loopback: its port, its log, its life and death.
//
//   ServerProcess process({"/usr/bin/redis-server", "--port", port}, directory / "redis.log");
//   process.wait_until([&] { return answers(port); });        // throws ServerFailure with the end of the log
//   process.kill();  process.start();                         // kill -9, and again with the same words
//
// It dies with the thread that started it and is ended by its own id, at the latest by the destructor; what it wrote is its
// owner's to remove. Thread safety: one thread, but pause() and resume() from any.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/foreign/child_process.h"

namespace touchstone::harness {

/// The server cannot be started, or answers nonsense: no verdict about it.
struct ServerFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A port of 127.0.0.1 that nobody listens on now.
std::uint16_t free_port();

class ServerProcess {
 public:
  ServerProcess(std::vector<std::string> words, std::filesystem::path log, ChildOptions options = {});

  void start();
  void kill();
  void pause();
  void resume();

  /// Ends it as its makers wish (SIGTERM), and kills it when that takes long.
  void stop();

  void wait_until(const std::function<bool()>& ready,
                  std::chrono::milliseconds patience = std::chrono::seconds(30));

  bool has_ended() { return child_->has_ended(); }

  std::string end_of_log() const;

 private:
  const std::vector<std::string> words_;
  const std::filesystem::path log_;
  ChildOptions options_;
  std::unique_ptr<ChildProcess> child_;
};

/// Whose processes can be killed, stopped and started anew.
class ProcessHost {
 public:
  virtual ~ProcessHost() = default;

  virtual std::vector<ServerProcess*> processes() { return {}; }

  /// Starts the nth process again, after it was killed or has ended.
  virtual void revive(std::size_t nth) { processes().at(nth)->start(); }
};

}  // namespace touchstone::harness
