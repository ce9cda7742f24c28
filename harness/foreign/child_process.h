#pragma once
// A program of its own, with pipes to its three streams.
//
//   ChildProcess child({"/usr/bin/python3", "mine.py"});        // throws std::system_error: it cannot be run
//   child.send("{}\n", deadline);
//   child.receive(deadline, [](std::string_view bytes) { ... });
//   child.end(std::chrono::seconds(2));                         // how it ended: "exit status 1"
//
// It is in a process group of its own, dies with the thread that started it, and is ended by its own id, at the latest by the
// destructor. Thread safety: one thread sends, one receives, one ends.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace touchstone::harness {

struct ChildOptions {
  std::string log;  ///< both streams are appended to this file, and none is to be received; "": pipes
  std::optional<uid_t> user;   ///< becomes this user, who must not be root
  std::optional<gid_t> group;  ///< with this group alone
  int network = -1;            ///< a network namespace to live in
};

class ChildProcess {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ChildProcess(const std::vector<std::string>& words, const ChildOptions& options = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class Sent { all, closed, late };
  Sent send(std::string_view bytes, Clock::time_point deadline);

  /// Waits for what the child writes next, to either stream. False: it has closed both.
  bool receive(const std::function<void(std::string_view)>& output,
               const std::function<void(std::string_view)>& errors);

  void close_input();
  void signal(int number);

  /// Stops it and its group, and waits until no thread of it runs any more: the signal alone only says that it shall stop.
  void pause();

  /// Waits for its end, and kills it when it does not come. How it ended; the same again when it is called again.
  std::string end(std::chrono::milliseconds patience);

  bool has_ended();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int errors_ = -1;
  std::mutex mutex_;  ///< of the ending
  std::optional<std::string> ended_;
};

}  // namespace touchstone::harness
