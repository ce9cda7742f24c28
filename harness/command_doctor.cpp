// touchstone doctor: what this machine gives, the engine's shared memory and the harness's experiments. What is missing
// is an expected skip of the tests that need it.

#include <fmt/format.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/protections.h"
#include "harness/commands.h"

namespace touchstone::harness {
namespace {

using engine::Protection;

struct Arguments {
  std::string directory = "/dev/shm";
  bool json = false;
};

/// Whether a child process can do it.
template <class Attempt>
bool child_can(Attempt attempt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attempt() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<Protection> find_facilities() {
  const auto facility = [](const char* name, bool present, const char* use) {
    return Protection{name, false, present, present ? use : fmt::format("missing: {}", use)};
  };
  return {
      facility("ptrace", child_can([] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }),
               "kills and schedules at system calls"),
      facility("user namespaces", child_can([] { return ::unshare(CLONE_NEWUSER) == 0; }),
               "the other namespaces without root"),
      facility("pid namespaces", child_can([] {
                 return ::unshare(CLONE_NEWPID) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0;
               }),
               "owners with one pid in two containers"),
      facility("mount namespaces", child_can([] {
                 return ::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
               }),
               "full memory without filling the machine's"),
  };
}

void print_table(const std::vector<Protection>& found) {
  for (const Protection& protection : found) {
    const char* mark = protection.present ? "yes" : (protection.required ? "NO" : "no");
    fmt::print("{:<18} {:<4} {}\n", protection.name, mark, protection.detail);
  }
}

void print_json(const std::vector<Protection>& found) {
  nlohmann::json all = nlohmann::json::array();
  for (const Protection& protection : found) {
    all.push_back({{"name", protection.name},
                   {"required", protection.required},
                   {"present", protection.present},
                   {"detail", protection.detail}});
  }
  fmt::print("{}\n", all.dump());
}

int run(const Arguments& arguments) {
  if (const auto directory = engine::SegmentDirectory::open(arguments.directory); !directory) {
    fmt::print(stderr, "touchstone doctor: {}\n", engine::describe(directory.error()));
    return kExitUsage;
  }
  std::vector<Protection> found = engine::find_protections(arguments.directory);
  for (Protection& facility : find_facilities()) found.push_back(std::move(facility));
  if (arguments.json) {
    print_json(found);
  } else {
    utsname kernel{};
    ::uname(&kernel);
    fmt::print("{} {} {}, shared memory in {}\n", kernel.sysname, kernel.release, kernel.machine,
               arguments.directory);
    print_table(found);
  }
  for (const Protection& protection : found) {
    if (protection.required && !protection.present) return 1;
  }
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("doctor", "Say which protections this machine gives");
  command->add_option("--directory", arguments->directory, "Where the names are")->capture_default_str();
  command->add_flag("--json", arguments->json, "A JSON array instead of a table");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
