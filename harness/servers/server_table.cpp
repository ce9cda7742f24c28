#include "harness/servers/server_table.h"

#include "harness/counted.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/checker.h"
#include "model/isolation.h"

namespace touchstone::harness {
namespace {

std::string joined(const std::vector<std::string>& words, const char* none) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? none : text;
}

double per_second(const ServerContention& it) {
  return it.seconds > 0 ? static_cast<double>(it.commits) / it.seconds : 0;
}

double conflicts_per_commit(const ServerContention& it) {
  return it.commits > 0 ? static_cast<double>(it.conflicts) / static_cast<double>(it.commits) : 0;
}

}  // namespace

ServerRow measure_level(Server& server, const ServerKind& kind, const ServerLevel& level, Seed seed,
                        int rounds) {
  ServerRow row{kind.name, level, rounds, 0, 0, 0, {}, {}};
  auto stream = seed.derive(kind.word).stream(level.name);
  model::IsolationVerdict all;
  all.levels = ~std::uint32_t{0};
  for (int round = 0; round < rounds; ++round) {
    const auto cells = record_cells(server, level, stream, {});
    row.operations += cells.operations.size();
    if (model::check(cells).answer == model::Answer::kNotLinearizable) ++row.not_linearizable;
    const auto verdict = model::check_isolation(record_transactions(server, level, stream, {}));
    if (!verdict.inapplicable.empty()) throw ServerFailure(kind.name + ": " + verdict.inapplicable);
    row.committed += verdict.committed;
    all.levels &= verdict.levels;
    for (const auto& anomaly : verdict.anomalies) {
      const std::string name = model::title(anomaly);
      if (std::find(row.anomalies.begin(), row.anomalies.end(), name) == row.anomalies.end())
        row.anomalies.push_back(name);
    }
  }
  for (const auto held : all.strongest()) row.holds.emplace_back(model::name(held));
  for (const auto policy : {ContentionPolicy::none, ContentionPolicy::backoff, ContentionPolicy::ticket})
    row.contention[static_cast<std::size_t>(policy)] = measure_contention(server, level, policy, stream);
  return row;
}

std::string server_table_head() {
  return "| server | used so | documented | linearizable key by key | isolation that held | anomalies | "
         "commits/s, conflicts a commit, "
         "most in a row | with back-off | with back-off and ticket |\n"
         "|---|---|---|---|---|---|---|---|---|\n";
}

std::string to_markdown(const ServerRow& row) {
  std::string text =
      fmt::format("| {} | {}{} | {} | {} | {} | {} |", row.server, row.level.name,
                  row.level.planted_bug.empty() ? "" : fmt::format(" (planted: {})", row.level.planted_bug),
                  row.level.documented,
                  row.not_linearizable == 0
                      ? fmt::format("yes ({})", counted(row.operations, "operation"))
                      : fmt::format("**no** ({} of {})", row.not_linearizable,
                                    counted(static_cast<std::uint64_t>(row.rounds), "history", "histories")),
                  joined(row.holds, "none"), joined(row.anomalies, "none"));
  for (const auto& it : row.contention)
    text += fmt::format(" {:.0f}, {:.2f}, {} |", per_second(it), conflicts_per_commit(it), it.most_in_a_row);
  return text + "\n";
}

std::string to_json(const ServerRow& row) {
  nlohmann::json contention;
  const std::array<const char*, 3> names = {"none", "backoff", "ticket"};
  for (std::size_t i = 0; i < names.size(); ++i)
    contention[names[i]] = {{"commits_per_second", per_second(row.contention[i])},
                            {"conflicts_per_commit", conflicts_per_commit(row.contention[i])},
                            {"most_in_a_row", row.contention[i].most_in_a_row}};
  return nlohmann::json{{"server", row.server},
                        {"level", row.level.name},
                        {"documented", row.level.documented},
                        {"planted_bug", row.level.planted_bug},
                        {"operations", row.operations},
                        {"transactions", row.committed},
                        {"linearizable", row.not_linearizable == 0},
                        {"isolation", row.holds},
                        {"anomalies", row.anomalies},
                        {"contention", contention}}
      .dump();
}

}  // namespace touchstone::harness
