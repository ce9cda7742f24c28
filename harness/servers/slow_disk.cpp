#include "harness/servers/slow_disk.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace touchstone::harness {
namespace {

/// Hands the calls that wait for a disk to whoever holds the descriptor that it returns; all others go on. Of another architecture's
/// call with the same number no more is changed: it goes on, too, a little later.
int hand_over_what_waits_for_a_disk() {
  std::array<sock_filter, 5> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  // Without it only root may filter; with it root's children still become other users.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
}

}  // namespace

SlowDisk::SlowDisk() : calls_made_(hand_over_what_waits_for_a_disk()) {
  if (calls_made_ < 0)
    throw NoSlowDisk(fmt::format("no slow disk of its own: seccomp: {}", std::strerror(errno)));
  thread_ = std::thread([this] { serve(); });
}

SlowDisk::~SlowDisk() {
  heal();
  end_.store(true);
  thread_.join();
  ::close(calls_made_);
}

void SlowDisk::serve() {
  while (!end_.load()) {
    pollfd readable{calls_made_, POLLIN, 0};
    ::poll(&readable, 1, waiting_.empty() ? 20 : 1);
    if ((readable.revents & POLLIN) != 0) take_call();
    let_go_on_whose_time_has_come();
  }
}

void SlowDisk::take_call() {
  seccomp_notif call{};
  if (::ioctl(calls_made_, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return;  // its thread was killed meanwhile
  calls_.fetch_add(1);
  const std::chrono::milliseconds delay(delay_ms_.load());
  if (delay.count() > 0) delayed_.fetch_add(1);
  waiting_.emplace(Clock::now() + delay, call.id);
}

void SlowDisk::let_go_on(std::uint64_t id) const {
  seccomp_notif_resp answer{};
  answer.id = id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ::ioctl(calls_made_, SECCOMP_IOCTL_NOTIF_SEND,
          &answer);  // fails if its thread was killed: then nobody waits
}

void SlowDisk::let_go_on_whose_time_has_come() {
  const bool healed = delay_ms_.load() == 0;
  while (!waiting_.empty() && (healed || waiting_.begin()->first <= Clock::now())) {
    let_go_on(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
}

}  // namespace touchstone::harness
