// The libFuzzer side of a target: an input that fails is printed as a person reads it, with the line that replays it, and aborts, so
// that libFuzzer keeps and shrinks it.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "fuzz/target.h"
#include "harness/failure_report.h"

namespace {

std::string hex(const std::uint8_t* data, std::size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[data[i] >> 4];
    text += kDigits[data[i] & 15];
  }
  return text;
}

/// The replayer lies beside this binary: build/fuzz/bin/conflict_fuzz_replay.
std::string replayer() {
  return touchstone::harness::path_of_this_binary() + "_replay";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  touchstone::harness::print_replay_line_on_death();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace touchstone;
  harness::announce_replay({harness::ReplayClass::exact,
                            harness::Seed(0),
                            harness::TestTarget{replayer(), "Fuzz.AcceptsTheSeededInputs"},
                            {{"input", hex(data, size)}}});
  const auto wrong = fuzz::judge_input({data, size});
  if (wrong) {
    std::fprintf(stderr, "%s: %s\n", fuzz::kTarget, wrong->c_str());
    harness::print_announced_replay();
    std::abort();
  }
  harness::withdraw_replay();
  return 0;
}
