#pragma once
// The directory that explains one run: what was asked, what was scheduled, what was seen, and how to do it again.
//
//   Artifact artifact("touchstone-out/A1");
//   artifact.write("scenario.txt", describe(workload));
//
// Files by convention: replay.txt (the line), scenario.txt, schedule.txt, history.jsonl, trace.txt. A file is written
// whole or not at all: under another name, then renamed. What is there and no file (a device, a pipe, a link) stays, and is written into.
//
// Thread safety: one thread. Errors: std::filesystem::filesystem_error or std::runtime_error with the path.

#include <filesystem>
#include <string_view>

namespace touchstone::harness {

class Artifact {
 public:
  /// Makes the directory at the first write.
  explicit Artifact(std::filesystem::path directory) : directory_(std::move(directory)) {}

  const std::filesystem::path& directory() const { return directory_; }

  void write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace touchstone::harness
