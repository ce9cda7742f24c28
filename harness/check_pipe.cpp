#include "harness/check_pipe.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace touchstone::harness {
namespace {

/// What read() gives next, "" at the end; nothing if it fails.
std::optional<std::string> read_some(int descriptor) {
  char block[65536];
  for (;;) {
    const ssize_t got = read(descriptor, block, sizeof block);
    if (got >= 0) return std::string(block, static_cast<std::size_t>(got));
    if (errno != EINTR) return std::nullopt;
  }
}

MalformedHistory unreadable(const std::string& name) {
  return {name, 0, std::string("cannot be read: ") + std::strerror(errno)};
}

PipeVerdict as_verdict(StreamEnd end) {
  if (auto* bad = std::get_if<MalformedHistory>(&end)) return std::move(*bad);
  return std::get<StreamVerdict>(std::move(end));
}

PipeVerdict follow(int descriptor, HistoryStream stream, std::string bytes) {
  for (;;) {
    if (auto end = stream.feed(bytes)) return as_verdict(*std::move(end));
    auto more = read_some(descriptor);
    if (!more) return unreadable("-");
    if (more->empty()) return as_verdict(stream.finish());
    bytes = *std::move(more);
  }
}

}  // namespace

PipeVerdict check_pipe(int descriptor, const std::string& name, HistoryFormat format,
                       const StreamLimits& limits) {
  std::string text;
  bool decided = false;
  for (;;) {
    const auto more = read_some(descriptor);
    if (!more) return unreadable(name);
    if (more->empty()) break;
    text += *more;
    const std::size_t lines = text.rfind('\n');
    if (decided || lines == std::string::npos) continue;
    const std::string_view whole_lines = std::string_view(text).substr(0, lines + 1);
    const auto found = format == HistoryFormat::kAuto ? detect_history_format(whole_lines) : format;
    if (!found) continue;
    if (is_stream(*found, whole_lines)) return follow(descriptor, HistoryStream(name, *found, limits), text);
    decided = true;
  }
  return std::visit([](auto&& it) -> PipeVerdict { return std::move(it); },
                    parse_any_history(text, name, format));
}

}  // namespace touchstone::harness
