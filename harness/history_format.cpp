#include "harness/history_format.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

struct Close {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

std::variant<std::string, MalformedHistory> read_all(const std::string& file) {
  std::unique_ptr<std::FILE, Close> in(file == "-" ? stdin : std::fopen(file.c_str(), "rb"));
  std::string text;
  char block[65536];
  while (in) {
    const std::size_t got = std::fread(block, 1, sizeof block, in.get());
    text.append(block, got);
    if (got == sizeof block) continue;
    if (std::ferror(in.get()) == 0) return text;
    break;
  }
  return MalformedHistory{file, 0, std::string("cannot be read: ") + std::strerror(errno)};
}

/// The format of the first line that has one.
std::optional<HistoryFormat> detect(std::string_view text) {
  for (LineReader lines(text); const auto line = lines.next();) {
    if (line->find("jepsen.util") != std::string_view::npos) return HistoryFormat::kEtcd;
    const std::string_view start = trimmed(*line);
    if (start.substr(0, 1) != "{") continue;
    const std::string_view inside = trimmed(start.substr(1));
    if (inside.substr(0, 1) == ":") return HistoryFormat::kKv;
    if (inside.substr(0, 1) == "\"" || inside.substr(0, 1) == "}") return HistoryFormat::kJsonLines;
  }
  return std::nullopt;
}

bool only_blanks(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

std::optional<HistoryFormat> parse_history_format(std::string_view name) {
  if (name == "auto") return HistoryFormat::kAuto;
  if (name == "etcd") return HistoryFormat::kEtcd;
  if (name == "kv") return HistoryFormat::kKv;
  if (name == "jsonl") return HistoryFormat::kJsonLines;
  return std::nullopt;
}

HistoryOrError read_history(const std::string& file, HistoryFormat format) {
  auto text = read_all(file);
  if (auto* bad = std::get_if<MalformedHistory>(&text)) return std::move(*bad);
  return parse_history(std::get<std::string>(text), file, format);
}

HistoryOrError parse_history(std::string_view text, const std::string& name, HistoryFormat format) {
  if (format == HistoryFormat::kAuto) {
    if (only_blanks(text)) return model::History();
    const auto detected = detect(text);
    if (!detected) return MalformedHistory{name, 1, "expected an etcd log, a kv log or JSON lines"};
    format = *detected;
  }
  switch (format) {
    case HistoryFormat::kEtcd:
      return parse_etcd_history(text, name);
    case HistoryFormat::kKv:
      return parse_kv_history(text, name);
    default:
      return parse_jsonl_history(text, name);
  }
}

std::string to_text(const MalformedHistory& malformed) {
  const std::string line = malformed.line == 0 ? std::string() : ":" + std::to_string(malformed.line);
  return malformed.file + line + ": " + malformed.problem;
}

}  // namespace touchstone::harness
