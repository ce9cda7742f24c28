#pragma once
// Names of shared memory: exactly `theus:{session}:{pid}:{key}`. The directory listing is the registry, so
// a name says by itself whose it is.
//
//   auto name = encode_name("3f2a", ::getpid(), "camera/left");   // "theus:3f2a:4711:camera%2Fleft"
//   auto parts = parse_name(entry);                               // nullopt: not one of our names
//   decode_key(parts->encoded_key);                               // "camera/left"
//
// Pure functions, callable from any thread.
//
// N1 encode_name and parse_name are inverse to each other: one name for every (session, pid, key), and a
//    name that parses comes from exactly one. A name with two spellings would be two segments for one key.
// N2 A session has no ':', so the second field ends at the second ':'; a key may contain any byte.
// N3 Encoded in a key: '/', NUL, '%', control characters (0x01-0x1f, 0x7f), and '~' at its beginning. All
//    else is itself.
// N4 Keys that begin with a literal '~' are reserved: "~ctl" is the owner's lock, "~t{n}" a replacement on
//    its way. By N3 no user's key can become one of them.
// N5 A name has at most 255 bytes (NAME_MAX), a session at most 64.

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "engine/segments/error.h"

namespace touchstone::engine {

inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxSessionBytes = 64;
inline constexpr std::string_view kNamePrefix = "theus:";
inline constexpr std::string_view kControlKey = "~ctl";

struct SegmentNameParts {
  std::string session;
  pid_t pid = 0;
  std::string encoded_key;

  bool is_control() const { return encoded_key == kControlKey; }
  bool is_reserved() const { return encoded_key.starts_with('~'); }
};

/// The parts as views into the name: a listing of 10,000 names is taken apart without an allocation.
struct SegmentNameView {
  std::string_view session;
  pid_t pid = 0;
  std::string_view encoded_key;
};

/// 128 bits of the OS's entropy as 32 hex digits. Not from the seed: equal seeds in two pid namespaces would
/// make one session of two.
std::string random_session();

SegmentResult<Done> check_session(std::string_view session);

/// Errors: bad_session, bad_key (empty), name_too_long.
SegmentResult<std::string> encode_name(std::string_view session, pid_t pid, std::string_view key);

std::string encode_key(std::string_view key);

/// nullopt when the text is not what encode_key makes.
std::optional<std::string> decode_key(std::string_view encoded);

/// The name's parts; reserved keys included. nullopt when the name is not of the form, or not canonical.
std::optional<SegmentNameParts> parse_name(std::string_view name);
std::optional<SegmentNameView> split_name(std::string_view name);

/// The name of the owner's lock. The session must have passed check_session.
std::string control_name(std::string_view session, pid_t pid);

/// The name under which generation `number` waits to be renamed over its segment.
std::string temporary_name(std::string_view session, pid_t pid, std::uint64_t number);

}  // namespace touchstone::engine
