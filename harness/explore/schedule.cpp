#include "harness/explore/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace touchstone::harness::explore {

namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kLetters = ">rdf";  // in the order of Choice

/// Reads numbers and separators off the front of a text; remembers whether all went well.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  template <class T>
  T number(int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
    if (error != std::errc{}) {
      good_ = false;
      return value;
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  bool take(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  void demand(std::string_view expected) { good_ = take(expected) && good_; }

  std::optional<Choice> choice() {
    const std::size_t at = rest_.empty() ? std::string_view::npos : kLetters.find(rest_.front());
    if (at == std::string_view::npos) return std::nullopt;
    rest_.remove_prefix(1);
    return static_cast<Choice>(at);
  }

  bool at_end() const { return rest_.empty(); }
  bool good() const { return good_; }
  void fail() { good_ = false; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

Deviation read_deviation(Reader& reader) {
  Deviation deviation;
  deviation.preemption = reader.take("!");
  deviation.thread = reader.number<ThreadId>();
  reader.demand(".");
  deviation.step = reader.number<std::uint32_t>();
  if (reader.take(".")) deviation.ordinal = reader.number<std::uint32_t>();
  if (const std::optional<Choice> what = reader.choice()) {
    deviation.what = *what;
  } else {
    reader.fail();
  }
  deviation.pick = reader.number<std::uint64_t>();
  return deviation;
}

}  // namespace

std::size_t Schedule::preemptions() const {
  return static_cast<std::size_t>(
      std::count_if(deviations.begin(), deviations.end(), [](const Deviation& d) { return d.preemption; }));
}

std::string Schedule::text() const {
  std::string out = fmt::format("{}:0x{:016x}", kVersion, seed);
  if (fair_after) out += fmt::format("@{}", *fair_after);
  out += ":";
  const char* separator = "";
  for (const Deviation& d : deviations) {
    out += fmt::format("{}{}{}.{}", separator, d.preemption ? "!" : "", d.thread, d.step);
    if (d.ordinal != 0) out += fmt::format(".{}", d.ordinal);
    out += fmt::format("{}{}", kLetters[static_cast<std::size_t>(d.what)], d.pick);
    separator = ",";
  }
  out += fmt::format(":{}:", distance);
  separator = "";
  for (const std::uint16_t checkpoint : checkpoints) {
    out += fmt::format("{}{:04x}", separator, checkpoint);
    separator = ".";
  }
  return out;
}

std::optional<Schedule> Schedule::parse(std::string_view text) {
  Reader reader(text);
  Schedule schedule;
  reader.demand(kVersion);
  reader.demand(":0x");
  schedule.seed = reader.number<std::uint64_t>(16);
  if (reader.take("@")) schedule.fair_after = reader.number<std::uint64_t>();
  reader.demand(":");
  if (!reader.take(":")) {
    do {
      schedule.deviations.push_back(read_deviation(reader));
    } while (reader.good() && reader.take(","));
    reader.demand(":");
  }
  schedule.distance = reader.number<std::uint32_t>();
  reader.demand(":");
  if (!reader.at_end()) {
    do {
      schedule.checkpoints.push_back(reader.number<std::uint16_t>(16));
    } while (reader.good() && reader.take("."));
  }
  if (!reader.good() || !reader.at_end() || schedule.distance == 0) return std::nullopt;
  return schedule;
}

}  // namespace touchstone::harness::explore
