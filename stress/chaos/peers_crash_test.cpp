// The same killer against what people use instead. Its finds there are known from their issue trackers: a killer that
// did not find them could not be believed when it finds nothing here.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>

#include "stress/chaos/crash_points.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

namespace ipc = boost::interprocess;

class PeersTest : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
  }

  struct Outcome {
    unsigned points = 0;
    unsigned bad = 0;
  };

  /// Kills `victim` at each of its stops and asks after each kill whether something bad is left.
  static Outcome kill_everywhere(const Victim& victim, const std::function<bool()>& is_bad) {
    Outcome outcome;
    CrashPoints points;
    points.enumerate(victim, [&] { outcome.bad += is_bad() ? 1 : 0; });
    outcome.points = points.kills();
    return outcome;
  }
};

/// A segment is made, then written down in a file that the next start reads. What dies in between is in no registry,
/// and its name says nothing of whose it is. Three segments, made and given back in order.
TEST_F(PeersTest, ARegistryWrittenAfterCreationLeaks) {
  const std::string registry = path("registry");
  const auto make = [&](const std::string& name) {
    const int fd = ::open(path(name).c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    const bool made = ::ftruncate(fd, 4096) == 0;
    ::close(fd);
    const int list = ::open(registry.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    const std::string line = name + "\n";
    const bool noted = ::write(list, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    ::close(list);
    return made && noted;
  };
  const auto live_and_die = [&] {
    for (const char* name : {"one", "two", "three"}) {
      if (!make(name)) return 1;
    }
    for (const char* name : {"one", "two", "three"}) ::unlink(path(name).c_str());
    return ::unlink(registry.c_str());
  };
  const auto leaks = [&] {
    std::ifstream list(registry);
    for (std::string name; std::getline(list, name);) remove(name);  // the next start
    remove("registry");
    const bool left = !engine::files_in(directory()).empty();
    for (const std::string& name : engine::files_in(directory())) remove(name);
    return left;
  };
  const Outcome outcome = kill_everywhere({.act = live_and_die}, leaks);
  std::printf("registry after creation: leaks at %u of %u kill points\n", outcome.bad, outcome.points);
  EXPECT_GT(outcome.bad, 0u);
  EXPECT_LT(outcome.bad, outcome.points);
}

/// The creator of a managed segment dies before it wrote the word that says "initialized": whoever opens it next waits
/// for that word. A hang is seen without a clock: an open that comes back makes a few dozen stops.
TEST_F(PeersTest, AManagedSharedMemoryCanHangTheNextOpen) {
  constexpr unsigned kManyStops = 200;
  const std::string name = "touchstone-peer-" + std::to_string(::getpid());
  const Victim opener{.act = [&] {
    ipc::managed_shared_memory memory(ipc::open_or_create, name.c_str(), 65'536);
    return memory.check_sanity() ? 0 : 1;
  }};
  const auto hangs = [&] {
    Tracee next = Tracee::start(opener);
    unsigned stops = 0;
    while (stops < kManyStops && next.step()) ++stops;
    next.kill();
    ::shm_unlink(name.c_str());
    return stops == kManyStops;
  };
  const Outcome outcome = kill_everywhere(opener, hangs);
  std::printf("managed_shared_memory of Boost %s: the next open hangs after %u of %u kill points\n",
              BOOST_LIB_VERSION, outcome.bad, outcome.points);
  if (BOOST_VERSION < 107800) {  // later ones give up after a while
    EXPECT_GT(outcome.bad, 0u);
  }
}

}  // namespace
}  // namespace touchstone::chaos
