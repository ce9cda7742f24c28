#pragma once
// One seed explains a whole run.
//
//   Seed seed = Seed::of_process();            // TOUCHSTONE_SEED, or the OS's entropy; printed before
//   anything can fail Stream keys = seed.stream("workload/keys"); auto k = keys.below(10);
//
// Every random choice derives from the one 64-bit seed by a label. Every value is valid, 0 too. The
// distributions are our own, because std's differ between libraries. A Seed is a value; a Stream belongs to
// one thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace touchstone::harness {

class Stream {
 public:
  explicit Stream(std::uint64_t state) : state_(state) {}

  std::uint64_t next();

  /// Uniform in [0, bound), without bias. A bound of 0 means the whole range.
  std::uint64_t below(std::uint64_t bound);

  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);

  /// True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) { return below(denominator) < numerator; }

  template <class Container>
  auto& pick(Container& from) {
    return from[below(from.size())];
  }

  /// Fisher–Yates.
  template <class Container>
  void shuffle(Container& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_;
};

class Seed {
 public:
  explicit constexpr Seed(std::uint64_t value) : value_(value) {}

  /// The seed of this process: the environment's TOUCHSTONE_SEED if set (a malformed one is an error that
  /// names it and ends the process with 64), else the OS's entropy, drawn once.
  static Seed of_process();

  /// Replaces the seed of this process, for a command line's --seed. Call it before any thread asks for it.
  static void set_of_process(Seed seed);

  /// "0x" and 1 to 16 hex digits, or a decimal number.
  static std::optional<Seed> parse(std::string_view text);

  Stream stream(std::string_view label) const;
  Seed derive(std::string_view label) const;

  std::uint64_t value() const { return value_; }

  /// "0x" and 16 hex digits.
  std::string text() const;

  friend bool operator==(Seed, Seed) = default;

 private:
  std::uint64_t value_;
};

}  // namespace touchstone::harness
