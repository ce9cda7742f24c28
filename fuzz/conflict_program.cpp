#include "fuzz/conflict_program.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <sstream>

#include "fuzz/input_reader.h"

namespace touchstone::fuzz {
namespace {

constexpr std::size_t kMostOperations = 200;
constexpr std::size_t kMostSteps = 6;

using Kind = Operation::Kind;

constexpr std::array<const char*, 8> kOperationWords = {"cas",       "execute", "snapshot", "release",
                                                        "give-back", "replace", "reclaim",  "read"};
constexpr std::array<const char*, 5> kStepWords = {"set", "erase", "add", "copy", "reads"};

model::Subtree scalar(model::Scalar value) {
  return {{"", std::move(value)}};
}

Step decode_step(InputReader& reader, bool body) {
  // A commit by hand may say what it read; a body computes.
  const std::array<Step::Kind, 5> by_hand = {Step::Kind::set, Step::Kind::set, Step::Kind::set,
                                             Step::Kind::erase, Step::Kind::reads};
  const std::array<Step::Kind, 5> in_body = {Step::Kind::set, Step::Kind::set, Step::Kind::add,
                                             Step::Kind::erase, Step::Kind::copy};
  Step step{(body ? in_body : by_hand)[reader.below(5)], reader.below(paths().size())};
  if (step.kind == Step::Kind::copy) step.path %= kGoodPaths;
  if (step.kind == Step::Kind::set || step.kind == Step::Kind::add)
    step.other = reader.below(values().size());
  if (step.kind == Step::Kind::copy) step.other = reader.below(kGoodPaths);
  return step;
}

Operation decode_operation(InputReader& reader) {
  // Commits are what matters: most bytes mean one.
  static constexpr std::array<Kind, 16> kKinds = {
      Kind::cas,       Kind::cas,     Kind::cas,     Kind::cas,     Kind::cas,      Kind::cas,
      Kind::cas,       Kind::execute, Kind::execute, Kind::execute, Kind::snapshot, Kind::release,
      Kind::give_back, Kind::replace, Kind::reclaim, Kind::read};
  Operation operation{kKinds[reader.below(kKinds.size())], static_cast<int>(reader.below(kWorkers)), 0, {}};
  if (operation.kind == Kind::cas) operation.distance = static_cast<int>(reader.below(8)) - 1;
  if (operation.kind == Kind::release) operation.distance = static_cast<int>(reader.below(4));
  if (operation.kind == Kind::read) operation.steps = {{Step::Kind::reads, reader.below(paths().size())}};
  if (operation.kind == Kind::cas || operation.kind == Kind::execute) {
    for (std::size_t left = reader.below(kMostSteps); left > 0; --left) {
      operation.steps.push_back(decode_step(reader, operation.kind == Kind::execute));
    }
  }
  return operation;
}

template <class Table>
std::optional<std::size_t> index_of(const Table& table, const std::string& word) {
  const auto entry =
      std::find_if(table.begin(), table.end(), [&](const auto& it) { return it.first == word; });
  if (entry == table.end()) return std::nullopt;
  return static_cast<std::size_t>(entry - table.begin());
}

template <class Words>
std::optional<std::size_t> number_of(const Words& words, const std::string& word) {
  const auto entry = std::find(words.begin(), words.end(), word);
  if (entry == words.end()) return std::nullopt;
  return static_cast<std::size_t>(entry - words.begin());
}

/// One line of a program. Throws std::string with what is wrong.
class LineParser {
 public:
  explicit LineParser(const std::string& line) : words_(line.substr(0, line.find('#'))) { next(); }

  bool empty() const { return word_.empty(); }

  void options(Program& program) {
    for (next(); !empty(); next()) {
      if (word_ == "strict") {
        program.strict = true;
      } else if (word_ == "validate-reads") {
        program.validate_reads = true;
      } else if (word_ == "no-ticket") {
        program.ticket = false;
      } else if (word_ == "key-queue") {
        program.key_queue = true;
      } else if (word_ == "tired") {
        program.tired = true;
      } else {
        throw "unknown option " + word_;
      }
    }
  }

  bool begins_with(const std::string& word) const { return word_ == word; }

  Operation operation() {
    const auto kind = number_of(kOperationWords, word_);
    if (!kind) throw "unknown operation " + word_;
    Operation operation{static_cast<Kind>(*kind), 0, 0, {}};
    next();
    switch (operation.kind) {
      case Kind::cas:
        operation.worker = number(kWorkers);
        operation.distance = distance();
        break;
      case Kind::execute:
      case Kind::give_back:
      case Kind::replace:
        operation.worker = number(kWorkers);
        break;
      case Kind::release:
        operation.distance = number(1'000);
        break;
      case Kind::read:
        operation.steps.push_back({Step::Kind::reads, take(paths())});
        break;
      case Kind::snapshot:
      case Kind::reclaim:
        break;
    }
    while (!empty()) operation.steps.push_back(step());
    return operation;
  }

 private:
  Step step() {
    const auto kind = number_of(kStepWords, word_);
    if (!kind) throw "unknown step " + word_;
    next();
    Step step{static_cast<Step::Kind>(*kind), take(paths())};
    if (step.kind == Step::Kind::set || step.kind == Step::Kind::add) step.other = take(values());
    if (step.kind != Step::Kind::copy) return step;
    step.other = take(paths());
    if (std::max(step.path, step.other) >= kGoodPaths) throw std::string("a malformed path cannot be copied");
    return step;
  }

  int distance() {
    const bool back = word_ == "back";
    if (!back && word_ != "ahead") throw "back or ahead is missing before " + word_;
    next();
    const int n = number(1'000'000);
    return back ? n : -n;
  }

  int number(int bound) {
    if (empty() || word_.find_first_not_of("0123456789") != std::string::npos || word_.size() > 7 ||
        std::stoi(word_) >= bound) {
      throw "not a number below " + std::to_string(bound) + ": " + word_;
    }
    const int n = std::stoi(word_);
    next();
    return n;
  }

  template <class Table>
  std::size_t take(const Table& table) {
    const auto index = index_of(table, word_);
    if (!index) throw "not in the table: " + word_;
    next();
    return *index;
  }

  void next() {
    word_.clear();
    words_ >> word_;
  }

  std::istringstream words_;
  std::string word_;
};

std::string text_of(const Operation& operation) {
  std::string text = kOperationWords[static_cast<std::size_t>(operation.kind)];
  const auto say = [&text](const auto& word) { (text += ' ') += word; };
  switch (operation.kind) {
    case Kind::cas:
      say(std::to_string(operation.worker));
      say(operation.distance < 0 ? "ahead" : "back");
      say(std::to_string(std::abs(operation.distance)));
      break;
    case Kind::execute:
    case Kind::give_back:
    case Kind::replace:
      say(std::to_string(operation.worker));
      break;
    case Kind::release:
      say(std::to_string(operation.distance));
      break;
    case Kind::read:
      say(paths()[operation.steps.front().path].first);
      return text;
    case Kind::snapshot:
    case Kind::reclaim:
      return text;
  }
  for (const Step& step : operation.steps) {
    say(kStepWords[static_cast<std::size_t>(step.kind)]);
    say(paths()[step.path].first);
    if (step.kind == Step::Kind::set || step.kind == Step::Kind::add) say(values()[step.other].first);
    if (step.kind == Step::Kind::copy) say(paths()[step.other].first);
  }
  return text;
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& paths() {
  static const std::vector<std::pair<std::string, std::string>> table = {
      {"a", "a"},
      {"a.b", "a.b"},
      {"a.b.c", "a.b.c"},
      {"a.b.c.d", "a.b.c.d"},
      {"a.d", "a.d"},
      {"a.x", "a.x"},
      {"a.x.y", "a.x.y"},
      {"e", "e"},
      {"e.f", "e.f"},
      {"g", "g"},
      {"ab", "ab"},
      {"a..b", "a..b"},
      {".a", ".a"},
      {"a.", "a."},
      {"<empty>", ""},
      {"<longest>", "g." + std::string(1022, 'l')},
      {"<too-long>", "g." + std::string(1023, 'l')}};
  return table;
}

const std::vector<std::pair<std::string, model::Subtree>>& values() {
  static const std::vector<std::pair<std::string, model::Subtree>> table = {
      {"0", scalar(std::int64_t{0})},
      {"7", scalar(std::int64_t{7})},
      {"-1", scalar(std::int64_t{-1})},
      {"most", scalar(std::numeric_limits<std::int64_t>::max())},
      {"true", scalar(true)},
      {"false", scalar(false)},
      {"0.5", scalar(0.5)},
      {"-0.0", scalar(-0.0)},
      {"nan", scalar(std::numeric_limits<double>::quiet_NaN())},
      {"\"\"", scalar(std::string())},
      {"\"text\"", scalar(std::string("text"))},
      {"{}", {}},
      {"{x:1}", {{"x", std::int64_t{1}}}},
      {"{b:\"b\",x.y:2}", {{"b", std::string("b")}, {"x.y", std::int64_t{2}}}},
      {"{x..y:1}", {{"x..y", std::int64_t{1}}}}};
  return table;
}

Program decode(std::span<const std::uint8_t> input) {
  InputReader reader(input);
  const std::uint8_t options = reader.next();
  Program program{(options & 1) != 0, (options & 2) != 0,  (options & 4) == 0,
                  (options & 8) != 0, (options & 16) != 0, {}};
  while (!reader.done() && program.operations.size() < kMostOperations) {
    program.operations.push_back(decode_operation(reader));
  }
  return program;
}

std::string to_text(const Program& program) {
  std::string text = "store";
  if (program.strict) text += " strict";
  if (program.validate_reads) text += " validate-reads";
  if (!program.ticket) text += " no-ticket";
  if (program.key_queue) text += " key-queue";
  if (program.tired) text += " tired";
  text += '\n';
  for (const Operation& operation : program.operations) text += text_of(operation) + '\n';
  return text;
}

std::variant<Program, ParseError> parse_program(const std::string& text) {
  Program program;
  std::istringstream lines(text);
  std::string line;
  bool begun = false;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    try {
      LineParser parser(line);
      if (parser.empty()) continue;
      if (begun) {
        program.operations.push_back(parser.operation());
      } else if (parser.begins_with("store")) {
        parser.options(program);
        begun = true;
      } else {
        throw std::string("the first line must begin with store");
      }
    } catch (const std::string& what) {
      return ParseError{number, what};
    }
  }
  if (!begun) return ParseError{1, "the program is empty"};
  return program;
}

}  // namespace touchstone::fuzz
