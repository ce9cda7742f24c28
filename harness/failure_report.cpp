#include "harness/failure_report.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

extern "C" {
// The sanitizers' runtimes define these; without a sanitizer the addresses are null.
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());  // NOLINT: their name
void __tsan_on_report(void* report);                                            // NOLINT: their name
}

namespace touchstone::harness {
namespace {

// What a signal handler may read: fixed memory, published by its length.
constexpr std::size_t kCapacity = 16 * 1024;
std::array<char, kCapacity> g_text;          // NOLINT(readability-identifier-naming)
std::atomic<std::size_t> g_length{0};        // NOLINT(readability-identifier-naming)
std::optional<ReplayLine> g_line;            // NOLINT(readability-identifier-naming)
std::array<char, 64 * 1024> g_signal_stack;  // NOLINT(readability-identifier-naming)

void publish() {
  g_length.store(0);
  const std::string text = fmt::format("replay: {}\n", to_text(*g_line, path_of_this_binary()));
  const std::size_t length = std::min(text.size(), kCapacity);
  std::memcpy(g_text.data(), text.data(), length);
  g_length.store(length);
}

void on_fatal_signal(int signal_number) {
  print_announced_replay();
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

}  // namespace

void announce_replay(const ReplayLine& line) {
  g_line = line;
  publish();
}

void describe_replay(ReplayClass replay_class, std::vector<ReplayOption> options) {
  if (!g_line) return;
  g_line->replay_class = replay_class;
  g_line->options = std::move(options);
  publish();
}

void withdraw_replay() {
  g_length.store(0);
  g_line.reset();
}

void print_announced_replay() noexcept {
  const std::size_t length = g_length.exchange(0);
  for (std::size_t done = 0; done < length;) {
    const ssize_t n = ::write(STDERR_FILENO, g_text.data() + done, length - done);
    if (n <= 0) return;
    done += static_cast<std::size_t>(n);
  }
}

void print_replay_line_on_death() {
  // On its own stack, because a stack overflow is a death too.
  stack_t stack{};
  stack.ss_sp = g_signal_stack.data();
  stack.ss_size = g_signal_stack.size();
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = on_fatal_signal;
  action.sa_flags = SA_ONSTACK;
  for (int signal_number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction old {};
    // A sanitizer that already handles a signal reports it itself, and then calls our callback.
    if (::sigaction(signal_number, nullptr, &old) == 0 && old.sa_handler == SIG_DFL)
      ::sigaction(signal_number, &action, nullptr);
  }
  if (__sanitizer_set_death_callback != nullptr)
    __sanitizer_set_death_callback(+[] { print_announced_replay(); });
}

std::string path_of_this_binary() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "unknown";
  const auto preset = path.parent_path().parent_path();  // .../build/<preset>/bin/<name>
  if (path.parent_path().filename() == "bin" && preset.parent_path().filename() == "build" &&
      std::filesystem::exists(preset.parent_path().parent_path() / "CMakePresets.json", error))
    return fmt::format("build/{}/bin/{}", preset.filename().string(), path.filename().string());
  return path.string();
}

std::string path_from_the_top(const std::string& file) {
  std::error_code unknown;
  const std::filesystem::path tool = path_of_this_binary();
  const bool at_the_top = std::filesystem::equivalent(tool, "/proc/self/exe", unknown);
  if (tool.is_absolute() || at_the_top) return file;
  const auto whole = std::filesystem::absolute(file, unknown);
  return unknown ? file
                 : whole.lexically_normal().string();  // the directory where this process works may be gone
}

}  // namespace touchstone::harness

void __tsan_on_report(void*) {
  touchstone::harness::print_announced_replay();
}
