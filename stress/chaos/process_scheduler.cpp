#include "stress/chaos/process_scheduler.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "harness/failure_report.h"

namespace touchstone::chaos {
namespace {

/// Wide enough for "unlinkat ~ctl = 0", narrow enough for three processes on a screen.
constexpr std::size_t kColumn = 30;

bool contains(const std::vector<unsigned>& processes, unsigned process) {
  return std::find(processes.begin(), processes.end(), process) != processes.end();
}

/// The key of a segment's name, or the whole path of anything else.
std::string shown_path(const std::string& path) {
  const std::size_t name = path.find("theus:");
  if (name == std::string::npos) return path;
  std::size_t at = name;
  for (int colons = 0; colons < 3 && at != std::string::npos; ++colons) at = path.find(':', at) + 1;
  return path.substr(at);
}

std::string shown_result(std::int64_t result) {
  if (result >= 0 || result < -4095) return std::to_string(result);
  const char* const name = ::strerrorname_np(static_cast<int>(-result));
  return name == nullptr ? std::to_string(result) : name;
}

}  // namespace

/// A process under way, at a scheduling point or parked.
struct ProcessScheduler::Running {
  Tracee tracee;
  std::set<std::uint64_t> locked;  ///< descriptors that it asked a lock for: closing one is visible
  bool at_point = false;
  bool about_to_sleep = false;
  std::string point;

  bool notice(const SystemCall& call);
  bool notice_path(const SystemCall& call, std::size_t argument);
  bool holds_lock(std::uint64_t fd) const;
};

/// True when the call names a file that others can see.
bool ProcessScheduler::Running::notice_path(const SystemCall& call, std::size_t argument) {
  const std::string path = tracee.text_at(call.arguments[argument]);
  point += " " + shown_path(path);
  return !path.empty() && !path.starts_with("/proc/");
}

/// Also a lock that it took before its first stop.
bool ProcessScheduler::Running::holds_lock(std::uint64_t fd) const {
  if (locked.count(fd) != 0) return true;
  std::error_code error;
  const std::string link = "/proc/" + std::to_string(tracee.pid()) + "/fd/" + std::to_string(fd);
  return std::filesystem::read_symlink(link, error).string().find(":~ctl") != std::string::npos;
}

/// True when the call is a scheduling point (K1).
bool ProcessScheduler::Running::notice(const SystemCall& call) {
  about_to_sleep = call.number == SYS_clock_nanosleep;
  point = name_of_call(call.number);
  switch (call.number) {
    case SYS_openat:
      if ((call.arguments[2] & O_DIRECTORY) != 0) return false;  // also O_TMPFILE: nobody sees either
      return notice_path(call, 1);
    case SYS_newfstatat:
    case SYS_unlinkat:
      return notice_path(call, 1);
    case SYS_linkat:
    case SYS_renameat:
      return notice_path(call, 3);
    case SYS_flock:
      locked.insert(call.arguments[0]);
      return true;
    case SYS_close: {
      const bool releases = holds_lock(call.arguments[0]);
      locked.erase(call.arguments[0]);
      return releases;
    }
    case SYS_getdents64:
    case SYS_clock_nanosleep:
      return true;
    default:
      return false;
  }
}

std::optional<Schedule> Schedule::parse(const std::string& text) {
  Schedule schedule;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    Deviation deviation;
    deviation.step = static_cast<unsigned>(std::strtoul(at, &end, 10));
    if (end == at || *end != ':') return std::nullopt;
    at = end + 1;
    deviation.process = static_cast<unsigned>(std::strtoul(at, &end, 10));
    if (end == at || (*end != '.' && *end != '\0')) return std::nullopt;
    schedule.deviations.push_back(deviation);
    at = *end == '.' ? end + 1 : end;
  }
  return schedule;
}

std::string Schedule::text() const {
  std::string text;
  for (const Deviation& deviation : deviations) {
    if (!text.empty()) text += ".";
    text += std::to_string(deviation.step) + ":" + std::to_string(deviation.process);
  }
  return text;
}

ProcessScheduler::Audience ProcessScheduler::a_test() {
  return {[](const Schedule& schedule) {
            harness::describe_replay(harness::ReplayClass::exact, {{"schedule", schedule.text()}});
          },
          [](const std::string& complaint) { ADD_FAILURE() << complaint; }};
}

ProcessScheduler::ProcessScheduler(std::vector<ScheduledProcess> processes, Audience audience)
    : processes_(std::move(processes)), audience_(std::move(audience)) {}

/// To the process's next scheduling point. False when it parked or ended.
bool ProcessScheduler::advance(Running& running) {
  running.at_point = false;
  while (running.tracee.step()) {
    const SystemCall call = running.tracee.call();
    if (call.entering && running.notice(call)) return running.at_point = true;
  }
  running.about_to_sleep = false;
  return false;
}

/// Through the call at which the process stands, to its next point.
void ProcessScheduler::step(Running& running, unsigned process) {
  std::string text = running.point;
  if (running.tracee.step()) text += " = " + shown_result(running.tracee.call().result);
  trace_.push_back(Event{process, std::move(text)});
  if (!running.tracee.ended() && !running.tracee.parked()) advance(running);
}

void ProcessScheduler::execute(const Chooser& choose) {
  trace_.clear();
  choices_.clear();
  exit_codes_.clear();
  std::vector<Running> running;
  for (const ScheduledProcess& process : processes_) {
    const auto act = [&process] {
      process.act();
      Tracee::park();
      return process.conclude();
    };
    running.push_back(Running{Tracee::start({.prepare = process.prepare, .act = act}), {}, false, false, ""});
  }
  for (Running& process : running) advance(process);

  unsigned current = 0;
  for (unsigned number = 0;; ++number) {
    Choice choice;
    for (unsigned p = 0; p < running.size(); ++p) {
      if (running[p].at_point) choice.enabled.push_back(p);
    }
    if (choice.enabled.empty()) break;
    const bool goes_on = running[current].at_point && !running[current].about_to_sleep;
    unsigned by_default = current;
    if (!goes_on) {  // the next one in order that can run, itself last
      do by_default = (by_default + 1) % static_cast<unsigned>(running.size());
      while (!running[by_default].at_point);
    }
    choice.is_free = !goes_on || number == 0;
    choice.taken = current = choose(number, by_default, choice.enabled);
    choices_.push_back(choice);
    step(running[current], current);
  }
  for (Running& process : running) {
    process.tracee.finish();
    exit_codes_.push_back(process.tracee.exit_code());
  }
}

void ProcessScheduler::run(const Schedule& schedule, const Check& before, const Check& after) {
  before();
  std::size_t next = 0;
  execute([&](unsigned step, unsigned by_default, const std::vector<unsigned>& enabled) {
    if (next == schedule.deviations.size() || schedule.deviations[next].step != step) return by_default;
    const unsigned process = schedule.deviations[next++].process;
    if (!contains(enabled, process)) {  // K4
      throw std::runtime_error("the schedule " + schedule.text() + " does not fit: at step " +
                               std::to_string(step) + " process " + std::to_string(process) + " cannot run");
    }
    return process;
  });
  if (next != schedule.deviations.size()) {
    throw std::runtime_error("the schedule " + schedule.text() + " does not fit: there are only " +
                             std::to_string(choices_.size()) + " steps");
  }
  judge(schedule, after);
}

void ProcessScheduler::judge(const Schedule& schedule, const Check& after) {
  audience_.about_to_judge(schedule);
  after();
  for (std::size_t p = 0; p < exit_codes_.size(); ++p) {
    if (exit_codes_[p] == 0) continue;
    const std::string end = exit_codes_[p] ? "with " + std::to_string(*exit_codes_[p]) : "by a signal";
    audience_.a_process_complained("process " + processes_[p].name + " ended " + end);
  }
  if (testing::Test::HasFailure()) {
    ADD_FAILURE() << "schedule \"" << schedule.text() << "\"\n" << drawn_trace();
  }
}

unsigned ProcessScheduler::explore(unsigned bound, const Check& before, const Check& after) {
  struct Pending {
    Schedule schedule;
    unsigned preemptions = 0;
  };
  if (const char* text = std::getenv("TOUCHSTONE_SCHEDULE")) {
    const auto only = Schedule::parse(text);
    if (!only) throw std::runtime_error("TOUCHSTONE_SCHEDULE is no schedule: " + std::string(text));
    run(*only, before, after);
    std::printf("%s", drawn_trace().c_str());
    return 1;
  }
  unsigned count = 0;
  std::vector<Pending> pending{{}};
  while (!pending.empty() && !testing::Test::HasFailure()) {
    const Pending current = std::move(pending.back());
    pending.pop_back();
    run(current.schedule, before, after);
    ++count;
    const auto& deviations = current.schedule.deviations;
    const unsigned first = deviations.empty() ? 0 : deviations.back().step + 1;
    for (unsigned step = first; step < choices_.size(); ++step) {
      const Choice& choice = choices_[step];
      const unsigned preemptions = current.preemptions + (choice.is_free ? 0 : 1);
      if (preemptions > bound) continue;
      for (unsigned process : choice.enabled) {
        if (process == choice.taken) continue;
        Pending deeper{current.schedule, preemptions};
        deeper.schedule.deviations.push_back({step, process});
        pending.push_back(std::move(deeper));
      }
    }
  }
  return count;
}

unsigned ProcessScheduler::sample(unsigned count, harness::Stream stream, const Check& before,
                                  const Check& after) {
  for (unsigned ran = 0; ran < count; ++ran) {
    if (testing::Test::HasFailure()) return ran;
    before();
    Schedule schedule;
    execute([&](unsigned step, unsigned by_default, const std::vector<unsigned>& enabled) {
      const unsigned process = stream.chance(1, 3) ? stream.pick(enabled) : by_default;
      if (process != by_default) schedule.deviations.push_back({step, process});
      return process;
    });
    judge(schedule, after);
  }
  return count;
}

std::string ProcessScheduler::drawn_trace() const {
  const auto cell = [](std::string text) {
    text.resize(std::max(text.size() + 1, kColumn), ' ');
    return text;
  };
  std::string drawn = "step  ";
  for (const ScheduledProcess& process : processes_) drawn += cell(process.name);
  for (std::size_t i = 0; i < trace_.size(); ++i) {
    std::string number = std::to_string(i);
    number.resize(6, ' ');
    drawn += "\n" + number;
    for (unsigned p = 0; p < trace_[i].process; ++p) drawn += cell("");
    drawn += trace_[i].text;
  }
  return drawn + "\n";
}

}  // namespace touchstone::chaos
