#pragma once
// Another kernel than the one that runs: calls that fail, and calls that are answered by the test. For one thread and the children
// that it forks, by a seccomp filter.
//
//   where({{SYS_flock, ENOLCK}}, [&] { ... });                                   // they fail
//   where_answered({SYS_writev}, [&](const Called& call) { return -EINTR; }, [&] { ... });    // they do what the test says
//
// `body` runs on a thread of its own. What answers runs on the caller's thread, one call at a time.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/segments/directory.h"

namespace touchstone::engine {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
inline constexpr bool kThreadSanitizer = false;
#endif

/// A call that fails; all of it, or only where `argument`, masked, has `value`.
struct Failing {
  long call;
  int error;
  unsigned argument = 0;
  std::uint32_t mask = 0;
  std::uint32_t value = 0;
};

/// A filter that returns `action`, and the error, for these calls. The listener if the flags ask for one, else 0; or -1.
inline int filter_calls(const std::vector<Failing>& calls, std::uint32_t action, unsigned flags) {
  std::vector<sock_filter> filter;
  const auto load = [&](std::size_t at) {
    filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(at)));
  };
  for (const Failing& failing : calls) {
    load(offsetof(seccomp_data, nr));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(failing.call), 0, 4));
    load(offsetof(seccomp_data, args) + failing.argument * sizeof(std::uint64_t));
    filter.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, failing.mask));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, failing.value, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, action | static_cast<std::uint32_t>(failing.error)));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

inline void where(const std::vector<Failing>& calls, const std::function<void()>& body) {
  std::thread thread([&] {
    if (filter_calls(calls, SECCOMP_RET_ERRNO, 0) == 0) {
      body();
    } else {
      ADD_FAILURE() << "no seccomp filter: " << std::generic_category().message(errno);
    }
  });
  thread.join();
}

/// A call that waits for its answer.
struct Called {
  pid_t thread;  ///< of whoever calls
  long call;
  std::uint64_t arguments[6] = {};

  /// What an argument leads to, in the memory of whoever calls.
  std::string bytes_at(std::uint64_t address, std::size_t size) const {
    std::string bytes(size, '\0');
    EXPECT_EQ(read(address, bytes.data(), size), static_cast<ssize_t>(size));
    return bytes;
  }

  /// Up to its NUL, at most of a path's length.
  std::string text_at(std::uint64_t address) const {
    std::string text(PATH_MAX, '\0');
    const ssize_t got = read(address, text.data(), text.size());
    return text.substr(0, got < 0 ? 0 : text.find('\0'));
  }

  template <class T>
  T at(std::uint64_t address) const {
    T value;
    bytes_at(address, sizeof value).copy(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

 private:
  ssize_t read(std::uint64_t address, char* to, std::size_t size) const {
    const std::string memory = "/proc/" + std::to_string(thread) + "/mem";
    const Descriptor fd(::open(memory.c_str(), O_RDONLY | O_CLOEXEC));
    return ::pread(fd.get(), to, size, static_cast<off_t>(address));
  }
};

/// What the call returns: 0 or more, or minus an errno; nullopt: whatever the kernel says.
using Answer = std::function<std::optional<std::int64_t>(const Called&)>;

inline void where_answered(const std::vector<long>& calls, const Answer& answer,
                           const std::function<void()>& body) {
  std::vector<Failing> asked;
  for (const long call : calls) asked.push_back({call, 0});
  std::atomic<int> listener{-1};
  std::atomic<bool> failed{false};
  std::thread thread([&] {
    const int fd = filter_calls(asked, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    failed = fd < 0;
    listener = fd;
    if (fd >= 0) body();
  });
  while (listener < 0 && !failed) std::this_thread::yield();
  const Descriptor fd(listener);
  while (!failed) {
    pollfd ready{fd.get(), POLLIN, 0};
    if (::poll(&ready, 1, -1) < 0 && errno == EINTR) continue;
    if ((ready.revents & POLLIN) == 0) break;  // nobody is left who could call
    seccomp_notif request{};
    if (::ioctl(fd.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) continue;
    Called called{static_cast<pid_t>(request.pid), request.data.nr};
    for (std::size_t i = 0; i < 6; ++i) called.arguments[i] = request.data.args[i];
    const auto value = answer(called);
    seccomp_notif_resp response{};
    response.id = request.id;
    if (!value) {
      response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (*value < 0) {
      response.error = static_cast<std::int32_t>(*value);
    } else {
      response.val = *value;
    }
    (void)::ioctl(fd.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
  thread.join();
  EXPECT_FALSE(failed) << "no seccomp filter with a listener";
}

/// Whether `other`, on a thread of its own, comes back while a `call` of `body` waits for its answer.
inline bool comes_back_within(long call, const std::function<void()>& body,
                              const std::function<void()>& other) {
  std::atomic<bool> back{false};
  bool seen = false;
  std::thread thread;
  const auto let_the_other_go = [&](const Called&) -> std::optional<std::int64_t> {
    if (thread.joinable()) return std::nullopt;
    thread = std::thread([&] {
      other();
      back = true;
    });
    for (int i = 0; i < 20 && !back; ++i) ::usleep(1'000);
    seen = back;
    return std::nullopt;
  };
  where_answered({call}, let_the_other_go, body);
  EXPECT_TRUE(thread.joinable()) << "there was no such call";
  if (thread.joinable()) thread.join();
  return seen;
}

}  // namespace touchstone::engine
