#pragma once
// A directory of its own in /dev/shm for one round of a claim about shared memory.
//
//   Directory directory(run);
//   auto owner = need(SegmentOwner::open(directory.options()));
//   ...; run.require(directory.names() == 0, "{} names are left", directory.names());
//
// Thread safety: one thread. A failed need() or require_joined() is a violation.

#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/segments/attachment.h"
#include "engine/segments/owner.h"
#include "engine/segments/reaper.h"
#include "harness/claim.h"
#include "harness/isolated.h"
#include "stress/chaos/child.h"

namespace touchstone::stress {

class Directory {
 public:
  explicit Directory(harness::ClaimRun& run) : run_(&run) {
    const char* const scratch =
        std::getenv(harness::kScratchVariable);  // its owner removes it if this process cannot
    std::string pattern = std::string(scratch != nullptr ? scratch : "/dev/shm") + "/touchstone-claim-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw harness::ClaimInconclusive("no directory in /dev/shm can be made");
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool has(std::string_view name) const { return std::filesystem::exists(file(std::string(name))); }

  std::size_t names() const {
    const std::filesystem::directory_iterator all(path_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  /// What a start would do here; counted for the report's picture, but in a forked child.
  engine::ReapReport reap() const {
    using engine::ReapVerdict;
    engine::ReapOptions options;
    options.directory = path_;
    engine::ReapReport found = engine::reap(options);
    for (const ReapVerdict verdict :
         {ReapVerdict::removed, ReapVerdict::live, ReapVerdict::foreign, ReapVerdict::failed})
      count(std::string(name_of(verdict)), found.count(verdict));
    return found;
  }

  engine::SegmentOwner::Options options(const std::string& session = "s") const {
    return {.session = session, .directory = path_};
  }

 private:
  void count(const std::string& name, std::uint64_t more) const {
    auto& all = run_->figures().counts;
    if (all.empty()) all.push_back({"What reapers found, by group of segments", {}});
    auto& counts = all.front().counts;
    const auto known = std::find_if(counts.begin(), counts.end(), [&](auto& it) { return it.first == name; });
    if (known != counts.end()) {
      known->second += more;
    } else {
      counts.emplace_back(name, more);
    }
  }

  harness::ClaimRun* run_;
  std::string path_;
};

inline std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <class T>
T need(engine::SegmentResult<T> result) {
  if (!result) throw harness::ClaimViolated(describe(result.error()));
  return std::move(*result);
}

inline void require_joined(const harness::ClaimRun& run, chaos::Child& child, std::string_view who) {
  const std::string report = child.join();
  run.require(report.empty(), "{}: {}", who, report);
}

}  // namespace touchstone::stress
