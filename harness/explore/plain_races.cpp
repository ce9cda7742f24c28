#include "harness/explore/plain_races.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <regex>
#include <unordered_map>
#include <utility>

#include "harness/explore/scheduler.h"

extern "C" char __executable_start;  // of this binary in memory

namespace touchstone::harness::explore {

namespace {

struct Byte {
  ThreadId writer = kNoThread;
  std::uint32_t written = 0;
  const void* code_of_write = nullptr;
  std::uint32_t read_by = 0;  // threads, as bits
  std::array<std::uint32_t, kMaxThreads> read{};
  const void* code_of_read = nullptr;
};

/// P1's memory. Its own allocations are not the body's.
std::unordered_map<std::uintptr_t, Byte>& bytes() {
  static auto& all =
      *new std::unordered_map<std::uintptr_t, Byte>;  // outlives what is freed at the program's end
  return all;
}

constinit bool checking = false;
constinit bool busy = false;  // whatever the check calls may announce too

/// True while it lives if there is something to check; keeps what the check does away from the body, and from itself.
class Check {
 public:
  Check() : on_(checking && !busy && Scheduler::current() != nullptr && !Scheduler::in_predicate) {
    busy = busy || on_;
  }
  ~Check() { busy = busy && !on_; }
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  explicit operator bool() const { return on_; }

 private:
  const bool on_;
};

std::string offset_of(const void* code) {
  return fmt::format("+0x{:x}", static_cast<const char*>(code) - &__executable_start);
}

/// Empty, or what is wrong.
std::string access(Byte& byte, const Scheduler& scheduler, bool write, const void* code) {
  const ThreadId me = scheduler.self();
  const Clock& mine = scheduler.task(me).clock;
  if (byte.writer != kNoThread && byte.writer != me && !mine.covers(byte.writer, byte.written)) {
    return fmt::format("{} {} plain memory at {} that {} wrote at {}, and nothing orders the two",
                       scheduler.thread_name(me), write ? "writes" : "reads", offset_of(code),
                       scheduler.thread_name(byte.writer), offset_of(byte.code_of_write));
  }
  if (!write) {
    byte.read_by |= 1u << me;
    byte.read[me] = mine[me];
    byte.code_of_read = code;
    return "";
  }
  for (std::uint32_t rest = byte.read_by; rest != 0; rest &= rest - 1) {
    const auto reader = static_cast<ThreadId>(__builtin_ctz(rest));
    if (reader == me || mine.covers(reader, byte.read[reader])) continue;
    return fmt::format("{} writes plain memory at {} that {} read at {}, and nothing orders the two",
                       scheduler.thread_name(me), offset_of(code), scheduler.thread_name(reader),
                       offset_of(byte.code_of_read));
  }
  byte = Byte{.writer = me, .written = mine[me], .code_of_write = code};
  return "";
}

}  // namespace

Body race_checked(Body body) {
  return [body = std::move(body)] {
    {
      const InArena kept(nullptr);
      bytes().clear();
    }
    checking = true;
    body();
    checking = false;
  };
}

void plain_access(const void* address, std::size_t size, bool write, const void* code) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const Check check;
  if (!check || !Arena::covers(begin)) return;
  const InArena kept(nullptr);
  Scheduler& scheduler = *Scheduler::current();
  for (std::size_t i = 0; i < size; ++i) {
    const std::string race = access(bytes()[begin + i], scheduler, write, code);
    if (race.empty()) continue;
    scheduler.fail(FailureKind::race, race);
    return;
  }
}

void plain_memory_made(const void* address, std::size_t size) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const Check check;
  if (!check || !Arena::covers(begin)) return;
  const InArena kept(nullptr);
  for (std::size_t i = 0; i < size; ++i) bytes().erase(begin + i);
}

std::string code_place(const void* code) {
  char binary[4096] = {};
  if (::readlink("/proc/self/exe", binary, sizeof binary - 1) < 0) return "?";
  const std::string command = fmt::format("addr2line -i -e '{}' {:x}", binary,
                                          static_cast<const char*>(code) - &__executable_start - 1);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  char line[4096] = "?";
  while (output && std::fgets(line, sizeof line, output.get()) != nullptr) {
    if (std::strncmp(line, "/usr/", 5) != 0) break;
  }
  return line;
}

std::string where_of(const std::string& message) {
  std::string places;
  const std::regex offset(R"(\+0x([0-9a-f]+))");
  for (std::sregex_iterator at(message.begin(), message.end(), offset), end; at != end; ++at) {
    places += code_place(&__executable_start + std::strtoull((*at)[1].str().c_str(), nullptr, 16));
  }
  return places;
}

}  // namespace touchstone::harness::explore
