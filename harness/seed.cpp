#include "harness/seed.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace touchstone::harness {
namespace {

__extension__ typedef unsigned __int128 Wide;  // g++ -Wpedantic wants to be told that we know

constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15;

constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// FNV-1a, then mixed: labels differ in few bytes.
std::uint64_t hash(std::string_view label) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : label) h = (h ^ c) * 0x100000001b3;
  return mix(h);
}

Seed draw() {
  if (const char* text = std::getenv("TOUCHSTONE_SEED")) {
    if (auto seed = Seed::parse(text)) return *seed;
    std::fprintf(stderr,
                 "TOUCHSTONE_SEED is \"%s\": expected 0x and up to 16 hex digits, or a decimal number\n",
                 text);
    std::_Exit(64);
  }
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) {
    std::fputs("getrandom failed: set TOUCHSTONE_SEED\n", stderr);
    std::_Exit(71);
  }
  return Seed(value);
}

Seed& process_seed() {
  static Seed seed = draw();
  return seed;
}

}  // namespace

std::uint64_t Stream::next() {
  return mix(state_ += kGamma);
}

std::uint64_t Stream::below(std::uint64_t bound) {
  if (bound == 0) return next();
  while (true) {  // Lemire 2019: the product's high half, rejecting the few draws that would bias it.
    const auto product = static_cast<Wide>(next()) * bound;
    const auto low = static_cast<std::uint64_t>(product);
    if (low >= bound || low >= -bound % bound) return static_cast<std::uint64_t>(product >> 64);
  }
}

std::int64_t Stream::between(std::int64_t low, std::int64_t high) {
  const auto span =
      static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;  // 0: the whole range
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + below(span));
}

Seed Seed::of_process() {
  return process_seed();
}

void Seed::set_of_process(Seed seed) {
  process_seed() = seed;
}

std::optional<Seed> Seed::parse(std::string_view text) {
  int base = 10;
  if (text.substr(0, 2) == "0x") {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return Seed(value);
}

Stream Seed::stream(std::string_view label) const {
  return Stream(derive(label).value());
}

Seed Seed::derive(std::string_view label) const {
  return Seed(mix(value_ ^ hash(label)));
}

std::string Seed::text() const {
  return fmt::format("0x{:016x}", value_);
}

}  // namespace touchstone::harness
