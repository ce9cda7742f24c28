#pragma once
// The planted bugs behind each claim: which the claim's checks are shown to kill, from the tables of harness/mutants/ as they were when the
// tool was built.
//
//   for (const Mutant& mutant : mutants_behind("B7")) fmt::print("{} {}\n", mutant.number, mutant.breaks);
//
// A row belongs to the claims that its checks are named after (AcceptanceB7.…). The others stand behind no single claim.
// Functions of constants: any thread.

#include <string>
#include <string_view>
#include <vector>

namespace touchstone::harness {

struct Mutant {
  std::string number;  ///< of its patch
  std::string check;   ///< the tests that kill it, as a regular expression
  std::string breaks;  ///< what it does to the engine
};

const std::vector<Mutant>& all_mutants();
std::vector<Mutant> mutants_behind(std::string_view claim);

/// The numbers of a claim's mutants, as "05, 22"; empty if there is none.
std::string mutant_numbers(std::string_view claim);

}  // namespace touchstone::harness
