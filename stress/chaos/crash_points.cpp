#include "stress/chaos/crash_points.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "harness/failure_report.h"
#include "stress/chaos/tracee.h"

namespace touchstone::chaos {

CrashPoints::CrashPoints() {
  if (const char* text = std::getenv("TOUCHSTONE_CRASH_POINT")) {
    only_ = static_cast<unsigned>(std::strtoul(text, nullptr, 10));
  }
}

unsigned CrashPoints::enumerate(const std::function<int()>& victim, const std::function<void()>& account) {
  for (unsigned point = only_.value_or(1);; ++point) {
    harness::describe_replay(harness::ReplayClass::crash_point, {{"crash-point", std::to_string(point)}});
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

}  // namespace touchstone::chaos
