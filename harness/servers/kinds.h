#pragma once
// The kinds of servers whose client libraries this build may have; catalogue.cpp asks for those that it does.
//
//   #if TOUCHSTONE_HAS_REDIS
//   catalogue.kinds.push_back(redis_kind());
//   #endif
//
// Functions without state.

#include "harness/servers/transactional.h"

namespace touchstone::harness {

ServerKind redis_kind();
ServerKind postgres_kind();
ServerKind rocksdb_kind();

}  // namespace touchstone::harness
