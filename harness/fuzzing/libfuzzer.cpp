#include "harness/fuzzing/libfuzzer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "harness/fuzzing/generate.h"

namespace touchstone::harness::fuzzing {

namespace {

constexpr std::string_view kUnits = "stat::number_of_executed_units:";

/// An interrupted one is interrupted, too: it ends with its numbers.
void run_to_its_end(std::vector<std::string> words, const std::filesystem::path& log,
                    const std::function<bool()>& interrupted) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(pointers.front(), pointers.data());
    ::_exit(127);
  }
  if (child < 0) return;
  int status = 0;
  for (bool told = false; ::waitpid(child, &status, WNOHANG) == 0;) {
    if (!told && interrupted && interrupted()) told = ::kill(child, SIGINT) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t units_in(const std::string& log) {
  const std::size_t at = log.rfind(kUnits);
  std::uint64_t units = 0;
  if (at == std::string::npos) return units;
  const std::size_t digits = log.find_first_not_of(' ', at + kUnits.size());
  if (digits != std::string::npos) std::from_chars(log.data() + digits, log.data() + log.size(), units);
  return units;
}

}  // namespace

LibFuzzerRun run_libfuzzer(const LibFuzzerPlan& plan) {
  std::filesystem::remove_all(plan.work);
  const auto fresh = plan.work / "fresh";
  std::filesystem::create_directories(fresh);
  std::vector<std::string> words = {
      plan.binary.string(),
      fmt::format("-max_total_time={}", plan.time.count()),
      fmt::format("-seed={}", static_cast<std::uint32_t>(plan.seed.value() | 1)),
      fmt::format("-artifact_prefix={}/", fresh.string()),
      "-print_final_stats=1",
      "-timeout=20",
      "-max_len=8192",
      fresh.string()};
  if (!plan.corpus.empty()) words.push_back(plan.corpus.string());
  run_to_its_end(std::move(words), plan.work / "log", plan.interrupted);
  LibFuzzerRun run;
  run.executions = units_in(contents(plan.work / "log"));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(fresh)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string bytes = contents(file);
    run.cases.push_back(decode({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
  }
  std::filesystem::remove_all(plan.work);
  return run;
}

}  // namespace touchstone::harness::fuzzing
