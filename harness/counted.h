#pragma once
// A number and what it counts, as a person would write it.
//
//   counted(1, "execution")              "1 execution"
//   counted(2, "class", "classes")       "2 classes"
//
// A message that is compared with numbers left out, as a failure's signature is, must not change its words with its numbers: it is worded
// so that it needs none of this. Pure.

#include <cstdint>
#include <string>

namespace touchstone::harness {

inline std::string counted(std::uint64_t count, const std::string& one, const std::string& many = "") {
  return std::to_string(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

}  // namespace touchstone::harness
