#include "engine/statistics.h"

namespace touchstone::engine {
namespace {

void line(std::string& text, const char* name, std::uint64_t value, const char* meaning) {
  if (value == 0) return;
  const std::string number = std::to_string(value);
  text += std::string(number.size() < 14 ? 14 - number.size() : 0, ' ') + number + "  " + name;
  text += std::string(20 - std::string_view(name).size() % 20, ' ') + meaning + '\n';
}

}  // namespace

std::string to_text(const Statistics& statistics) {
  std::string text;
#define TOUCHSTONE_COUNTER(name, meaning) line(text, #name, statistics.name, meaning);
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  line(text, "snapshots_open", statistics.snapshots_open, "snapshots open now");
  line(text, "oldest_snapshot_age", statistics.oldest_snapshot_age,
       "versions made since the oldest open snapshot");
  line(text, "paths", statistics.paths, "distinct paths interned");
  return text;
}

}  // namespace touchstone::engine
