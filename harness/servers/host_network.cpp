#include "harness/servers/host_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace touchstone::harness {
namespace {

constexpr std::size_t kLongestPacket = 65536;
constexpr std::size_t kDestination = 16;  ///< of an IPv4 header

[[noreturn]] void refuse(const char* what) {
  throw NoNetwork(fmt::format("{}: {}", what, std::strerror(errno)));
}

ifreq named(const char* device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  return request;
}

/// An ioctl about a device of the calling thread's namespace.
void tell(ifreq request, unsigned long what, const char* name) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int result = ::ioctl(socket, what, &request);
  const int error = errno;
  ::close(socket);
  errno = error;
  if (result != 0) refuse(name);
}

void set_address(unsigned long what, const std::string& address) {
  ifreq request = named("touchstone0");
  sockaddr_in in{};
  in.sin_family = AF_INET;
  ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  std::memcpy(&request.ifr_addr, &in, sizeof in);
  tell(request, what, "address of a device");
}

void bring_up(const char* device) {
  ifreq request = named(device);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  tell(request, SIOCSIFFLAGS, "device up");
}

}  // namespace

HostNetwork::HostNetwork(int hosts, Stream stream) : stream_(stream) {
  for (int i = 0; i <= hosts; ++i) hosts_.push_back(make_host(i));
  thread_ = std::thread([this] { carry(); });
}

HostNetwork::~HostNetwork() {
  end_.store(true);
  thread_.join();
  for (const Host& host : hosts_) {
    ::close(host.device);
    ::close(host.space);
  }
}

HostNetwork::Host HostNetwork::make_host(int number) {
  if (::unshare(CLONE_NEWNET) != 0) refuse("network namespace");
  Host host;
  host.space = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  host.device = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (host.device < 0) refuse("/dev/net/tun");
  ifreq request = named("touchstone0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(host.device, TUNSETIFF, &request) != 0) refuse("TUN device");
  bring_up("lo");
  set_address(SIOCSIFADDR, address(number));
  set_address(SIOCSIFNETMASK, "255.255.255.0");
  bring_up("touchstone0");
  return host;
}

void HostNetwork::isolate(const std::set<int>& some) {
  const std::lock_guard lock(mutex_);
  rules_.island = some;
}

void HostNetwork::disturb(std::chrono::milliseconds delay, int lost_percent) {
  const std::lock_guard lock(mutex_);
  rules_.delay = delay;
  rules_.lost_percent = lost_percent;
}

void HostNetwork::heal() {
  const std::lock_guard lock(mutex_);
  rules_ = {};
}

void HostNetwork::carry() {
  std::vector<pollfd> readable;
  for (const Host& host : hosts_) readable.push_back({host.device, POLLIN, 0});
  while (!end_.load()) {
    ::poll(readable.data(), readable.size(), waiting_.empty() ? 20 : 1);
    for (std::size_t i = 0; i < readable.size(); ++i)
      if (readable[i].revents != 0) take_packet(static_cast<int>(i));
    deliver_due();
  }
}

void HostNetwork::take_packet(int from) {
  std::array<char, kLongestPacket> block;
  const ssize_t n = ::read(hosts_[static_cast<std::size_t>(from)].device, block.data(), block.size());
  if (n < 20 || (static_cast<unsigned char>(block[0]) >> 4U) != 4)
    return;  // IPv6 asks for neighbours: nobody is there
  const int to = static_cast<unsigned char>(block[kDestination + 3]) - 1;
  const int us = static_cast<int>(hosts_.size()) - 1;
  if (to < 0 || to > us) return;
  const std::lock_guard lock(mutex_);
  const bool between_servers = from != us && to != us;
  const bool apart = between_servers && rules_.island.count(from) != rules_.island.count(to);
  if (apart || stream_.chance(static_cast<std::uint64_t>(rules_.lost_percent), 100)) {
    dropped_.fetch_add(1);
    return;
  }
  auto due = Clock::now();
  if (rules_.delay.count() > 0)
    due += rules_.delay +
           std::chrono::milliseconds(stream_.below(static_cast<std::uint64_t>(rules_.delay.count())));
  waiting_.emplace(due, std::pair(to, std::string(block.data(), static_cast<std::size_t>(n))));
}

void HostNetwork::deliver_due() {
  while (!waiting_.empty() && waiting_.begin()->first <= Clock::now()) {
    const auto& [to, packet] = waiting_.begin()->second;
    const int device = hosts_[static_cast<std::size_t>(to)].device;
    // What a device does not take is lost, as on any wire.
    (::write(device, packet.data(), packet.size()) < 0 ? dropped_ : carried_).fetch_add(1);
    waiting_.erase(waiting_.begin());
  }
}

}  // namespace touchstone::harness
