#include "engine/native_platform.h"

namespace touchstone::engine {

// The word that a futex sleeps on must be the atomic's own memory, with nothing beside it.
static_assert(sizeof(std::atomic<std::uint64_t>) == sizeof(std::uint64_t));
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace touchstone::engine
