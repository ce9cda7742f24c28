#pragma once
// What servers keep, and what they cost under contention: measured, beside what they document of themselves.
//
//   ServerRow row = measure_level(server, kind, level, seed, rounds);
//   fmt::print("{}{}", server_table_head(), to_markdown(row));
//
// Thread safety: one thread.

#include <array>
#include <string>
#include <vector>

#include "harness/seed.h"
#include "harness/servers/server_run.h"

namespace touchstone::harness {

struct ServerRow {
  std::string server;
  ServerLevel level;
  int rounds = 0;
  std::size_t operations = 0;      ///< on single keys
  std::size_t committed = 0;       ///< transactions
  int not_linearizable = 0;        ///< rounds
  std::vector<std::string> holds;  ///< the strongest levels that no round contradicts
  std::vector<std::string> anomalies;
  std::array<ServerContention, 3> contention = {};  ///< by ContentionPolicy
};

ServerRow measure_level(Server& server, const ServerKind& kind, const ServerLevel& level, Seed seed,
                        int rounds);

std::string server_table_head();
std::string to_markdown(const ServerRow& row);
std::string to_json(const ServerRow& row);

}  // namespace touchstone::harness
