#include "harness/explore/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define TOUCHSTONE_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOUCHSTONE_FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TOUCHSTONE_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TOUCHSTONE_FIBER_TSAN 1
#endif
#endif

#if defined(TOUCHSTONE_FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(TOUCHSTONE_FIBER_TSAN)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
#endif

#if defined(__x86_64__) && !defined(TOUCHSTONE_PORTABLE_FIBERS)
#define TOUCHSTONE_FIBER_ASM 1
// touchstone_switch_stack(void** save, void* load): pushes what the ABI says a callee keeps, changes stacks,
// pops the same from the other one, and jumps to where that one had called us from.
asm(R"(
.text
.globl touchstone_switch_stack
.type touchstone_switch_stack, @function
.p2align 4
touchstone_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size touchstone_switch_stack, .-touchstone_switch_stack

.type touchstone_first_frame, @function
.p2align 4
touchstone_first_frame:
  movq %rbx, %rdi
  xorl %ebp, %ebp
  pushq $0
  jmp *%r12
.size touchstone_first_frame, .-touchstone_first_frame
)");
extern "C" void touchstone_switch_stack(void** save, void* load);
extern "C" void touchstone_first_frame();
#endif

namespace touchstone::harness::explore {

namespace {
constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kColourBytes = 192;
constexpr std::size_t kColours = 16;
}  // namespace

struct Fiber::Portable {
  ucontext_t context;
};

Fiber::Fiber(Host) {
#if !defined(TOUCHSTONE_FIBER_ASM)
  portable_ = std::make_unique<Portable>();
#endif
#if defined(TOUCHSTONE_FIBER_TSAN)
  tsan_fiber_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(std::size_t colour) : stack_size_(kStackBytes), colour_(colour % kColours) {
  void* memory = ::mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || ::mprotect(memory, kGuardBytes, PROT_NONE) != 0) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(memory);
  stack_bottom_ = mapping_ + kGuardBytes;
#if !defined(TOUCHSTONE_FIBER_ASM)
  portable_ = std::make_unique<Portable>();
#endif
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
#if defined(TOUCHSTONE_FIBER_TSAN)
  if (tsan_fiber_ != nullptr) __tsan_destroy_fiber(tsan_fiber_);
#endif
  ::munmap(mapping_, kGuardBytes + kStackBytes);
}

void Fiber::start(Entry entry, void* argument) {
  entry_ = entry;
  argument_ = argument;
#if defined(TOUCHSTONE_FIBER_ASAN)
  __asan_unpoison_memory_region(stack_bottom_, stack_size_);
  asan_fake_stack_ = nullptr;
#endif
#if defined(TOUCHSTONE_FIBER_TSAN)
  // A fiber left for good in the middle of its calls has a shadow stack that would only grow.
  if (tsan_fiber_ != nullptr) __tsan_destroy_fiber(tsan_fiber_);
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
#if defined(TOUCHSTONE_FIBER_ASM)
  std::byte* top = mapping_ + kGuardBytes + kStackBytes - colour_ * kColourBytes - 64;
  auto* frame = reinterpret_cast<std::uintptr_t*>(top);
  *--frame = reinterpret_cast<std::uintptr_t>(&touchstone_first_frame);
  *--frame = 0;                                                      // rbp
  *--frame = reinterpret_cast<std::uintptr_t>(this);                 // rbx
  *--frame = reinterpret_cast<std::uintptr_t>(&Fiber::first_frame);  // r12
  for (int i = 0; i < 3; ++i) *--frame = 0;                          // r13, r14, r15
  stack_pointer_ = frame;
#else
  ::getcontext(&portable_->context);
  portable_->context.uc_stack.ss_sp = mapping_ + kGuardBytes;
  portable_->context.uc_stack.ss_size = kStackBytes - colour_ * kColourBytes;
  portable_->context.uc_link = nullptr;
  const std::uint64_t self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&portable_->context, reinterpret_cast<void (*)()>(&Fiber::portable_first_frame), 2,
                static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
#endif
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  from.announce_switch(to);
#if defined(TOUCHSTONE_FIBER_ASM)
  touchstone_switch_stack(&from.stack_pointer_, to.stack_pointer_);
#else
  ::swapcontext(&from.portable_->context, &to.portable_->context);
#endif
  from.announce_arrival();
}

void Fiber::first_frame(Fiber* self) {
  self->announce_arrival();
  self->entry_(self->argument_);
  std::abort();  // an entry never returns: there is nothing below it to return to
}

void Fiber::portable_first_frame(unsigned low, unsigned high) {
  const std::uint64_t self = low | (std::uint64_t{high} << 32);
  first_frame(reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(self)));
}

#if defined(TOUCHSTONE_FIBER_ASAN)
namespace {
// Whom we came from, so that the arriving side can note the bounds of a host's stack, which nobody has told
// us.
thread_local const void** left_bottom = nullptr;
thread_local std::size_t* left_size = nullptr;
}  // namespace
#endif

void Fiber::announce_switch([[maybe_unused]] Fiber& to) {
#if defined(TOUCHSTONE_FIBER_ASAN)
  left_bottom = &stack_bottom_;
  left_size = &stack_size_;
  __sanitizer_start_switch_fiber(&asan_fake_stack_, to.stack_bottom_, to.stack_size_);
#endif
#if defined(TOUCHSTONE_FIBER_TSAN)
  __tsan_switch_to_fiber(to.tsan_fiber_, 0);
#endif
}

void Fiber::announce_arrival() {
#if defined(TOUCHSTONE_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(asan_fake_stack_, left_bottom, left_size);
#endif
}

}  // namespace touchstone::harness::explore
