#pragma once
// Hosts in network namespaces of their own, and the wire between them in this process's hands: partitions, delay and loss.
//
//   HostNetwork network(3, stream);                     // the calling thread is now on a host of its own: address(3)
//   start_etcd(directory, {{network.address(0), network.descriptor(0)}, ...});
//   network.isolate({0});                               // host 0 from everybody else
//   network.heal();
//
// Every host has one device (TUN), whose packets a thread of this process carries to the host that they are for, or not. So
// nothing needs a bridge, a packet filter or a kernel's traffic control, and nothing can leave these hosts. The namespaces
// end with their processes.
//
// Needs the rights to make namespaces and /dev/net/tun: NoNetwork says what is missing. Thread safety: made by the only thread
// of a process, which moves; the faults from any thread.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "harness/seed.h"

namespace touchstone::harness {

struct NoNetwork : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class HostNetwork {
 public:
  /// `hosts` for servers, and one more for this process.
  HostNetwork(int hosts, Stream stream);
  ~HostNetwork();
  HostNetwork(const HostNetwork&) = delete;
  HostNetwork& operator=(const HostNetwork&) = delete;

  static std::string address(int host) { return "10.77.0." + std::to_string(host + 1); }

  /// The namespace of a host: valid as long as this object.
  int descriptor(int host) const { return hosts_[static_cast<std::size_t>(host)].space; }

  /// These hosts reach one another and this process, and none of the other hosts.
  void isolate(const std::set<int>& some);

  /// Every packet waits this long and as much again at most, and this many of a hundred are lost.
  void disturb(std::chrono::milliseconds delay, int lost_percent);

  void heal();

  std::uint64_t carried() const { return carried_.load(); }
  std::uint64_t dropped() const { return dropped_.load(); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Host {
    int space = -1;
    int device = -1;
  };

  struct Rules {
    std::set<int> island;
    std::chrono::milliseconds delay{0};
    int lost_percent = 0;
  };

  Host make_host(int number);
  void carry();
  void take_packet(int from);
  void deliver_due();

  std::vector<Host> hosts_;
  Stream stream_;  ///< the carrying thread's
  std::mutex mutex_;
  Rules rules_;
  std::multimap<Clock::time_point, std::pair<int, std::string>> waiting_;  ///< the carrying thread's
  std::atomic<std::uint64_t> carried_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> end_{false};
  std::thread thread_;
};

}  // namespace touchstone::harness
