#pragma once
// A long search that is interrupted still says what it has found.
//
//   const Interruptible interruptible;
//   while (Interruptible::interrupted == 0) ...
//
// While one lives the first SIGINT only raises the flag, and a second one ends the process. One at a time, one thread.

#include <csignal>

namespace touchstone::harness {

class Interruptible {
 public:
  Interruptible() : before_((interrupted = 0, std::signal(SIGINT, raise_flag))) {
    if (before_ == SIG_IGN) std::signal(SIGINT, SIG_IGN);  // a script's background job
  }
  ~Interruptible() { std::signal(SIGINT, before_); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  inline static volatile std::sig_atomic_t interrupted = 0;

 private:
  static void raise_flag(int) {
    interrupted = 1;
    std::signal(SIGINT, SIG_DFL);
  }

  void (*before_)(int);
};

}  // namespace touchstone::harness
