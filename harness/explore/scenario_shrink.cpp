#include "harness/explore/scenario_shrink.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <sstream>
#include <utility>
#include <variant>
#include <vector>

namespace touchstone::harness::explore {
namespace {

using Line = std::vector<std::string>;

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  std::istringstream in{std::string(text)};
  for (std::string raw; std::getline(in, raw);) {
    std::istringstream words(raw.substr(0, raw.find('#')));
    Line line;
    for (std::string word; words >> word;) line.push_back(word);
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

std::string text_of(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) text += (i == 0 ? "" : " ") + line[i];
    text += '\n';
  }
  return text;
}

/// What the file is, and what it is about.
bool stays(const Line& line) {
  return line.front() == "touchstone-scenario" || line.front() == "expect";
}

std::string without_digits(const std::string& text) {
  std::string rest;
  std::copy_if(text.begin(), text.end(), std::back_inserter(rest),
               [](unsigned char c) { return std::isdigit(c) == 0; });
  return rest;
}

class Smaller {
 public:
  Smaller(std::string_view text, const Report& failing,
          const std::function<Report(const Scenario&)>& explored, const std::function<bool()>& more)
      : lines_(lines_of(text)), best_{text_of(lines_), failing, 0}, explored_(explored), more_(more) {}

  SmallerScenario run() {
    while (drop_lines() || drop_words() || halve_numbers()) {
    }
    return std::move(best_);
  }

 private:
  bool drop_lines() {
    bool any = false;
    for (std::size_t at = lines_.size(); at-- > 0;) {
      if (stays(lines_[at])) continue;
      auto trial = lines_;
      trial.erase(trial.begin() + static_cast<std::ptrdiff_t>(at));
      any = accept(std::move(trial)) || any;
    }
    return any;
  }

  bool drop_words() {
    bool any = false;
    for (std::size_t at = lines_.size(); at-- > 0;) {
      if (stays(lines_[at])) continue;
      for (std::size_t word = lines_[at].size(); word-- > 1;) {
        auto trial = lines_;
        trial[at].erase(trial[at].begin() + static_cast<std::ptrdiff_t>(word));
        any = accept(std::move(trial)) || any;
      }
    }
    return any;
  }

  /// Of NAME=NUMBER words: 8, 4, 2, 1.
  bool halve_numbers() {
    bool any = false;
    for (std::size_t at = 0; at < lines_.size(); ++at) {
      for (std::size_t word = 1; word < lines_[at].size() && !stays(lines_[at]); ++word) {
        const std::string text = lines_[at][word];
        const std::size_t equals = text.find('=');
        std::uint64_t number = 0;
        if (equals == std::string::npos) continue;
        const auto [end, error] =
            std::from_chars(text.data() + equals + 1, text.data() + text.size(), number);
        if (error != std::errc{} || number < 2) continue;
        auto trial = lines_;
        trial[at][word] = text.substr(0, equals + 1) + std::to_string(number / 2) + std::string(end);
        any = accept(std::move(trial)) || any;
      }
    }
    return any;
  }

  bool accept(std::vector<Line> trial) {
    if (!more_()) return false;
    std::string text = text_of(trial);
    const auto parsed = parse_scenario("smaller", text);
    const auto* scenario = std::get_if<Scenario>(&parsed);
    if (scenario == nullptr) return false;
    ++best_.tried;
    Report report = explored_(*scenario);
    if (!report.failure || !same(report.failure->failure)) return false;
    lines_ = std::move(trial);
    best_.text = std::move(text);
    best_.report = std::move(report);
    return true;
  }

  bool same(const Failure& failure) const {
    const Failure& known = best_.report.failure->failure;
    if (failure.kind != FailureKind::exception) return failure.kind == known.kind;
    return known.kind == failure.kind && without_digits(failure.message) == without_digits(known.message);
  }

  std::vector<Line> lines_;
  SmallerScenario best_;
  const std::function<Report(const Scenario&)>& explored_;
  const std::function<bool()>& more_;
};

}  // namespace

SmallerScenario shrink_scenario(std::string_view text, const Report& failing,
                                const std::function<Report(const Scenario&)>& explored,
                                const std::function<bool()>& more) {
  return Smaller(text, failing, explored, more).run();
}

}  // namespace touchstone::harness::explore
