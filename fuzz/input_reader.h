#pragma once
// Takes decisions from a fuzzer's bytes, and zeros when they are used up.
//
//   InputReader reader(bytes);
//   while (!reader.done()) act(reader.below(5));
//
// A value; belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <span>

namespace touchstone::fuzz {

class InputReader {
 public:
  explicit InputReader(std::span<const std::uint8_t> input) : left_(input) {}

  bool done() const { return left_.empty(); }

  std::uint8_t next() {
    if (left_.empty()) return 0;
    const std::uint8_t byte = left_.front();
    left_ = left_.subspan(1);
    return byte;
  }

  /// In [0, bound), for small bounds.
  std::size_t below(std::size_t bound) { return next() % bound; }

 private:
  std::span<const std::uint8_t> left_;
};

}  // namespace touchstone::fuzz
