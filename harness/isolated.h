#pragma once
// Runs a function in a process of its own, so that a crash or a hang of it is an answer and not an end.
//
//   Isolated::Outcome outcome = run_isolated([](Isolated& self) { self.say("half"); return std::string("done"); },
//                                            std::chrono::seconds(60), [](const std::string& said) { ... });
//
// The child is forked without exec: it sees the caller's memory. The calling process must have one thread (a child of
// several may find locks held by threads that it does not have). The child dies with its parent.
//
// In the child the environment's TOUCHSTONE_SCRATCH names a directory of its own in shared memory. It goes when the child has
// ended, however it ended; also when SIGINT, SIGTERM or SIGHUP ends the caller meanwhile, which then dies of that signal. What a
// caller that was killed leaves, the next one removes (scratch.h).
//
// Thread safety: one thread.

#include <chrono>
#include <functional>
#include <string>

namespace touchstone::harness {

inline constexpr const char* kScratchVariable = "TOUCHSTONE_SCRATCH";

class Isolated {
 public:
  struct Outcome {
    enum class Kind { returned, died, hung } kind = Kind::died;
    std::string text;  ///< what the function returned, or how it ended ("signal 11", "exit status 3")
  };

  /// In the child: tells the parent something on the way. Never blocks for long: what does not fit is dropped.
  void say(const std::string& text);

 private:
  friend Outcome run_isolated(const std::function<std::string(Isolated&)>&, std::chrono::nanoseconds,
                              const std::function<void(const std::string&)>&);
  friend void last_words(const std::string& text) noexcept;
  static Outcome run(const std::function<std::string(Isolated&)>& function, std::chrono::nanoseconds patience,
                     const std::function<void(const std::string&)>& heard, int& requested);
  explicit Isolated(int pipe) : pipe_(pipe) {}

  bool send(char kind, const std::string& text);

  int pipe_;
};

inline constexpr int kExitAfterLastWords = 70;

/// From any thread of the child, before it ends itself: why. The parent adds it to how the child ended. In a process that is no
/// such child they go to the standard error, with the replay line that was announced.
void last_words(const std::string& text) noexcept;

/// Kills the child after `patience`.
Isolated::Outcome run_isolated(const std::function<std::string(Isolated&)>& function,
                               std::chrono::nanoseconds patience,
                               const std::function<void(const std::string&)>& heard);

}  // namespace touchstone::harness
