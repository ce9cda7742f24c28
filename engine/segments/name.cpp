#include "engine/segments/name.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

namespace touchstone::engine {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

bool is_session_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

/// Rule N3.
bool is_encoded_byte(unsigned char c, bool first) {
  return c < 0x20 || c == 0x7f || c == '/' || c == '%' || (first && c == '~');
}

std::string prefix_of(std::string_view session, pid_t pid) {
  std::string prefix(kNamePrefix);
  prefix.append(session).append(":").append(std::to_string(pid)).append(":");
  return prefix;
}

/// A pid as std::to_string writes it: no sign, no leading zero.
std::optional<pid_t> parse_pid(std::string_view digits) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return pid;
}

int hex_value(char digit) {
  const std::size_t at = kHexDigits.find(digit);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

/// Gives the key's bytes to `append`. False when the text is not what encode_key makes.
template <class Append>
bool decode_into(std::string_view encoded, const Append& append) {
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const bool first = i == 0;
    auto byte = static_cast<unsigned char>(encoded[i]);
    if (byte != '%') {
      if (is_encoded_byte(byte, first)) return false;
      append(byte);
      continue;
    }
    if (encoded.size() - i < 3) return false;
    const int high = hex_value(encoded[i + 1]);
    const int low = hex_value(encoded[i + 2]);
    if (high < 0 || low < 0) return false;
    byte = static_cast<unsigned char>(high * 16 + low);
    if (!is_encoded_byte(byte, first)) return false;  // a second spelling (N1)
    append(byte);
    i += 2;
  }
  return !encoded.empty();
}

bool is_encoded_key(std::string_view encoded) {
  return decode_into(encoded, [](unsigned char) {});
}

}  // namespace

std::string random_session() {
  std::array<unsigned char, 16> bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    // Only a signal can interrupt a request this small: ask again.
  }
  std::string session;
  for (unsigned char byte : bytes) {
    session.push_back(kHexDigits[byte >> 4]);
    session.push_back(kHexDigits[byte & 15]);
  }
  return session;
}

SegmentResult<Done> check_session(std::string_view session) {
  if (session.empty()) return SegmentError{SegmentErrc::bad_session, "the session is empty"};
  if (session.size() > kMaxSessionBytes) {
    return SegmentError{SegmentErrc::bad_session, "the session has " + std::to_string(session.size()) +
                                                      " bytes, at most " + std::to_string(kMaxSessionBytes) +
                                                      " fit"};
  }
  for (std::size_t i = 0; i < session.size(); ++i) {
    if (is_session_byte(session[i])) continue;
    return SegmentError{SegmentErrc::bad_session, "byte " + std::to_string(i) +
                                                      " of the session is outside [A-Za-z0-9._-]: code " +
                                                      std::to_string(static_cast<unsigned char>(session[i]))};
  }
  return Done{};
}

std::string encode_key(std::string_view key) {
  std::string encoded;
  encoded.reserve(key.size());
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto c = static_cast<unsigned char>(key[i]);
    if (is_encoded_byte(c, i == 0)) {
      encoded.append({'%', kHexDigits[c >> 4], kHexDigits[c & 15]});
    } else {
      encoded.push_back(key[i]);
    }
  }
  return encoded;
}

std::optional<std::string> decode_key(std::string_view encoded) {
  std::string key;
  const auto append = [&key](unsigned char byte) { key.push_back(static_cast<char>(byte)); };
  if (!decode_into(encoded, append)) return std::nullopt;
  return key;
}

SegmentResult<std::string> encode_name(std::string_view session, pid_t pid, std::string_view key) {
  if (auto checked = check_session(session); !checked) return checked.error();
  if (key.empty()) return SegmentError{SegmentErrc::bad_key, "the key is empty"};
  std::string name = prefix_of(session, pid) + encode_key(key);
  if (name.size() > kMaxNameBytes) {
    return SegmentError{SegmentErrc::name_too_long, "the name of this key has " +
                                                        std::to_string(name.size()) + " bytes, at most " +
                                                        std::to_string(kMaxNameBytes) + " fit"};
  }
  return name;
}

std::optional<SegmentNameView> split_name(std::string_view name) {
  if (name.size() > kMaxNameBytes || !name.starts_with(kNamePrefix)) return std::nullopt;
  name.remove_prefix(kNamePrefix.size());
  const std::size_t session_end = name.find(':');
  if (session_end == std::string_view::npos) return std::nullopt;
  const std::size_t pid_end = name.find(':', session_end + 1);
  if (pid_end == std::string_view::npos) return std::nullopt;

  const std::string_view session = name.substr(0, session_end);
  const std::string_view encoded_key = name.substr(pid_end + 1);
  const auto pid = parse_pid(name.substr(session_end + 1, pid_end - session_end - 1));
  if (!pid || !check_session(session)) return std::nullopt;
  const bool reserved = encoded_key == kControlKey || encoded_key.starts_with("~t");
  if (!reserved && !is_encoded_key(encoded_key)) return std::nullopt;
  return SegmentNameView{session, *pid, encoded_key};
}

std::optional<SegmentNameParts> parse_name(std::string_view name) {
  const auto parts = split_name(name);
  if (!parts) return std::nullopt;
  return SegmentNameParts{std::string(parts->session), parts->pid, std::string(parts->encoded_key)};
}

std::string control_name(std::string_view session, pid_t pid) {
  return prefix_of(session, pid).append(kControlKey);
}

std::string temporary_name(std::string_view session, pid_t pid, std::uint64_t number) {
  return prefix_of(session, pid) + "~t" + std::to_string(number);
}

}  // namespace touchstone::engine
