#pragma once
// The records of harness/history_binary.h as they lie in the file.
//
//   BinaryEvent event;
//   std::memcpy(&event, bytes, sizeof event);            // nothing in a file is aligned or believed

#include <bit>
#include <cstdint>

namespace touchstone::harness {

static_assert(std::endian::native == std::endian::little, "the records are read as they lie in the file");

struct BinaryHeader {
  char magic[8];
  std::uint32_t kind;   ///< 0 cells, 1 a store
  std::uint32_t flags;  ///< of a store: 1 strict, 2 validates reads, 4 its gate may close
  std::uint64_t events;
  std::uint64_t texts_at;
  std::uint64_t file_size;
  std::uint32_t values;
  std::uint32_t keys;
  std::uint32_t clients;
  std::uint32_t initial;  ///< 0: nothing, otherwise the number of a value, from 1
  std::uint64_t reserved;
};
static_assert(sizeof(BinaryHeader) == 64);

struct BinaryEvent {
  std::int64_t time;
  std::uint64_t number;
  std::uint32_t what;
  std::uint32_t key;
  std::uint32_t a;
  std::uint32_t b;
};
static_assert(sizeof(BinaryEvent) == 32);

inline constexpr std::uint32_t kCompletion = 16;  ///< + outcome: 0 ok, 1 fail, 2 unknown
inline constexpr std::uint32_t kMostClients = 1U << 24U;

enum class TextTag : std::uint8_t { kBoolean, kInteger, kDouble, kString };

}  // namespace touchstone::harness
