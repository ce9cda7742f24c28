#pragma once
// A real process that runs a function of the test, and reports what it found.
//
//   Child child = Child::start([&] { return works() ? "" : "it did not work"; });
//   EXPECT_EQ(child.join(), "");
//
//   Gate ready;                       // made before the fork
//   Child owner = Child::start([&] { ...; ready.open(); wait_for_ever(); });
//   ready.wait();  owner.kill();      // kill -9, and waited for
//
// The process is forked without exec, so that the function sees the test's memory as it was. Fork before
// you start threads: ThreadSanitizer allows none in the child of a process that had several. An object
// belongs to one thread; a child that nobody joined or killed is killed by the destructor.

#include <sys/types.h>

#include <array>
#include <functional>
#include <optional>
#include <string>

namespace touchstone::chaos {

class Child {
 public:
  /// What a process that does the work returns: empty, or what was wrong.
  using Body = std::function<std::string()>;

  static Child start(const Body& body);

  /// The same in a process that `fork_call` makes: it returns as fork() does. Nothing when it failed.
  static std::optional<Child> start_by(const std::function<pid_t()>& fork_call, const Body& body);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t pid() const { return pid_; }

  /// The body's report; or "exited with 3", "ended by signal 9".
  std::string join();

  /// kill -9, and waits: afterwards the kernel has dropped its locks and mappings.
  void kill();

  void stop();
  void resume();

 private:
  Child(pid_t pid, int report) : pid_(pid), report_(report) {}

  pid_t pid_;
  int report_;
};

/// What `body` reports when a child runs it.
std::string report_of_child(const Child::Body& body);

/// Sleeps until somebody ends this process.
[[noreturn]] void wait_for_ever();

/// In a child: signals do again what they do in any process.
void forget_signal_handlers();

/// Adopts whatever its descendants leave behind, so that they can be waited for.
class Subreaper {
 public:
  Subreaper();
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;
  ~Subreaper();

  /// Comes back when no descendant is left; one that outlives what it should die with would hang here, until the
  /// watchdog.
  static void wait_until_all_are_gone();
};

/// Opened once, by any process; whoever waits goes on then, also when the process that was to open it died.
class Gate {
 public:
  Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

  void open();

  /// True when it was opened, false when no process that could open it is left.
  bool wait();

 private:
  std::array<int, 2> pipe_{-1, -1};
};

}  // namespace touchstone::chaos
