#include "harness/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace touchstone::harness {
namespace {

constexpr std::string_view kPrefix = "replay: ";
constexpr std::string_view kEnvironment = "TOUCHSTONE_";
constexpr std::string_view kSeedVariable = "TOUCHSTONE_SEED";
constexpr std::string_view kFilter = "--gtest_filter=";
constexpr std::array<std::pair<ReplayClass, std::string_view>, 3> kClasses = {{
    {ReplayClass::exact, "exact"},
    {ReplayClass::workload, "workload"},
    {ReplayClass::crash_point, "crash-point"},
}};

using Words = std::vector<std::string>;
using Parsed = std::variant<ReplayLine, ReplayError>;

bool is_lower(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool legal_option_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_lower(c) || c == '-'; });
}

bool plain(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') ||
         std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
}

/// crash-point <-> TOUCHSTONE_CRASH_POINT
std::string variable_of(std::string_view option) {
  std::string name(kEnvironment);
  for (char c : option)
    name += c == '-' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string option_of(std::string_view variable) {
  std::string name;
  for (char c : variable.substr(kEnvironment.size()))
    name += c == '_' ? '-' : (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

std::string_view basename(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0: the whole name
}

std::optional<ReplayError> add_option(ReplayLine& line, std::string name, std::string value) {
  if (!legal_option_name(name))
    return ReplayError{"an option's name is lower case letters, digits and '-'", name};
  if (line.option(name)) return ReplayError{"the option is given twice", name};
  line.options.push_back({std::move(name), std::move(value)});
  return std::nullopt;
}

std::optional<ReplayError> set_seed(ReplayLine& line, const std::string& text) {
  const auto seed = Seed::parse(text);
  if (!seed) return ReplayError{"a seed is 0x and up to 16 hex digits, or a decimal number", text};
  line.seed = *seed;
  return std::nullopt;
}

std::optional<ReplayError> set_class(ReplayLine& line, const std::string& text) {
  const auto replay_class = parse_replay_class(text);
  if (!replay_class) return ReplayError{"a class is exact, workload or crash-point", text};
  line.replay_class = *replay_class;
  return std::nullopt;
}

/// `words` begin behind `touchstone replay`.
Parsed parse_claim(const Words& words, std::size_t at) {
  ReplayLine line;
  ClaimTarget target;
  bool has_class = false, has_seed = false;
  for (; at < words.size(); at += 2) {
    if (words[at].substr(0, 2) != "--")
      return ReplayError{"expected an option that begins with --", words[at]};
    const std::string name = words[at].substr(2);
    if (at + 1 == words.size()) return ReplayError{"the option has no value", words[at]};
    const std::string& value = words[at + 1];
    const bool twice = (name == "claim" && !target.claim.empty()) || (name == "class" && has_class) ||
                       (name == "seed" && has_seed);
    std::optional<ReplayError> error;
    if (twice) {
      error = ReplayError{"the option is given twice", words[at]};
    } else if (name == "claim") {
      target.claim = value;
    } else if (name == "class") {
      error = set_class(line, value);
      has_class = true;
    } else if (name == "seed") {
      error = set_seed(line, value);
      has_seed = true;
    } else {
      error = add_option(line, name, value);
    }
    if (error) return *error;
  }
  if (target.claim.empty()) return ReplayError{"the line names no claim: --claim NAME is missing", ""};
  if (!has_class) return ReplayError{"the line does not say its class: --class is missing", ""};
  if (!has_seed) return ReplayError{"the line has no seed: --seed is missing", ""};
  line.target = std::move(target);
  return line;
}

/// VARIABLE=value ... binary [--gtest_filter=F] [# class C]
Parsed parse_test(const Words& words) {
  ReplayLine line;
  TestTarget target;
  bool has_seed = false;
  std::size_t at = 0;
  for (; at < words.size() && words[at].substr(0, kEnvironment.size()) == kEnvironment; ++at) {
    const auto equals = words[at].find('=');
    if (equals == std::string::npos) return ReplayError{"expected NAME=value", words[at]};
    const std::string name = words[at].substr(0, equals), value = words[at].substr(equals + 1);
    if (name == kSeedVariable && has_seed) return ReplayError{"the seed is given twice", words[at]};
    auto error = name == kSeedVariable ? set_seed(line, value) : add_option(line, option_of(name), value);
    if (error) return *error;
    has_seed |= name == kSeedVariable;
  }
  if (!has_seed) return ReplayError{"the line has no seed: TOUCHSTONE_SEED=0x... is missing", ""};
  if (at == words.size()) return ReplayError{"the line names no test binary", ""};
  target.binary = words[at++];
  if (at < words.size() && words[at].substr(0, kFilter.size()) == kFilter)
    target.filter = words[at++].substr(kFilter.size());
  if (at + 3 == words.size() && words[at] == "#" && words[at + 1] == "class") {
    if (auto error = set_class(line, words[at + 2])) return *error;
  } else if (at != words.size()) {
    return ReplayError{"expected --gtest_filter=..., # class ..., or the end of the line", words[at]};
  }
  line.target = std::move(target);
  return line;
}

}  // namespace

std::string_view to_text(ReplayClass replay_class) {
  for (const auto& [value, name] : kClasses)
    if (value == replay_class) return name;
  return "unknown";
}

std::optional<ReplayClass> parse_replay_class(std::string_view text) {
  for (const auto& [value, name] : kClasses)
    if (name == text) return value;
  return std::nullopt;
}

std::optional<std::string_view> ReplayLine::option(std::string_view name) const {
  for (const auto& candidate : options)
    if (candidate.name == name) return candidate.value;
  return std::nullopt;
}

std::string quote_word(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return std::string(word);
  std::string quoted = "'";
  for (char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::variant<Words, ReplayError> split_words(std::string_view text) {
  Words words;
  std::string word;
  bool inside = false, quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\'') {
        quoted = false;
      } else {
        word += c;
      }
    } else if (c == '\'') {
      inside = quoted = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      inside = true;
      word += text[++i];
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (inside) words.push_back(std::exchange(word, {}));
      inside = false;
    } else {
      inside = true;
      word += c;
    }
  }
  if (quoted) return ReplayError{"a quote is not closed", word};
  if (inside) words.push_back(std::move(word));
  return words;
}

std::string to_text(const ReplayLine& line, std::string_view tool) {
  if (const auto* claim = std::get_if<ClaimTarget>(&line.target)) {
    std::string text = fmt::format("{} replay --claim {} --class {} --seed {}", quote_word(tool),
                                   quote_word(claim->claim), to_text(line.replay_class), line.seed.text());
    for (const auto& option : line.options)
      text += fmt::format(" --{} {}", option.name, quote_word(option.value));
    return text;
  }
  const auto& test = std::get<TestTarget>(line.target);
  std::string text = fmt::format("{}={}", kSeedVariable, line.seed.text());
  for (const auto& option : line.options)
    text += fmt::format(" {}={}", variable_of(option.name), quote_word(option.value));
  text += " " + quote_word(test.binary);
  if (!test.filter.empty()) text += fmt::format(" {}{}", kFilter, quote_word(test.filter));
  return text + fmt::format(" # class {}", to_text(line.replay_class));
}

Parsed parse_replay_words(const Words& words) {
  if (words.empty()) return ReplayError{"the line is empty", ""};
  if (words.front().substr(0, 2) == "--") return parse_claim(words, 0);
  // The tool may have another name: an engine with a planted bug brings its own.
  if (words.size() >= 2 && words[1] == "replay") return parse_claim(words, 2);
  if (basename(words.front()) == "touchstone")
    return ReplayError{"expected `touchstone replay`", words.front()};
  return parse_test(words);
}

Parsed parse_replay_line(std::string_view text) {
  if (const auto at = text.find(kPrefix); at != std::string_view::npos && text.find_first_not_of(" \t") == at)
    text.remove_prefix(at + kPrefix.size());
  auto words = split_words(text);
  if (auto* error = std::get_if<ReplayError>(&words)) return *error;
  return parse_replay_words(std::get<Words>(words));
}

}  // namespace touchstone::harness
