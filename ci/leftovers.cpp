// leftovers: finds what a test run leaves on the machine.
//
//   leftovers mark STATE TMPDIR [DIR...]     before the run: notes what is there
//   leftovers check STATE TMPDIR [DIR...]    after it: names every new segment, process or file; exits 1 if
//   any
//
// A segment is a name in /dev/shm that begins with "theus:", or a test's directory there ("touchstone"). A process is one whose environment has this
// TMPDIR, the checker and its ancestors apart. A file is anything new in TMPDIR (which it makes) or directly
// in a DIR. What is still ending gets ten seconds to be gone, because a killed process is reaped by somebody
// else.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Things = std::set<std::string>;

void add_entries(Things& things, std::string_view kind, const fs::path& directory,
                 std::string_view prefix = "") {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.substr(0, prefix.size()) == prefix)
      things.insert(std::string(kind) + " " + entry.path().string());
  }
}

std::string whole_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The parent's pid: the second field behind the last ')' of /proc/PID/stat.
std::string parent_of(const std::string& pid) {
  const std::string stat = whole_file("/proc/" + pid + "/stat");
  const auto end = stat.rfind(')');
  if (end == std::string::npos) return "";
  std::istringstream fields(stat.substr(end + 1));
  std::string state, parent;
  fields >> state >> parent;
  return parent;
}

std::set<std::string> this_process_and_its_ancestors() {
  std::set<std::string> line;
  for (std::string pid = std::to_string(::getpid()); !pid.empty() && pid != "0" && line.insert(pid).second;)
    pid = parent_of(pid);
  return line;
}

void add_processes(Things& things, const std::string& temporary) {
  const auto own = this_process_and_its_ancestors();
  const std::string mark = std::string(1, '\0') + "TMPDIR=" + temporary + std::string(1, '\0');
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos || own.count(pid) != 0) continue;
    const std::string environment = std::string(1, '\0') + whole_file(entry.path() / "environ");
    if (environment.find(mark) == std::string::npos) continue;
    std::string command = whole_file(entry.path() / "cmdline");
    std::replace(command.begin(), command.end(), '\0', ' ');
    things.insert("process " + pid + " " + command);
  }
}

Things look(const std::string& temporary, const std::vector<std::string>& directories) {
  Things things;
  add_entries(things, "segment", "/dev/shm", "theus:");
  add_entries(things, "segment", "/dev/shm", "touchstone");
  add_entries(things, "file", temporary);
  for (const auto& directory : directories) add_entries(things, "file", directory);
  add_processes(things, temporary);
  return things;
}

int mark(const fs::path& state, const Things& things) {
  std::ofstream out(state);
  for (const auto& thing : things) out << thing << '\n';
  if (out.flush()) return 0;
  std::fprintf(stderr, "leftovers: cannot write %s\n", state.c_str());
  return 70;
}

Things read_mark(const fs::path& state) {
  Things things;
  std::ifstream in(state);
  for (std::string line; std::getline(in, line);) things.insert(line);
  return things;
}

template <class Look>
int check(const Things& before, int most_tries, Look look_again) {
  Things fresh;
  for (int tries = 0; tries < most_tries; ++tries) {
    const Things now = look_again();
    Things still;
    for (const auto& thing : now)
      if (before.count(thing) == 0 && (tries == 0 || fresh.count(thing) != 0)) still.insert(thing);
    fresh = std::move(still);
    if (fresh.empty()) return 0;
    if (tries + 1 < most_tries) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (const auto& thing : fresh) std::printf("left behind: %s\n", thing.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string verb = arguments.empty() ? "" : arguments[0];
  if (arguments.size() < 3 || (verb != "mark" && verb != "check" && verb != "check-at-once")) {
    std::fputs("usage: leftovers mark|check|check-at-once STATE TMPDIR [DIR...]\n", stderr);
    return 64;
  }
  const fs::path state = arguments[1];
  const std::string temporary = arguments[2];
  const std::vector<std::string> directories(arguments.begin() + 3, arguments.end());
  std::error_code error;
  fs::create_directories(temporary, error);
  if (verb == "mark") return mark(state, look(temporary, directories));
  if (!fs::exists(state)) {
    std::fprintf(stderr, "leftovers: %s does not exist: mark comes before check\n", state.c_str());
    return 64;
  }
  const int most_tries = verb == "check" ? 100 : 1;
  return check(read_mark(state), most_tries, [&] { return look(temporary, directories); });
}
