#include "engine/segments/header.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace touchstone::engine {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::uint64_t kMultiplier = 0x9fb21c651e98df25;

/// A bijection of `lane` for a fixed word and of `word` for a fixed lane: one changed word is never missed.
std::uint64_t absorb(std::uint64_t lane, std::uint64_t word) {
  const std::uint64_t product = (lane ^ word) * kMultiplier;
  return product ^ (product >> 32);
}

std::uint64_t load_word(const std::byte* from, std::size_t bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, bytes);
  return word;
}

/// Field 22 of /proc/self/stat. The second field may contain blanks and brackets, so count from the last ')'.
std::uint64_t read_start_time() {
  std::ifstream file("/proc/self/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

std::uint64_t read_pid_namespace() {
  struct stat status {};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  return text;
}

struct ProcessFacts {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  std::uint64_t pid_namespace = 0;
  std::string boot_id;
};

/// Only for diagnosis, and three files to read: kept for a thread as long as its pid stays the same.
const ProcessFacts& facts_of(pid_t pid) {
  thread_local ProcessFacts facts;
  if (facts.pid != pid) facts = ProcessFacts{pid, read_start_time(), read_pid_namespace(), read_boot_id()};
  return facts;
}

std::uint64_t hash_of_key(std::string_view encoded_key) {
  return checksum(std::as_bytes(std::span(encoded_key.data(), encoded_key.size())));
}

std::uint64_t checksum_of(const SegmentHeader& header) {
  return checksum(std::as_bytes(std::span(&header, 1)).first(offsetof(SegmentHeader, header_checksum)));
}

SegmentError wrong(std::string_view field) {
  return SegmentError{SegmentErrc::bad_header, "the header's " + std::string(field) + " is wrong"};
}

}  // namespace

std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::array<std::uint64_t, kLanes> lanes{1, 2, 3, 4, 5, 6, 7, 8};
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kLanes * 8; left -= kLanes * 8, at += kLanes * 8) {
    for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = absorb(lanes[i], load_word(at + i * 8, 8));
  }
  for (std::size_t i = 0; left > 0; ++i) {
    const std::size_t taken = std::min<std::size_t>(left, 8);
    lanes[i] = absorb(lanes[i], load_word(at, taken));
    left -= taken;
    at += taken;
  }
  std::uint64_t sum = bytes.size();
  for (std::uint64_t lane : lanes) sum = absorb(sum, lane);
  return sum;
}

SegmentHeader make_header(const SegmentNameParts& name, std::uint64_t generation,
                          std::uint64_t payload_size) {
  const ProcessFacts& facts = facts_of(name.pid);
  SegmentHeader header;
  header.payload_size = payload_size;
  header.total_size = sizeof(SegmentHeader) + payload_size;
  header.generation = generation;
  header.key_hash = hash_of_key(name.encoded_key);
  header.creator_pid = name.pid;
  header.creator_start_time = facts.start_time;
  header.creator_pid_namespace = facts.pid_namespace;
  name.session.copy(header.session.data(), header.session.size());
  facts.boot_id.copy(header.boot_id.data(), header.boot_id.size());
  return header;
}

void seal(SegmentHeader& header, std::uint64_t payload_checksum) {
  header.payload_checksum = payload_checksum;
  header.header_checksum = checksum_of(header);
}

SegmentResult<Done> validate_header(const SegmentHeader& header, const SegmentNameParts& name,
                                    std::uint64_t file_size) {
  if (header.magic != kSegmentMagic) return wrong("magic number");
  if (header.version != kSegmentVersion) return wrong("version");
  if (header.header_checksum != checksum_of(header)) return wrong("checksum");
  if (header.header_size != sizeof(SegmentHeader)) return wrong("header size");
  std::array<char, 64> session{};
  name.session.copy(session.data(), session.size());
  if (header.session != session) return wrong("session");
  if (header.creator_pid != name.pid) return wrong("pid");
  if (header.key_hash != hash_of_key(name.encoded_key)) return wrong("key");
  if (header.total_size != file_size || header.payload_size != file_size - sizeof(SegmentHeader)) {
    return SegmentError{SegmentErrc::bad_size, "the header says " + std::to_string(header.total_size) +
                                                   " bytes, the file has " + std::to_string(file_size)};
  }
  return Done{};
}

}  // namespace touchstone::engine
