// The uncontrolled-operation guard: the entry points that -fsanitize=thread calls, without ThreadSanitizer behind them.
//
// Code compiled with -fsanitize=thread calls __tsan_* for every atomic operation. Under the explorer the engine must make
// none: all its atomics are the platform's. So an atomic entry point reached while a scheduler runs an execution is an
// operation that no schedule controls; its callers' addresses are noted. The wrapped locks, clocks, sleeps and sources of
// randomness do the same and then do what they should. Plain reads and writes, and the memory that comes and goes, are looked at
// for races (plain_races.h).
//
// Linked only into guard_test, which is linked without -fsanitize.

#include "harness/explore/guard.h"

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "harness/explore/arena.h"
#include "harness/explore/plain_races.h"
#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

namespace {

std::vector<UncontrolledOperation>& noted() {
  static std::vector<UncontrolledOperation> operations;
  return operations;
}

}  // namespace

std::vector<UncontrolledOperation> take_uncontrolled_operations() {
  return std::exchange(noted(), {});
}

void note_uncontrolled(const char* what, const void* frame, int order) {
  if (Scheduler::current() == nullptr) return;
  UncontrolledOperation operation{what, {}, order};
  for (const void*& caller : operation.callers) {
    // Everything is compiled with frame pointers: the frame above, then the address to return to.
    const auto* const words = static_cast<const void* const*>(frame);
    if (words == nullptr) break;
    caller = words[1];
    frame = words[0];
  }
  noted().push_back(operation);
}

}  // namespace touchstone::harness::explore

using touchstone::harness::explore::Arena;
using touchstone::harness::explore::note_uncontrolled;
using touchstone::harness::explore::plain_access;
using touchstone::harness::explore::plain_memory_made;

#define NOTE(what) note_uncontrolled(what, __builtin_frame_address(0))

// libstdc++ counts references without atomics while glibc says that the process has one thread. The engine will have many.
extern "C" char __libc_single_threaded;
[[maybe_unused]] const bool many_threads = (__libc_single_threaded = 0, true);

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define CODE __builtin_return_address(0)
void __tsan_read_range(void* a, unsigned long n) {
  plain_access(a, n, false, CODE);
}
void __tsan_write_range(void* a, unsigned long n) {
  plain_access(a, n, true, CODE);
}
void __tsan_ignore_thread_begin() {}
void __tsan_ignore_thread_end() {}
void* __tsan_memcpy(void* to, const void* from, unsigned long n) {
  plain_access(from, n, false, CODE);
  plain_access(to, n, true, CODE);
  return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
  plain_access(from, n, false, CODE);
  plain_access(to, n, true, CODE);
  return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int byte, unsigned long n) {
  plain_access(to, n, true, CODE);
  return std::memset(to, byte, n);
}

#define PLAIN(size)                                 \
  void __tsan_read##size(void* a) {                 \
    plain_access(a, size, false, CODE);             \
  }                                                 \
  void __tsan_write##size(void* a) {                \
    plain_access(a, size, true, CODE);              \
  }                                                 \
  void __tsan_unaligned_read##size(void* a) {       \
    plain_access(a, size, false, CODE);             \
  }                                                 \
  void __tsan_unaligned_write##size(void* a) {      \
    plain_access(a, size, true, CODE);              \
  }                                                 \
  void __tsan_read_write##size(void* a) {           \
    plain_access(a, size, true, CODE);              \
  }                                                 \
  void __tsan_unaligned_read_write##size(void* a) { \
    plain_access(a, size, true, CODE);              \
  }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define ATOMIC(bits, T)                                                                             \
  T __tsan_atomic##bits##_load(const volatile T* a, int order) {                                    \
    note_uncontrolled("atomic load", __builtin_frame_address(0), order);                            \
    return __atomic_load_n(a, __ATOMIC_SEQ_CST);                                                    \
  }                                                                                                 \
  void __tsan_atomic##bits##_store(volatile T* a, T v, int) {                                       \
    NOTE("atomic store");                                                                           \
    __atomic_store_n(a, v, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                 \
  T __tsan_atomic##bits##_exchange(volatile T* a, T v, int) {                                       \
    NOTE("atomic exchange");                                                                        \
    return __atomic_exchange_n(a, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                 \
  T __tsan_atomic##bits##_fetch_add(volatile T* a, T v, int) {                                      \
    NOTE("atomic fetch_add");                                                                       \
    return __atomic_fetch_add(a, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                 \
  T __tsan_atomic##bits##_fetch_sub(volatile T* a, T v, int) {                                      \
    NOTE("atomic fetch_sub");                                                                       \
    return __atomic_fetch_sub(a, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                 \
  T __tsan_atomic##bits##_fetch_or(volatile T* a, T v, int) {                                       \
    NOTE("atomic fetch_or");                                                                        \
    return __atomic_fetch_or(a, v, __ATOMIC_SEQ_CST);                                               \
  }                                                                                                 \
  T __tsan_atomic##bits##_fetch_and(volatile T* a, T v, int) {                                      \
    NOTE("atomic fetch_and");                                                                       \
    return __atomic_fetch_and(a, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                 \
  T __tsan_atomic##bits##_fetch_xor(volatile T* a, T v, int) {                                      \
    NOTE("atomic fetch_xor");                                                                       \
    return __atomic_fetch_xor(a, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                 \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* a, T* e, T v, int, int) {           \
    NOTE("atomic compare_exchange");                                                                \
    return __atomic_compare_exchange_n(a, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0; \
  }                                                                                                 \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* a, T* e, T v, int, int) {             \
    NOTE("atomic compare_exchange");                                                                \
    return __atomic_compare_exchange_n(a, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0; \
  }                                                                                                 \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* a, T e, T v, int, int) {                 \
    NOTE("atomic compare_exchange");                                                                \
    __atomic_compare_exchange_n(a, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);               \
    return e;                                                                                       \
  }
ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

void __tsan_atomic_thread_fence(int) {
  NOTE("fence");
}
void __tsan_atomic_signal_fence(int) {}

// --wrap: the linker sends the calls of everything in the binary here, whatever compiled it.
#define WRAPPED(what, name, result, parameters, arguments) \
  result __real_##name parameters;                         \
  result __wrap_##name parameters {                        \
    NOTE(what);                                            \
    return __real_##name arguments;                        \
  }
WRAPPED("steady_clock::now", _ZNSt6chrono3_V212steady_clock3nowEv, std::int64_t, (), ())
WRAPPED("system_clock::now", _ZNSt6chrono3_V212system_clock3nowEv, std::int64_t, (), ())
WRAPPED("clock_gettime", clock_gettime, int, (clockid_t clock, timespec* time), (clock, time))
WRAPPED("pthread_mutex_lock", pthread_mutex_lock, int, (pthread_mutex_t * mutex), (mutex))
WRAPPED("pthread_mutex_trylock", pthread_mutex_trylock, int, (pthread_mutex_t * mutex), (mutex))
WRAPPED("pthread_rwlock_rdlock", pthread_rwlock_rdlock, int, (pthread_rwlock_t * lock), (lock))
WRAPPED("pthread_rwlock_wrlock", pthread_rwlock_wrlock, int, (pthread_rwlock_t * lock), (lock))
WRAPPED("pthread_cond_wait", pthread_cond_wait, int, (pthread_cond_t * condition, pthread_mutex_t* mutex),
        (condition, mutex))
WRAPPED("nanosleep", nanosleep, int, (const timespec* time, timespec* left), (time, left))
WRAPPED("sched_yield", sched_yield, int, (), ())
WRAPPED("random device", _ZNSt13random_device9_M_getvalEv, unsigned, (void* device), (device))
WRAPPED("random", random, long, (), ())
WRAPPED("getrandom", getrandom, ssize_t, (void* to, std::size_t size, unsigned flags), (to, size, flags))
WRAPPED("futex", syscall, long, (long number, long a, long b, long c, long d, long e, long f),
        (number, a, b, c, d, e, f))  // of std::atomic::wait

// Of the body's memory, which is an arena's: freeing is writing.
static void freed(const void* block, std::size_t size, const void* code) {
  if (Arena::covers(reinterpret_cast<std::uintptr_t>(block))) plain_access(block, size, true, code);
}
void* __real__Znwm(std::size_t n);
void* __wrap__Znwm(std::size_t n) {
  void* const made = __real__Znwm(n);
  plain_memory_made(made, n);
  return made;
}
void* __real__ZnwmSt11align_val_t(std::size_t n, std::align_val_t alignment);
void* __wrap__ZnwmSt11align_val_t(std::size_t n, std::align_val_t alignment) {
  void* const made = __real__ZnwmSt11align_val_t(n, alignment);
  plain_memory_made(made, n);
  return made;
}
void __real__ZdlPvm(void* gone, std::size_t n);
void __wrap__ZdlPvm(void* gone, std::size_t n) {
  freed(gone, n, CODE);
  __real__ZdlPvm(gone, n);
}
void __real__ZdlPvmSt11align_val_t(void* gone, std::size_t n, std::align_val_t alignment);
void __wrap__ZdlPvmSt11align_val_t(void* gone, std::size_t n, std::align_val_t alignment) {
  freed(gone, n, CODE);
  __real__ZdlPvmSt11align_val_t(gone, n, alignment);
}
void __real__ZdlPv(void* gone);
void __wrap__ZdlPv(void* gone) {
  freed(gone, 1, CODE);  // of a size that nobody tells
  __real__ZdlPv(gone);
}

}  // extern "C"
