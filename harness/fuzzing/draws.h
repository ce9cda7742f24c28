#pragma once
// Where a generator's choices come from: a seed, or the bytes of a fuzzer (zeros when they are used up).
//
//   Draws seeded(stream);   Draws given(bytes);
//   if (draws.chance(1, 4)) path = draws.pick(paths);
//
// A value that refers to its stream; belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <span>

#include "harness/seed.h"

namespace touchstone::harness::fuzzing {

class Draws {
 public:
  explicit Draws(Stream& stream) : stream_(&stream) {}
  explicit Draws(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  /// In [0, bound); 0 means all of 64 bits. Of bytes it takes as few as the bound needs.
  std::uint64_t below(std::uint64_t bound) {
    if (stream_ != nullptr) return stream_->below(bound);
    std::uint64_t value = 0;
    for (std::uint64_t most = bound - 1; most != 0; most >>= 8) value = value << 8 | next();
    return bound == 0 ? value : value % bound;
  }

  bool chance(std::uint64_t numerator, std::uint64_t denominator) { return below(denominator) < numerator; }

  template <class Container>
  auto& pick(Container& from) {
    return from[below(from.size())];
  }

 private:
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }

  Stream* stream_ = nullptr;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace touchstone::harness::fuzzing
