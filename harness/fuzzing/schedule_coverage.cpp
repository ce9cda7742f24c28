#include "harness/fuzzing/schedule_coverage.h"

#include <algorithm>
#include <bit>

namespace touchstone::harness::fuzzing {

namespace {

using explore::Deviation;
using explore::Event;

enum class Class : std::uint64_t { race, switched, stale, fault, fared };

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15 + b;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Where in the program, and what. The end of a file's name tells engine files apart, and is the same in every process.
std::uint64_t place_of(const Event& event) {
  std::uint64_t place = event.site.line;
  if (event.site.file != nullptr) {
    std::uint64_t name = 0;
    for (const char* c = event.site.file; *c != 0; ++c) name = name << 8 | static_cast<unsigned char>(*c);
    place ^= name << 16;
  }
  return mix(place, static_cast<std::uint64_t>(event.kind) << 8 | static_cast<std::uint64_t>(event.access));
}

std::uint64_t bucket(std::uint64_t n) {
  return static_cast<std::uint64_t>(std::bit_width(n));
}

}  // namespace

void ScheduleCoverage::see(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  const auto at = static_cast<std::uint16_t>(mix(mix(a, b), c));
  if (times_[at] == 0) seen_.push_back(at);
  if (times_[at] != 255) ++times_[at];
}

std::span<const Feature> ScheduleCoverage::collect(const explore::Scheduler& scheduler,
                                                   const explore::ScenarioCounts& counts) {
  const std::vector<Event>& events = scheduler.events();
  const std::size_t decided = scheduler.decided_events();
  const auto kind = [](Class it) { return static_cast<std::uint64_t>(it) << 56; };
  for (std::size_t i = 1; i < decided; ++i) {
    const Event& now = events[i];
    const Event& last = events[i - 1];
    if (now.previous >= 0) {
      const Event& before = events[static_cast<std::size_t>(now.previous)];
      if (before.thread != now.thread && dependent(before.access, now.access))
        see(kind(Class::race), place_of(before), place_of(now));
    }
    if (last.thread != now.thread && last.slot != 0 && now.slot != 0 &&
        (last.access == explore::Access::write || now.access == explore::Access::write))
      see(kind(Class::switched), place_of(last), place_of(now));
    if (now.stale) see(kind(Class::stale), place_of(now), 0);
  }
  for (const Deviation& deviation : scheduler.deviations())
    if (deviation.what == explore::Choice::fault) see(kind(Class::fault), deviation.thread, deviation.pick);
  const std::array<std::uint64_t, 7> fared = {static_cast<std::uint64_t>(counts.most_conflicts),
                                              static_cast<std::uint64_t>(counts.most_attempts),
                                              static_cast<std::uint64_t>(counts.most_closings),
                                              bucket(counts.grants),
                                              bucket(counts.expiries),
                                              bucket(counts.busy),
                                              bucket(counts.restarts)};
  for (std::size_t i = 0; i < fared.size(); ++i) {
    see(kind(Class::fared), i, fared[i]);
    for (std::size_t j = 0; j < i; ++j) see(kind(Class::fared), i << 32 | fared[i], j << 32 | fared[j]);
  }
  features_.clear();
  for (const std::uint16_t at : seen_) {
    const auto often = static_cast<Feature>(std::bit_width(std::uint32_t{times_[at]}) - 1) / 2;
    features_.push_back(Feature{at} * 4 + often);
    times_[at] = 0;
  }
  seen_.clear();
  std::sort(features_.begin(), features_.end());
  return features_;
}

}  // namespace touchstone::harness::fuzzing
