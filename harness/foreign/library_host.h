#pragma once
// An engine in a shared library, called through touchstone/engine.h.
//
//   std::unique_ptr<ForeignHost> host = load_library("./libmine.so");     // throws ForeignFailure
//
// Calls run on the caller's thread; one that does not return within the engine's patience ends the process, with last
// words that name it (isolated.h). Thread safety: as foreign_engine.h.

#include <memory>
#include <string>

#include "harness/foreign/foreign_engine.h"

namespace touchstone::harness {

std::unique_ptr<ForeignHost> load_library(const std::string& file);

}  // namespace touchstone::harness
