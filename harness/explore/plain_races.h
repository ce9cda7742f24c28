#pragma once
// Races on plain memory under the explorer: code compiled with -fsanitize=thread announces each of its reads and writes (guard.cpp),
// and two of one byte, of which one is a write, must be ordered by the memory orders as written.
//
//   const Report report = portfolio(race_checked(body), {.weak_memory = true});
//   if (!report) ... << where_of(report.failure->failure.message);   // file:line of both
//
// So the order that publishes plain data (a cell's name, a node's version, a retired node's memory) is checked on every schedule,
// and not only where real threads happen to meet. Freeing is writing; what is allocated is nobody's yet.
//
// P1. A byte remembers its last write and, since then, each thread's last read. An access by a thread whose vector clock does
//     not cover those is a race.
// P2. Only what a body allocates is checked: it is the arena's, and whatever else announces itself may be the explorer's own. So a
//     body's store is made with make_unique.
// P3. Library code that is compiled elsewhere announces nothing: races inside of it are not seen.
//
// One exploration at a time. Linked only into guard_test, which is linked without -fsanitize.

#include <cstddef>
#include <string>

#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

/// The same body, checked in each of its executions.
Body race_checked(Body body);

/// Called by the entry points of guard.cpp. `code`: an address in the code that did it.
void plain_access(const void* address, std::size_t size, bool write, const void* code);

/// This memory has a new life: what was done to it does not count.
void plain_memory_made(const void* address, std::size_t size);

/// "file:line" of an address in our own code.
std::string code_place(const void* code);

/// The places of the two accesses that a race's message names.
std::string where_of(const std::string& message);

}  // namespace touchstone::harness::explore
