#include "harness/history_format.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "harness/history_binary.h"
#include "harness/history_edn_value.h"
#include "harness/history_elle.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

/// The bytes of a file: mapped if it is one, read if it is a pipe.
class FileBytes {
 public:
  explicit FileBytes(const std::string& file) {
    descriptor_ = file == "-" ? STDIN_FILENO : open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0 || (!map() && !read_all())) error_ = errno;
  }
  ~FileBytes() {
    if (mapped_ != nullptr) munmap(mapped_, size_);
    if (descriptor_ > STDIN_FILENO) close(descriptor_);
  }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  /// The errno of what failed; 0 if nothing did.
  int error() const { return error_; }

  std::string_view bytes() const {
    return mapped_ != nullptr ? std::string_view(static_cast<const char*>(mapped_), size_) : read_;
  }

 private:
  bool map() {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return false;
    size_ = static_cast<std::size_t>(status.st_size);
    void* place = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (place == MAP_FAILED) return false;
    mapped_ = place;
    return true;
  }

  bool read_all() {
    char block[65536];
    for (;;) {
      const ssize_t got = read(descriptor_, block, sizeof block);
      if (got == 0) return true;
      if (got > 0) {
        read_.append(block, static_cast<std::size_t>(got));
      } else if (errno != EINTR) {
        return false;
      }
    }
  }

  int descriptor_ = -1;
  int error_ = 0;
  void* mapped_ = nullptr;
  std::size_t size_ = 0;
  std::string read_;
};

/// A map in EDN: transactions have their operations in their values, a key-value log names its keys with :key, a history of registers
/// has them in its values.
HistoryFormat kind_of_edn(std::string_view text) {
  if (is_elle_history(text)) return HistoryFormat::kElle;
  EdnReader reader(text);
  reader.enter();
  const EdnOrProblem first = reader.next();
  const auto* map = std::get_if<Edn>(&first);
  return map != nullptr && map->get("key") != nullptr ? HistoryFormat::kKv : HistoryFormat::kEdn;
}

template <class Read>
AnyHistory any(Read read) {
  return std::visit([](auto&& it) -> AnyHistory { return std::move(it); }, std::move(read));
}

HistoryOrError without_transactions(AnyHistory read, const std::string& name) {
  if (auto* bad = std::get_if<MalformedHistory>(&read)) return std::move(*bad);
  if (auto* history = std::get_if<model::History>(&read)) return std::move(*history);
  return MalformedHistory{name, 0, "expected a history of single operations, not of transactions"};
}

bool only_blanks(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

std::optional<HistoryFormat> parse_history_format(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kHistoryFormats); ++i) {
    if (name == kHistoryFormats[i]) return static_cast<HistoryFormat>(i);
  }
  return std::nullopt;
}

std::optional<HistoryFormat> detect_history_format(std::string_view text) {
  if (text.substr(0, kBinaryMagic.size()) == kBinaryMagic) return HistoryFormat::kBinary;
  std::string_view rest = text;
  for (LineReader lines(text); const auto line = lines.next();) {
    rest = text.substr(static_cast<std::size_t>(line->data() - text.data()));
    if (line->find("jepsen.util") != std::string_view::npos) return HistoryFormat::kEtcd;
    const std::string_view start = trimmed(*line);
    if (start.substr(0, 1) == "[" || start.substr(0, 1) == "(" || start.substr(0, 2) == "#j")
      return kind_of_edn(rest);
    if (start.substr(0, 1) != "{") continue;
    const std::string_view inside = trimmed(start.substr(1));
    if (inside.substr(0, 1) == ":") return kind_of_edn(rest);
    if (inside.substr(0, 1) == "\"" || inside.substr(0, 1) == "}")
      return start.find("\"touchstone\"") == std::string_view::npos && is_elle_history(rest)
                 ? HistoryFormat::kElle
                 : HistoryFormat::kJsonLines;
  }
  return std::nullopt;
}

AnyHistory read_any_history(const std::string& file, HistoryFormat format) {
  const FileBytes bytes(file);
  if (bytes.error() != 0)
    return MalformedHistory{file, 0, std::string("cannot be read: ") + std::strerror(bytes.error())};
  return parse_any_history(bytes.bytes(), file, format);
}

HistoryOrError read_history(const std::string& file, HistoryFormat format) {
  return without_transactions(read_any_history(file, format), file);
}

HistoryOrError parse_history(std::string_view text, const std::string& name, HistoryFormat format) {
  return without_transactions(parse_any_history(text, name, format), name);
}

AnyHistory parse_any_history(std::string_view text, const std::string& name, HistoryFormat format) {
  if (format == HistoryFormat::kAuto) {
    if (only_blanks(text)) return model::History();
    const auto detected = detect_history_format(text);
    if (!detected)
      return MalformedHistory{
          name, 1,
          "expected an etcd log, a kv log, EDN, JSON lines, a binary history or Elle's transactions"};
    format = *detected;
  }
  switch (format) {
    case HistoryFormat::kEtcd:
      return any(parse_etcd_history(text, name));
    case HistoryFormat::kKv:
      return any(parse_kv_history(text, name));
    case HistoryFormat::kEdn:
      return any(parse_edn_history(text, name));
    case HistoryFormat::kBinary:
      return any(parse_binary_history(text, name));
    case HistoryFormat::kElle:
      return any(parse_elle_history(text, name));
    default:
      return any(parse_jsonl_history(text, name));
  }
}

std::string to_text(const MalformedHistory& malformed) {
  const std::string line = malformed.line == 0 ? std::string() : ":" + std::to_string(malformed.line);
  return malformed.file + line + ": " + malformed.problem;
}

}  // namespace touchstone::harness
