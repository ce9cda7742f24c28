// Names of shared memory, both ways: any session, pid and key into a name and back, and any text as a name that somebody left in the
// directory.
//
// Danger: two spellings of one segment, a name that comes back as another, a user's key that becomes a reserved one, or a field that
// swallows its neighbour. The oracle: encoding and parsing are inverse to each other, the model spells every name by its own
// rules, and a name of the directory is ours only if encoding its parts gives the very same text again.
//
// Input: a byte that says which way; then, for a name, the text; else session, '\n', pid (four bytes), key. Regressions are lines of
// `name TEXT` and `parts SESSION PID KEY`, with %XX for any byte and %empty for nothing.

#include <algorithm>
#include <cctype>
#include <sstream>
#include <vector>

#include "engine/segments/name.h"
#include "fuzz/target.h"
#include "model/segment_spec.h"
#include "model/value.h"

namespace touchstone::fuzz {
namespace {

using Verdict = std::optional<std::string>;

Verdict judge_parts(const std::string& session, pid_t pid, const std::string& key) {
  const std::string where = "session " + model::quoted(session) + ", pid " + std::to_string(pid) + ", key " +
                            model::quoted(key) + ": ";
  const auto name = engine::encode_name(session, pid, key);
  const bool allowed = session.size() <= engine::kMaxSessionBytes &&
                       std::all_of(session.begin(), session.end(), [](unsigned char c) {
                         return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                       });
  if (!allowed)
    return name ? Verdict(where + "a session of more than 64 bytes or outside [A-Za-z0-9._-] was accepted")
                : std::nullopt;
  const auto right = model::segment_name(session, static_cast<std::uint32_t>(pid), key);
  if (static_cast<bool>(name) != right.has_value()) {
    return where + (right ? "refused, but " + model::quoted(*right) + " is its name"
                          : "named " + model::quoted(*name) + ", but it has none");
  }
  if (!name) return std::nullopt;
  if (*name != *right)
    return where + "named " + model::quoted(*name) + ", but the model says " + model::quoted(*right);
  if (name->size() > engine::kMaxNameBytes) return where + "the name is too long";
  if (name->find('/') != std::string::npos || name->find('\0') != std::string::npos)
    return where + "no file can have the name";
  const auto parts = engine::parse_name(*name);
  if (!parts) return where + "its own name does not parse";
  if (parts->session != session || parts->pid != pid)
    return where + "the name parses to another session or pid";
  if (parts->is_reserved()) return where + "a user's key became a reserved one";
  if (engine::decode_key(parts->encoded_key) != key) return where + "the key does not come back";
  return std::nullopt;
}

Verdict judge_name(const std::string& text) {
  const auto parts = engine::parse_name(text);
  if (!parts) return std::nullopt;
  const std::string where = "name " + model::quoted(text) + ": ";
  if (parts->pid <= 0) return where + "no process has such a pid";
  const std::string again = std::string(engine::kNamePrefix) + parts->session + ":" +
                            std::to_string(parts->pid) + ":" + parts->encoded_key;
  if (again != text) return where + "it has a second spelling, " + model::quoted(again);
  if (parts->is_reserved()) return std::nullopt;
  const auto key = engine::decode_key(parts->encoded_key);
  if (!key) return where + "its key cannot be decoded";
  const auto name = engine::encode_name(parts->session, parts->pid, *key);
  if (!name || *name != text) return where + "encoding its parts gives another name";
  return std::nullopt;
}

/// %XX is a byte and %empty nothing; all else is itself.
std::optional<std::string> unescape(const std::string& word) {
  if (word == "%empty") return "";
  std::string bytes;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      bytes += word[i];
    } else {
      const std::string digits = word.substr(i + 1, 2);
      if (digits.size() != 2 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
        return std::nullopt;
      bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
      i += 2;
    }
  }
  return bytes;
}

Verdict judge_line(const std::string& line) {
  std::istringstream stream(line.substr(0, line.find('#')));
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    const auto bytes = unescape(word);
    if (!bytes) return "not %XX in " + word;
    words.push_back(*bytes);
  }
  if (words.empty()) return std::nullopt;
  if (words.size() == 2 && words[0] == "name") return judge_name(words[1]);
  if (words.size() != 4 || words[0] != "parts")
    return "neither `name TEXT` nor `parts SESSION PID KEY`: " + line;
  if (words[2].empty() || words[2].size() > 9 ||
      words[2].find_first_not_of("0123456789") != std::string::npos)
    return "no pid: " + words[2];
  return judge_parts(words[1], std::stoi(words[2]), words[3]);
}

}  // namespace

const char* const kTarget = "segment_name_fuzz";

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  if (input.empty()) return std::nullopt;
  const std::string text(input.begin() + 1, input.end());
  if (input.front() % 4 == 0) return judge_name(text);
  if (input.front() % 4 == 1) return judge_name(std::string(engine::kNamePrefix) + text);
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string rest = text.substr(std::min(end + 1, text.size()));
  std::uint32_t pid = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, rest.size()); ++i)
    pid = pid << 8 | static_cast<std::uint8_t>(rest[i]);
  return judge_parts(text.substr(0, end), static_cast<pid_t>(pid % 4'194'304 + 1),
                     rest.size() > 4 ? rest.substr(4) : "");
}

std::optional<std::string> judge_text(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (auto wrong = judge_line(line)) return "line " + std::to_string(number) + ": " + *wrong;
  }
  return std::nullopt;
}

}  // namespace touchstone::fuzz
