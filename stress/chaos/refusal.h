#pragma once
// What a segment operation answered, as a report: empty when it is what was wanted.
//
//   return why(owner.shutdown()) + expect_refusal(owner.allocate(key, payload), SegmentErrc::no_space);
//
// Pure functions.

#include <string>

#include "engine/segments/error.h"

namespace touchstone::chaos {

/// The failed result as text, or empty.
template <class T>
std::string why(const engine::SegmentResult<T>& result) {
  return result ? std::string() : engine::describe(result.error());
}

/// Empty when the result failed with `code`.
template <class T>
std::string expect_refusal(const engine::SegmentResult<T>& result, engine::SegmentErrc code) {
  if (!result && result.error().code == code) return {};
  const std::string got = result ? "success" : engine::describe(result.error());
  return "expected " + std::string(engine::name_of(code)) + ", got " + got + "; ";
}

}  // namespace touchstone::chaos
