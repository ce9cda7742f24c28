#include "stress/chaos/crash_points.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/failure_report.h"

namespace touchstone::chaos {
namespace {

void describe_point(const std::string& point) {
  harness::describe_replay(harness::ReplayClass::crash_point, {{"crash-point", point}});
}

/// In seconds: of this process and of all the victims that it waited for.
double processor_time() {
  double seconds = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    for (const timeval& part : {used.ru_utime, used.ru_stime}) {
      seconds += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) / 1e6;
    }
  }
  return seconds;
}

}  // namespace

CrashPoints::CrashPoints() : processor_begin_(processor_time()) {
  const char* text = std::getenv("TOUCHSTONE_CRASH_POINT");
  if (text == nullptr) return;
  const char* const dot = std::strchr(text, '.');
  const auto number = [](const char* digits) {
    return static_cast<unsigned>(std::strtoul(digits, nullptr, 10));
  };
  only_ = Point{number(text), dot == nullptr ? 0 : number(dot + 1)};
}

unsigned CrashPoints::enumerate(const Victim& victim, const std::function<void()>& account) {
  for (unsigned point = only_ ? only_->first : 1;; ++point) {
    describe_point(std::to_string(point));
    Tracee tracee = Tracee::start(victim);
    unsigned stops = 0;
    while (stops < point && tracee.step()) ++stops;
    const bool reached = stops == point;
    const std::string where =
        reached ? "killed at stop " + std::to_string(point) + ", " + tracee.where() : "not killed";
    if (reached) ++kills_;
    tracee.kill();

    SCOPED_TRACE(where);
    account();
    if (!reached) {
      EXPECT_EQ(tracee.exit_code(), 0) << "the victim failed by itself";
    }
    if (!reached || only_ || testing::Test::HasFailure()) return stops;
  }
}

/// False when the victim makes fewer calls: then it ran to its end.
bool CrashPoints::kill_before_call(const Victim& victim, unsigned call, std::string& where) {
  Tracee tracee = Tracee::start(victim);
  for (unsigned stops = 1; tracee.step(); ++stops) {
    if (stops < 2 * call - 1) continue;  // entries and returns alternate
    where = tracee.where();
    tracee.kill();
    ++kills_;
    return true;
  }
  EXPECT_EQ(tracee.exit_code(), 0) << "the victim failed by itself";
  where = "not killed";
  return false;
}

void CrashPoints::enumerate_pairs(const Victim& first, const Victim& second,
                                  const std::function<void()>& account, unsigned stride) {
  bool first_killed = true;
  for (unsigned i = only_ ? only_->first : 1; first_killed; i += stride) {
    bool second_killed = true;
    for (unsigned j = only_ ? only_->second : 1; second_killed; ++j) {
      describe_point(std::to_string(i) + "." + std::to_string(j));
      std::string first_where;
      std::string second_where;
      first_killed = kill_before_call(first, i, first_where);
      second_killed = kill_before_call(second, j, second_where);
      SCOPED_TRACE("first " + first_where + ", second " + second_where);
      account();
      if (only_ || testing::Test::HasFailure()) return;
    }
  }
}

/// The rate by the clock depends on who else is at work on the machine; that by processor time much less.
void CrashPoints::print() const {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
  std::printf("%u kills, %.0f a second, %.0f a second of processor time\n", kills_, kills_ / took.count(),
              kills_ / (processor_time() - processor_begin_));
}

}  // namespace touchstone::chaos
