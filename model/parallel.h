#pragma once
// The same work on many items, on a few threads.
//
//   for_each_in_parallel(parts.size(), threads, [&](std::size_t part, std::size_t) { results[part] = decide(part); });
//
// Every item is worked on once, by one thread; the lowest numbers are begun first. Returns when all are done, and what they wrote is
// seen by the caller then. Threads are numbered from 0, the caller, up to `threads`; so the caller is one of the threads, so with one thread nothing is started; where the system has no
// more threads the ones there are do the work. An exception ends it early and is rethrown here: of several that of the lowest item.

#include <cstddef>
#include <functional>

namespace touchstone::model {

/// How many threads `wanted` means: 0 is as many as the machine has.
unsigned threads_for(unsigned wanted);

void for_each_in_parallel(std::size_t count, unsigned threads,
                          const std::function<void(std::size_t item, std::size_t thread)>& work);

}  // namespace touchstone::model
