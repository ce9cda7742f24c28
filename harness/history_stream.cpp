#include "harness/history_stream.h"

#include <algorithm>

#include "harness/counted.h"
#include "harness/history_edn_value.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::History;
using model::Operation;
using model::Outcome;

}  // namespace

bool is_stream(HistoryFormat format, std::string_view text) {
  if (format == HistoryFormat::kEtcd) return true;
  if (format != HistoryFormat::kKv && format != HistoryFormat::kEdn) return false;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

HistoryStream::HistoryStream(std::string name, HistoryFormat format, StreamLimits limits)
    : name_(std::move(name)), format_(format), limits_(limits), checker_(limits.search) {}

std::optional<StreamEnd> HistoryStream::feed(std::string_view bytes) {
  rest_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (auto bad = take_line(std::string_view(rest_).substr(begin, end - begin))) return *std::move(bad);
  }
  if (begin == 0) return std::nullopt;
  rest_.erase(0, begin);
  return advance(false);
}

StreamEnd HistoryStream::finish() {
  if (auto bad = take_line(rest_)) return *std::move(bad);
  rest_.clear();
  if (auto end = advance(true)) return *std::move(end);
  if (checker_.inconclusive().empty()) {
    const char* reason = operations_ == 0 ? model::kNothingWasChecked : "";
    return StreamVerdict{model::Answer::kLinearizable, reason, 0, operations_};
  }
  return StreamVerdict{model::Answer::kInconclusive, checker_.inconclusive(), 0, operations_};
}

/// Lines that are noise in their format are not kept: their place in the order means nothing.
std::optional<MalformedHistory> HistoryStream::take_line(std::string_view text) {
  ++number_;
  const std::string_view line = trimmed(text);
  if (format_ == HistoryFormat::kEtcd) {
    if (line.find("jepsen.util") == std::string_view::npos) return std::nullopt;
  } else {
    EdnReader reader(line);
    const EdnOrProblem first = reader.next();
    if (std::holds_alternative<EdnEnd>(first)) return std::nullopt;
    if (const auto* bad = std::get_if<EdnProblem>(&first))
      return MalformedHistory{name_, number_, bad->problem};
    if (!std::holds_alternative<EdnEnd>(reader.next()))
      return MalformedHistory{name_, number_,
                              "expected one map a line in a history that is checked while it is written"};
  }
  lines_.push_back({number_, std::string(line)});
  return std::nullopt;
}

HistoryOrError HistoryStream::parse(std::size_t lines) const {
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) text += lines_[i].text + '\n';
  return parse_history(text, name_, format_);
}

MalformedHistory HistoryStream::in_the_input(const MalformedHistory& malformed) const {
  MalformedHistory out = malformed;
  if (malformed.line >= 1 && malformed.line <= lines_.size()) out.line = lines_[malformed.line - 1].number;
  return out;
}

/// X1: the time of the first invocation whose outcome is still to come.
std::int64_t HistoryStream::horizon(const History& part) const {
  std::int64_t first = static_cast<std::int64_t>(lines_.size()) + 1;
  for (const Operation& it : part.operations) {
    if (it.outcome == Outcome::kPending && settled_.count(part.clients.name(it.client)) == 0)
      first = std::min(first, it.invoked);
  }
  return first;
}

std::optional<StreamEnd> HistoryStream::advance(bool at_end) {
  auto read = parse(lines_.size());
  if (const auto* bad = std::get_if<MalformedHistory>(&read)) return in_the_input(*bad);
  History& part = std::get<History>(read);
  const std::int64_t until = at_end ? static_cast<std::int64_t>(lines_.size()) + 1 : horizon(part);
  const auto from = static_cast<std::int64_t>(carried_) + 1;
  if (until > from) {
    for (const Operation& it : part.operations)
      operations_ += it.invoked >= from && it.invoked < until ? 1 : 0;
    if (const auto refutation = checker_.advance(part, from, until)) return refuted(part, *refutation);
    forget(static_cast<std::size_t>(until) - 1);
  }
  if (lines_.size() - carried_ <= limits_.window) return std::nullopt;
  return StreamVerdict{model::Answer::kInconclusive,
                       "the operation of line " + std::to_string(lines_[carried_].number) +
                           " is open for more than " + counted(limits_.window, "line"),
                       0, operations_};
}

StreamEnd HistoryStream::refuted(const History& part, const model::Refutation& refutation) const {
  StreamVerdict verdict{model::Answer::kNotLinearizable, refutation.reason, 0, operations_};
  const std::int64_t returned = part.operations[*refutation.failing].returned;
  verdict.line = lines_[static_cast<std::size_t>(returned) - 1].number;
  return verdict;
}

/// X2: of the first lines only the invocations stay that are open behind them, in their order.
void HistoryStream::forget(std::size_t until) {
  const auto read = parse(until);
  const History& done = std::get<History>(read);
  std::vector<bool> kept(until);
  for (const Operation& it : done.operations) {
    const std::string& client = done.clients.name(it.client);
    if (it.completed()) continue;
    // What is pending here completes in a later line, unless that line was forgotten before.
    const bool settled = it.outcome == Outcome::kUnknown || settled_.count(client) != 0;
    if (settled && !checker_.needs_unknown(client)) {
      settled_.erase(client);
      continue;
    }
    if (settled) settled_.insert(client);
    kept[static_cast<std::size_t>(it.invoked) - 1] = true;
  }
  std::deque<Line> left;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (i >= until || kept[i]) left.push_back(std::move(lines_[i]));
  }
  carried_ = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), true));
  lines_ = std::move(left);
}

}  // namespace touchstone::harness
