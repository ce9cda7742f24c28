#pragma once
// Fibers: stacks that hand the processor to each other by a function call.
//
//   Fiber host(Fiber::Host{});                  // the stack that we are on
//   Fiber fiber(0);                             // 0: the colour of its stack
//   fiber.start(entry, argument);               // entry(argument) runs at the first switch and must not
//   return Fiber::switch_to(host, fiber);              // returns when somebody switches back to `host`
//
// A fiber and everything it switches to live on one OS thread. A fiber that is left for good may be started
// again; what was on its stack is forgotten, and no destructor runs.
//
// The switch is our own on x86-64 (callee-saved registers only; it jumps rather than returns, because a
// return would miss the processor's return predictor; the floating-point control words are not switched) and
// ucontext's elsewhere. Stacks are coloured: stack i begins i cache lines and a half lower in its page, so
// that hot frames of many fibers do not fight for the same cache set. ThreadSanitizer and AddressSanitizer
// are told of every switch.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace touchstone::harness::explore {

class Fiber {
 public:
  struct Host {};
  using Entry = void (*)(void*);

  static constexpr std::size_t kStackBytes = 256 * 1024;

  explicit Fiber(Host);
  explicit Fiber(std::size_t colour);
  ~Fiber();

  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Makes `entry(argument)` what the next switch to this fiber begins.
  void start(Entry entry, void* argument);

  /// Leaves `from`, which must be the running fiber, for `to`.
  static void switch_to(Fiber& from, Fiber& to);

 private:
  struct Portable;

  void announce_switch(Fiber& to);
  void announce_arrival();
  static void first_frame(Fiber* self);
  static void portable_first_frame(unsigned low, unsigned high);

  [[maybe_unused]] void* stack_pointer_ = nullptr;
  std::unique_ptr<Portable> portable_;  // null where we have a switch of our own
  std::byte* mapping_ = nullptr;        // guard page, then the stack
  const void* stack_bottom_ = nullptr;
  [[maybe_unused]] std::size_t stack_size_ = 0;
  std::size_t colour_ = 0;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  [[maybe_unused]] void* tsan_fiber_ = nullptr;
  [[maybe_unused]] void* asan_fake_stack_ = nullptr;
};

}  // namespace touchstone::harness::explore
