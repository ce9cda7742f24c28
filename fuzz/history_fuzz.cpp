// Recorded histories from anybody: every reader, on any bytes.
//
// Danger: a reader that runs off its input, believes a length or an index in it, or gives a history that the checker or the
// writers cannot take. The first byte of an input chooses the format, the rest is the file; from 128 on the rest are changes to a
// sound file of that format, because random bytes seldom get past the first line. What a reader accepts must hold
// together, survive the way through the binary format, and get the same verdict as a stream as when it is read at once.

#include <iterator>
#include <sstream>

#include "fuzz/target.h"
#include "harness/history_binary.h"
#include "harness/history_stream.h"
#include "model/checker.h"
#include "model/isolation.h"

namespace touchstone::fuzz {
namespace {

using harness::HistoryFormat;
using harness::MalformedHistory;
using model::History;

using Difference = std::optional<std::string>;

constexpr std::uint64_t kSteps = 20'000;

model::CheckOptions bounded() {
  model::CheckOptions options;
  options.max_steps = kSteps;
  options.max_memory = std::size_t{64} << 20U;
  options.budget = std::chrono::seconds(5);
  return options;
}

/// What is wrong with a history that a reader gave.
Difference judge_operations(const History& history) {
  for (const model::Operation& it : history.operations) {
    if (it.client >= history.clients.size()) return "a client that is not in the table";
    if (history.kind != model::HistoryKind::kCell) continue;
    if (it.key >= history.keys.size()) return "a key that is not in the table";
    for (const model::ValueId value : {it.argument, it.expected, it.observed}) {
      if (value >= history.values.size()) return "a value that is not in the table";
    }
    if (it.completed() && it.returned < it.invoked) return "an operation that returns before it is invoked";
    if (!it.completed() && it.returned != model::kNever) return "an unknown outcome with a return";
  }
  return std::nullopt;
}

Difference judge_round_trip(const History& history) {
  std::ostringstream out;
  if (harness::write_binary_history(history, out)) return std::nullopt;
  const auto again = harness::parse_history(out.str(), "again", HistoryFormat::kBinary);
  if (const auto* bad = std::get_if<MalformedHistory>(&again))
    return "what was written is refused: " + to_text(*bad);
  if (std::get<History>(again).operations.size() != history.operations.size())
    return "what was written reads back with another number of operations";
  return std::nullopt;
}

Difference judge_stream(std::string_view text, HistoryFormat format, const model::Verdict& whole) {
  if (!harness::is_stream(format, text)) return std::nullopt;
  harness::StreamLimits limits;
  limits.search = {.max_memory = std::size_t{64} << 20U, .budget = std::chrono::seconds(5)};
  harness::HistoryStream stream("text", format, limits);
  auto end = stream.feed(text.substr(0, text.size() / 2));
  if (!end) end = stream.feed(text.substr(text.size() / 2));
  if (!end) end = stream.finish();
  const auto* verdict = std::get_if<harness::StreamVerdict>(&*end);
  if (verdict == nullptr || verdict->answer == model::Answer::kInconclusive) return std::nullopt;
  if (whole.answer == model::Answer::kInconclusive || verdict->answer == whole.answer) return std::nullopt;
  return std::string("as a stream it is ") + name(verdict->answer) + ", as a whole " + name(whole.answer);
}

/// Levels that hold imply the weaker ones; a level that does not hold has an anomaly.
Difference judge_transactions(const model::TransactionHistory& history) {
  const auto verdict = check_isolation(history);
  if (!verdict.inapplicable.empty()) return std::nullopt;
  for (const auto level : model::kLevels) {
    if (verdict.holds(level)) continue;
    if (verdict.anomalies.empty())
      return std::string(name(level)) + " does not hold, and no anomaly says why";
    for (const auto stronger : model::kLevels) {
      if (verdict.holds(stronger) && implies(stronger, level))
        return std::string(name(stronger)) + " holds, and " + name(level) + " does not";
    }
  }
  for (const auto& anomaly : verdict.anomalies) {
    if (anomaly.text.empty()) return "an anomaly without words";
  }
  return std::nullopt;
}

Difference judge(std::string_view text, HistoryFormat format) {
  const auto any = harness::parse_any_history(text, "text", format);
  if (const auto* transactions = std::get_if<model::TransactionHistory>(&any))
    return judge_transactions(*transactions);
  const auto read = harness::parse_history(text, "text", format);
  if (const auto* bad = std::get_if<MalformedHistory>(&read))
    return bad->problem.empty() ? Difference("a malformed history without a reason") : std::nullopt;
  const History& history = std::get<History>(read);
  if (auto wrong = judge_operations(history)) return wrong;
  if (auto wrong = judge_round_trip(history)) return wrong;
  const model::Verdict verdict = check(history, bounded());
  if (verdict.answer == model::Answer::kLinearizable) {
    if (auto wrong = verify_witness(history, verdict.witness)) return "its witness is none: " + *wrong;
  }
  return judge_stream(text, format, verdict);
}

constexpr std::string_view kEtcd =
    "INFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 1 :invoke :cas [1 2]\n"
    "INFO  jepsen.util - 0 :ok :write 1\nINFO  jepsen.util - 1 :info :cas :timed-out\n"
    "INFO  jepsen.util - 2 :invoke :read nil\nINFO  jepsen.util - 2 :ok :read 2\n";
constexpr std::string_view kKv =
    "{:process 0, :type :invoke, :f :append, :key \"1\", :value \"x\"}\n"
    "{:process 1, :type :invoke, :f :get, :key \"1\", :value nil}\n"
    "{:process 0, :type :ok, :f :append, :key \"1\", :value \"x\"}\n"
    "{:process 1, :type :ok, :f :get, :key \"1\", :value \"x\"}\n";
constexpr std::string_view kEdn =
    "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 1, :type :invoke, :f :cas, :value [1 2]}\n"
    "{:process 0, :type :ok, :f :write, :value 1}\n{:process 1, :type :info, :f :cas, :value [1 2]}\n"
    "{:process 2, :type :invoke, :f :read, :value nil}\n{:process 2, :type :ok, :f :read, :value 2}\n";
constexpr std::string_view kJsonLines =
    "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"cell\",\"initial\":null}\n"
    "{\"client\":\"1\",\"call\":1,\"return\":4,\"outcome\":\"ok\",\"key\":\"x\",\"f\":\"write\",\"value\":7}"
    "\n"
    "{\"client\":\"2\",\"call\":2,\"outcome\":\"unknown\",\"key\":\"x\",\"f\":\"cas\",\"expected\":7,"
    "\"value\":8}\n"
    "{\"client\":\"3\",\"call\":5,\"return\":6,\"outcome\":\"ok\",\"key\":\"x\",\"f\":\"read\",\"value\":8}"
    "\n";

constexpr std::string_view kElle =
    "{:process 0, :type :invoke, :value [[:append 1 1] [:r 2 nil]]}\n"
    "{:process 1, :type :invoke, :value [[:append 2 2] [:r 1 nil]]}\n"
    "{:process 0, :type :ok, :value [[:append 1 1] [:r 2 []]]}\n"
    "{:process 1, :type :ok, :value [[:append 2 2] [:r 1 []]]}\n"
    "{:process 2, :type :invoke, :value [[:r 1 nil] [:append 1 3] [:r 2 nil] [:r 1 nil]]}\n"
    "{:process 2, :type :ok, :value [[:r 1 [1]] [:append 1 3] [:r 2 [2]] [:r 1 [1 3]]]}\n";

/// A sound file of the format.
std::string sound(HistoryFormat format) {
  switch (format) {
    case HistoryFormat::kKv:
      return std::string(kKv);
    case HistoryFormat::kEdn:
      return std::string(kEdn);
    case HistoryFormat::kJsonLines:
      return std::string(kJsonLines);
    case HistoryFormat::kElle:
      return std::string(kElle);
    case HistoryFormat::kBinary: {
      std::ostringstream out;
      harness::write_binary_history(
          std::get<History>(harness::parse_history(kEdn, "sound", HistoryFormat::kEdn)), out);
      return out.str();
    }
    default:
      return std::string(kEtcd);
  }
}

/// Each change is four bytes: two for the place, one for what is done there, one for the byte that is put.
std::string changed(std::string text, std::span<const std::uint8_t> changes) {
  for (std::size_t i = 0; i + 4 <= changes.size() && !text.empty(); i += 4) {
    const std::size_t place = (changes[i] * 256U + changes[i + 1]) % text.size();
    const std::size_t line = text.find('\n', place);
    switch (changes[i + 2] % 5) {
      case 0:
        text[place] = static_cast<char>(changes[i + 3]);
        break;
      case 1:
        text[place] = static_cast<char>('0' + changes[i + 3] % 4);
        break;
      case 2:
        text.erase(place, changes[i + 3] % 8U);
        break;
      case 3:  // once more what is here
        text.insert(place, text.substr(place, changes[i + 3] % 64U));
        break;
      default:  // the rest of the line goes
        if (line != std::string::npos) text.erase(place, line - place);
    }
  }
  return text;
}

}  // namespace

const char* const kTarget = "history_fuzz";

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  if (input.empty()) return std::nullopt;
  const auto format = static_cast<HistoryFormat>(input[0] % std::size(harness::kHistoryFormats));
  if (input[0] >= 128) return judge(changed(sound(format), input.subspan(1)), format);
  return judge({reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1}, format);
}

/// A regression: a line with the format's name, then the file.
std::optional<std::string> judge_text(const std::string& text) {
  const std::size_t line = text.find('\n');
  const auto format = harness::parse_history_format(text.substr(0, line));
  if (!format || line == std::string::npos) return "the first line must be a format's name";
  return judge(std::string_view(text).substr(line + 1), *format);
}

}  // namespace touchstone::fuzz
