#include "engine/store.h"

namespace touchstone::engine {

template class Store<NativePlatform>;

}  // namespace touchstone::engine
