// touchstone engines: servers that others wrote, measured one beside the other.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "harness/campaign.h"
#include "harness/campaign_option.h"
#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/progress.h"
#include "harness/scratch.h"
#include "harness/servers/server_claims.h"
#include "harness/servers/server_table.h"
#include "harness/verify_json.h"

namespace touchstone::harness {
namespace {

constexpr const char* kBegin = "<!-- generated: begin -->\n";
constexpr const char* kEnd = "<!-- generated: end -->\n";

struct Arguments {
  std::vector<std::string> servers;
  std::string table;
  std::string seed;
  int rounds = 5;
  CampaignOptions campaign;
  bool json = false;
  bool list = false;
};

/// Rows are dealt out to the shards of a campaign in the order of the table.
struct Part {
  Shard shard;
  std::uint64_t next_row = 0;

  bool takes_next() { return shard.takes(next_row++); }
};

int wrong_usage(const std::string& message) {
  fmt::print(stderr, "touchstone engines: {}\n", message);
  return kExitUsage;
}

void list(const ServerCatalogue& catalogue) {
  for (const auto& kind : catalogue.kinds)
    for (const auto& level : kind.levels)
      fmt::print("{:<10} {}{}\n", kind.word, level.name,
                 level.planted_bug.empty() ? "" : fmt::format(" (planted: {})", level.planted_bug));
  for (const auto& [word, packages] : catalogue.missing)
    fmt::print("{:<10} not here: Debian packages {}\n", word, packages);
}

/// The file's text around the marks; nothing without them.
std::optional<std::pair<std::string, std::string>> around_marks(const std::string& file) {
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto begin = text.find(kBegin), end = text.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) return std::nullopt;
  return std::pair(text.substr(0, begin + std::string(kBegin).size()), text.substr(end));
}

std::vector<ServerRow> measure(const ServerKind& kind, Seed seed, int rounds, Part& part,
                               Progress& progress) {
  std::vector<ServerLevel> levels;
  for (const auto& level : kind.levels)
    if (part.takes_next()) levels.push_back(level);
  if (levels.empty()) return {};
  const Scratch scratch;
  const auto directory = std::filesystem::path(scratch.path()) / "server";
  std::filesystem::create_directories(directory);
  progress.show(kind.name + " starts");
  const auto server = kind.start(directory);
  std::vector<ServerRow> rows;
  for (const auto& level : levels) {
    progress.show(fmt::format("{}: {}", kind.name, level.name));
    rows.push_back(measure_level(*server, kind, level, seed, rounds));
  }
  progress.clear();
  return rows;
}

/// A measurement refutes nothing: what it saw is a note.
ClaimReport claim_of(const ServerRow& row) {
  return {.claim = row.server + ": " + row.level.name,
          .promise = row.level.documented,
          .technique = "measured",
          .replay_class = ReplayClass::workload,
          .verdict = ClaimVerdict::held,
          .tried = {.rounds = static_cast<std::uint64_t>(row.rounds), .operations = row.operations},
          .notes = {to_json(row)}};
}

CampaignKey key_of(const Arguments& arguments, Seed seed) {
  std::string options = fmt::format("--rounds {}", arguments.rounds);
  for (const auto& server : arguments.servers) options += " --server " + server;
  return {.command = "engines", .seed = seed.text(), .subject = "servers", .options = options};
}

/// How busy the machine was before anything was measured.
std::string load() {
  double last_minute = 0;
  const unsigned cores = std::thread::hardware_concurrency();
  if (::getloadavg(&last_minute, 1) != 1)
    return fmt::format("{}, their load is not known", counted(cores, "core"));
  return fmt::format("When it began, {:.1f} threads wanted {}", last_minute, counted(cores, "core"));
}

int run(const Arguments& arguments) {
  const ServerCatalogue catalogue = server_catalogue();
  if (arguments.list) {
    list(catalogue);
    return 0;
  }
  for (const auto& word : arguments.servers) {
    const auto is = [&word](const ServerKind& kind) { return kind.word == word; };
    if (std::none_of(catalogue.kinds.begin(), catalogue.kinds.end(), is))
      return wrong_usage(fmt::format("no server here is named \"{}\" (--list names them)", word));
  }
  if (!arguments.seed.empty()) {
    const auto seed = Seed::parse(arguments.seed);
    if (!seed)
      return wrong_usage(fmt::format("--seed \"{}\": expected 0x and up to 16 hex digits", arguments.seed));
    Seed::set_of_process(*seed);
  }
  std::optional<std::pair<std::string, std::string>> page;
  if (!arguments.table.empty() && !(page = around_marks(arguments.table)))
    return wrong_usage(fmt::format("--table \"{}\": has no lines {} and {}", arguments.table,
                                   std::string(kBegin, 25), std::string(kEnd, 23)));
  const auto shard = shard_of(arguments.campaign, !arguments.seed.empty());
  if (const auto* wrong = std::get_if<ShardError>(&shard)) return wrong_usage(wrong->what);
  Part part{std::get<Shard>(shard)};
  if (page && !part.shard.whole())
    return wrong_usage(fmt::format("--table \"{}\": shard {} has only some of its rows", arguments.table,
                                   part.shard.text()));
  const Seed seed = Seed::of_process();
  const std::string busy = load();
  std::string table = server_table_head();
  if (!arguments.json) fmt::print("seed {}\n{}{}", seed.text(), part.shard.announced(), table);
  Progress progress(stderr);
  try {
    std::optional<CampaignResults> results;
    if (!arguments.campaign.results.empty())
      results.emplace(arguments.campaign.results, key_of(arguments, seed), part.shard);
    for (const auto& kind : catalogue.kinds) {
      const auto& wanted = arguments.servers;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), kind.word) == wanted.end()) continue;
      for (const auto& row : measure(kind, seed, arguments.rounds, part, progress)) {
        if (results) results->add(row.server + ": " + row.level.name, json_of(claim_of(row)));
        table += to_markdown(row);
        fmt::print("{}", arguments.json ? to_json(row) + "\n" : to_markdown(row));
        std::fflush(stdout);
      }
    }
    if (results) results->finish();
  } catch (const std::runtime_error& why) {
    progress.clear();
    fmt::print(stderr, "touchstone engines: {}\n", why.what());
    return kExitSystem;
  }
  for (const auto& [word, packages] : catalogue.missing) {
    table += fmt::format("\n{} was not here: Debian packages {}\n", word, packages);
    fmt::print(stderr, "touchstone engines: without {}: Debian packages {}\n", word, packages);
  }
  if (!page) return 0;
  std::ofstream out(arguments.table);
  out << page->first
      << fmt::format("Seed {}, {} for each row. {}.\n\n", seed.text(),
                     counted(static_cast<std::uint64_t>(arguments.rounds), "round"), busy)
      << table << page->second;
  return out.flush() ? 0 : kExitCannotWrite;
}

}  // namespace

void add_engines_command(CLI::App& app, int& exit_status) {
  claims_of_servers = [](std::string_view name) {
    auto store = etcd_store_claims(name);
    return store ? std::move(store) : server_claims(name);
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      app.add_subcommand("engines", "Measure servers that others wrote: what they keep, what it costs");
  command->add_option("--server", arguments->servers, "only this one; may be repeated");
  command->add_option("--rounds", arguments->rounds, "histories for each way of use")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--seed", arguments->seed, "of every draw");
  add_campaign_options(*command, arguments->campaign);
  command->add_option("--table", arguments->table, "write the table into this page, between its marks");
  command->add_flag("--json", arguments->json, "one JSON object a line");
  command->add_flag("--list", arguments->list, "name the servers and stop");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
