#pragma once
// What a fuzz target gives to the two programs that drive it: libFuzzer (libfuzzer_entry.cpp) and the replayer of corpus,
// regressions and seeded inputs (driver_test.cpp). Each is linked with exactly one target.
//
//   if (auto wrong = judge_input(bytes)) report(*wrong);      // any bytes are an input
//   if (auto wrong = judge_text(text)) report(*wrong);        // a regression: a program that a person can read
//
// Rules: F1 the verdict is a function of the input alone, so an input replays exactly. F2 a malformed text is a failure that says
// where. Both are called from one thread at a time.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace touchstone::fuzz {

/// The name of the target: of its corpus, its regressions and its binaries.
extern const char* const kTarget;

/// What is wrong, with the input as a person reads it; or nothing.
std::optional<std::string> judge_input(std::span<const std::uint8_t> input);
std::optional<std::string> judge_text(const std::string& text);

}  // namespace touchstone::fuzz
