// The map under one mutex, in a binary of its own.

#include "bench/peers/mutex_map.h"

namespace touchstone::bench {

void register_benchmarks() {
  register_peer<MutexMap>("mutex_map");
  register_peer<MutexMapInLock>("mutex_map_in_lock");
}

}  // namespace touchstone::bench
