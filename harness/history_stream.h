#pragma once
// A recorded history that is checked while it is written: lines come in, a verdict comes at the first violation.
//
//   HistoryStream stream("-", HistoryFormat::kEtcd, {});
//   while (read some bytes) if (auto end = stream.feed(bytes)) return report(*end);
//   report(stream.finish());                                  // the end of the input
//
// For the formats with one event a line: etcd, kv, and edn that is no vector. Rules, cited by number in the code:
//   X1  What is invoked before the first operation that is still open has a known outcome; so far the history is checked,
//       and forgotten. The rest waits.
//   X2  Kept are the lines that wait, and the invocations that are open where the check has got to. Operations of unknown
//       outcome stay while they may matter. An operation that is open for more than `window` lines ends the check:
//       inconclusive.
//   X3  EDN has one map a line here: the lines are the times.
//   X4  A client whose operation's outcome is unknown does not come back. If it does while that operation may still
//       matter, that is an error.
// Not thread-safe.

#include <cstddef>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/history_format.h"
#include "model/stream_checker.h"

namespace touchstone::harness {

struct StreamLimits {
  model::StreamOptions search;
  std::size_t window = 100'000;  ///< lines (X2)
};

struct StreamVerdict {
  model::Answer answer = model::Answer::kLinearizable;
  std::string reason;
  std::size_t line = 0;        ///< of the completion that nothing explains
  std::size_t operations = 0;  ///< that were checked
};

using StreamEnd = std::variant<StreamVerdict, MalformedHistory>;

class HistoryStream {
 public:
  HistoryStream(std::string name, HistoryFormat format, StreamLimits limits);

  /// The end, if these bytes brought it: a violation, a malformed line, a limit.
  std::optional<StreamEnd> feed(std::string_view bytes);

  StreamEnd finish();

  /// How many lines are kept.
  std::size_t kept() const { return lines_.size(); }

 private:
  struct Line {
    std::size_t number;  ///< in the input, from 1
    std::string text;
  };

  std::optional<MalformedHistory> take_line(std::string_view text);
  std::optional<StreamEnd> advance(bool at_end);
  HistoryOrError parse(std::size_t lines) const;
  MalformedHistory in_the_input(const MalformedHistory& malformed) const;
  std::int64_t horizon(const model::History& part) const;
  StreamEnd refuted(const model::History& part, const model::Refutation& refutation) const;
  void forget(std::size_t until);

  std::string name_;
  HistoryFormat format_;
  StreamLimits limits_;
  model::StreamChecker checker_;
  std::deque<Line> lines_;   ///< X2
  std::size_t carried_ = 0;  ///< the first so many of them are open invocations, the rest waits
  std::string rest_;         ///< of a line that has not ended
  std::size_t number_ = 0;   ///< of the last line
  std::size_t operations_ = 0;
  std::set<std::string> settled_;  ///< the clients of kept invocations that are known to end unknown
};

/// True if a history of this format, which begins with this text, can be checked line by line.
bool is_stream(HistoryFormat format, std::string_view text);

}  // namespace touchstone::harness
