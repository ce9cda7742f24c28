#pragma once
// A program of store operations: what the bytes of conflict_fuzz mean, and what its regressions are written in.
//
//   Program program = decode(bytes);
//   std::string text = to_text(program);                       // keep this, not the bytes
//   auto again = parse_program(text);                          // the Program, or what is wrong with the text
//
// One operation a line, '#' begins a comment:
//   store strict validate-reads no-ticket key-queue tired  # the first line; every word after `store` is optional
//   cas 1 back 2 set a.b 7 erase e reads g         # worker 1 commits from two versions ago
//   cas 0 ahead 1 set a {x:1}                      # from a version that does not exist yet
//   execute 2 add a.b 7 set e "text" copy a g      # a body
//   snapshot   release 0   give-back 1   replace 1   reclaim   read a..b
//
// Paths and values are words from two small tables, so that operations meet; `<empty>`, `<longest>` and `<too-long>` name paths
// that a line cannot hold. Values; any thread.

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/store_spec.h"

namespace touchstone::fuzz {

inline constexpr int kWorkers = 4;

/// The paths and values that programs are made of, by their words.
const std::vector<std::pair<std::string, std::string>>& paths();
inline constexpr std::size_t kGoodPaths = 11;  ///< the first ones: those that a body may copy from and to
const std::vector<std::pair<std::string, model::Subtree>>& values();

struct Step {
  enum class Kind : std::uint8_t { set, erase, add, copy, reads };
  Kind kind;
  std::size_t path;       ///< into paths()
  std::size_t other = 0;  ///< set, add: into values(); copy: the path to copy to
};

struct Operation {
  enum class Kind : std::uint8_t { cas, execute, snapshot, release, give_back, replace, reclaim, read };
  Kind kind;
  int worker = 0;
  int distance =
      0;  ///< of the expected version: backwards if positive, ahead if negative; release: which snapshot
  std::vector<Step> steps;
};

struct Program {
  bool strict = false;
  bool validate_reads = false;
  bool ticket = true;
  bool key_queue = false;  ///< in place of the ticket
  bool tired = false;      ///< every worker begins one conflict short of the ticket
  std::vector<Operation> operations;
};

Program decode(std::span<const std::uint8_t> input);
std::string to_text(const Program& program);

struct ParseError {
  std::size_t line;
  std::string what;
};
std::variant<Program, ParseError> parse_program(const std::string& text);

}  // namespace touchstone::fuzz
