#include "harness/mutant_table.h"

#include <algorithm>

#include "harness/page/embedded.h"

namespace touchstone::harness {
namespace {

/// Rows are "NUMBER | CHECK | WHAT"; others are comments.
std::vector<Mutant> rows_of(std::string_view table) {
  constexpr std::string_view kBar = " | ";
  std::vector<Mutant> rows;
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    const std::string_view line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    const std::size_t first = line.find(kBar), last = line.rfind(kBar);
    if (line.empty() || line.front() < '0' || line.front() > '9' || first == last) continue;
    rows.push_back({std::string(line.substr(0, first)),
                    std::string(line.substr(first + kBar.size(), last - first - kBar.size())),
                    std::string(line.substr(last + kBar.size()))});
  }
  return rows;
}

}  // namespace

const std::vector<Mutant>& all_mutants() {
  static const std::vector<Mutant> all = [] {
    std::vector<Mutant> joined;
    for (const std::string_view table :
         {embedded::store_txt, embedded::contention_txt, embedded::segments_txt})
      for (Mutant& mutant : rows_of(table)) joined.push_back(std::move(mutant));
    return joined;
  }();
  return all;
}

std::vector<Mutant> mutants_behind(std::string_view claim) {
  const std::string suite = "Acceptance" + std::string(claim) + "\\.";
  std::vector<Mutant> behind;
  for (const Mutant& mutant : all_mutants())
    if (mutant.check.find(suite) != std::string::npos) behind.push_back(mutant);
  return behind;
}

std::string mutant_numbers(std::string_view claim) {
  std::string numbers;
  for (const Mutant& mutant : mutants_behind(claim)) numbers += (numbers.empty() ? "" : ", ") + mutant.number;
  return numbers;
}

}  // namespace touchstone::harness
