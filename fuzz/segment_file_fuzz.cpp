// Files that anybody may have left in the directory of segments: any bytes at a segment's name, at the owner lock's, and behind a link or
// as a directory where a segment should be.
//
// Danger: an attach that gives out memory beyond the file or ends the process; a reaper that fails, leaves what is dead, or touches what
// is not a segment. The oracle: what an attach gives is as long as the header and the file say and can be read to its end, and only a
// header that is sound in every field is attached; a reaper takes the dead owner's regular files and nothing else.
//
// Input: one byte that says what lies where, one that says how the rest is meant: the file as it is; or, for a sound segment, a payload of up
// to 64 bytes and then edits (offset, value) of header and payload, after which the header's checksum is made right again or not.
// Regressions are lines of hex.

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/reaper.h"
#include "fuzz/input_reader.h"
#include "fuzz/target.h"
#include "harness/scratch.h"

namespace touchstone::fuzz {
namespace {

namespace fs = std::filesystem;
using Verdict = std::optional<std::string>;

constexpr const char* kName = "theus:fuzz:4242:key";
constexpr const char* kLockName = "theus:fuzz:4242:~ctl";
constexpr const char* kForeign = "theus-of-somebody-else";
constexpr std::string_view kForeignText = "not a segment";

enum class Lies : std::uint8_t { segment, lock, link, directory };

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A directory with the input's file and a foreign one, gone when this is.
class Scene {
 public:
  Scene(Lies lies, const std::string& bytes) {
    // In shared memory, as in production, and gone however this process ends.
    static const harness::Scratch scratch;
    if (scratch.path().empty()) throw std::runtime_error("no directory for the segments");
    directory_ = fs::path(scratch.path()) / "scene";
    fs::create_directory(directory_);
    std::ofstream(directory_ / kForeign) << kForeignText;
    switch (lies) {
      case Lies::segment:
        std::ofstream(directory_ / kName, std::ios::binary) << bytes;
        break;
      case Lies::lock:
        std::ofstream(directory_ / kLockName, std::ios::binary) << bytes;
        break;
      case Lies::link:
        fs::create_symlink(kForeign, directory_ / kName);
        break;
      case Lies::directory:
        fs::create_directory(directory_ / kName);
        break;
    }
  }
  ~Scene() {
    std::error_code left;
    for (const char* name : {kName, kLockName, kForeign}) fs::remove(directory_ / name, left);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  bool has(const char* name) const { return fs::exists(fs::symlink_status(directory_ / name)); }
  bool foreign_is_whole() const { return contents(directory_ / kForeign) == kForeignText; }
  std::string path() const { return directory_.string(); }

 private:
  fs::path directory_;
};

/// A sound segment with edits.
std::string edited(InputReader& reader, bool resealed) {
  std::vector<std::byte> payload(reader.below(65), std::byte{7});
  engine::SegmentHeader header = engine::make_header(*engine::parse_name(kName), 1, payload.size());
  engine::seal(header, engine::checksum(payload));
  std::string bytes(sizeof header + payload.size(), '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  while (!reader.done()) {
    const std::size_t at = (std::size_t{reader.next()} << 8 | reader.next()) % bytes.size();
    bytes[at] = static_cast<char>(reader.next());
  }
  if (!resealed) return bytes;
  std::memcpy(&header, bytes.data(), sizeof header);
  engine::seal(header, header.payload_checksum);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

/// What may be attached: a header that says of itself, its name and its file what is true.
bool sound(const std::string& bytes) {
  engine::SegmentHeader header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  const engine::SegmentHeader right = engine::make_header(*engine::parse_name(kName), 1, 0);
  engine::SegmentHeader sealed = header;
  engine::seal(sealed, header.payload_checksum);
  return header.magic == right.magic && header.version == right.version &&
         header.header_size == right.header_size && header.key_hash == right.key_hash &&
         header.session == right.session && header.creator_pid == right.creator_pid &&
         header.total_size == bytes.size() && header.payload_size == bytes.size() - sizeof header &&
         header.header_checksum == sealed.header_checksum;
}

Verdict judge_attach(const Scene& scene, Lies lies, const std::string& bytes) {
  const auto attached = engine::Attachment::attach(kName, scene.path());
  if (!attached) return std::nullopt;
  if (lies != Lies::segment) return "something that is no regular file was attached";
  if (!sound(bytes)) return "a header that is not sound was attached";
  const std::span<const std::byte> seen = attached->bytes();
  if (seen.size() != bytes.size() - sizeof(engine::SegmentHeader))
    return "the attachment has " + std::to_string(seen.size()) + " bytes of a file of " +
           std::to_string(bytes.size());
  if (std::memcmp(seen.data(), bytes.data() + sizeof(engine::SegmentHeader), seen.size()) != 0)
    return "the attachment shows something else than the file";
  const bool right = engine::checksum(seen) == attached->header().payload_checksum;
  if (static_cast<bool>(attached->verify()) != right) return "the payload's checksum was judged wrongly";
  return std::nullopt;
}

Verdict judge_reaper(const Scene& scene, Lies lies) {
  engine::reap({.directory = scene.path()});
  if (!scene.foreign_is_whole()) return "the reaper touched a file that is no segment's";
  const bool regular = lies == Lies::segment || lies == Lies::lock;
  if (regular && (scene.has(kName) || scene.has(kLockName))) return "the reaper left what its owner had left";
  if (!regular && !scene.has(kName)) return "the reaper removed what is no regular file";
  return std::nullopt;
}

}  // namespace

const char* const kTarget = "segment_file_fuzz";

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  InputReader reader(input);
  const Lies lies = static_cast<Lies>(std::array<std::uint8_t, 8>{0, 0, 0, 0, 0, 1, 2, 3}[reader.below(8)]);
  const std::size_t meant = reader.below(3);
  const std::string bytes =
      meant == 0
          ? std::string(input.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, input.size())),
                        input.end())
          : edited(reader, meant == 2);
  const Scene scene(lies, bytes);
  if (auto wrong = judge_attach(scene, lies, bytes)) return wrong;
  return judge_reaper(scene, lies);
}

std::optional<std::string> judge_text(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    std::vector<std::uint8_t> bytes;
    std::istringstream digits(line.substr(0, line.find('#')));
    for (unsigned byte = 0; digits >> std::hex >> byte;) bytes.push_back(static_cast<std::uint8_t>(byte));
    if (!digits.eof()) return "line " + std::to_string(number) + ": no bytes in hex";
    if (bytes.empty()) continue;
    if (auto wrong = judge_input(bytes)) return "line " + std::to_string(number) + ": " + *wrong;
  }
  return std::nullopt;
}

}  // namespace touchstone::fuzz
