#include "harness/campaign.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <tuple>

#include "harness/artifact.h"
#include "harness/counted.h"

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;

std::string dumped(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string own_host() {
  std::string name(256, '\0');
  if (::gethostname(name.data(), name.size() - 1) != 0) return "host";
  name.resize(std::strlen(name.c_str()));
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

/// Another one each time, on whatever machine.
std::string attempt_name() {
  return fmt::format("{}.{}.{:x}", own_host(), ::getpid(),
                     std::chrono::system_clock::now().time_since_epoch().count());
}

Json header_of(const CampaignKey& key, std::uint32_t shard, std::uint32_t count, const std::string& attempt) {
  return {{"touchstone", kFormat},  {"command", key.command}, {"seed", key.seed},   {"subject", key.subject},
          {"options", key.options}, {"program", key.program}, {"shard", shard + 1}, {"of", count},
          {"attempt", attempt}};
}

/// One attempt at a shard, as its file says.
struct Attempt {
  CampaignKey key;
  std::uint32_t shard = 0;
  std::uint32_t count = 1;
  std::string file;
  bool ended = false;
  std::map<std::string, std::vector<Json>> records = {};
};

struct Refused {
  CampaignError error;
};

bool is_violated(const Json& result) {
  return result.value("verdict", "") == "violated";
}

/// How much was tried, to choose between attempts that were both cut off.
std::uint64_t tried_in(const Json& result) {
  std::uint64_t sum = 0;
  const Json tried = result.value("tried", Json::object());  // outlives items(), which refers to it
  for (const auto& [name, count] : tried.items())
    if (count.is_number_unsigned()) sum += count.get<std::uint64_t>();
  return sum;
}

/// Reads files into attempts by name, so that the same attempt read twice is there once.
class Reader {
 public:
  void read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw Refused{{"cannot read " + file.string()}};
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (text.empty()) silent_.push_back(file.string() + " is empty");
    Attempt* current = nullptr;
    std::size_t number = 0;
    for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      ++number;
      end = text.find('\n', begin);
      const bool whole = end != std::string::npos;
      if (!whole) end = text.size();
      const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                    text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      if (!whole || line.is_discarded()) {
        note_cut(file, number, !whole || end + 1 == text.size());
        if (current == nullptr) silent_.push_back(file.string() + " was cut off in its first line");
      } else if (!take(line, file, current)) {
        throw Refused{{fmt::format("{}:{}: not a line of a campaign's results (format {})", file.string(),
                                   number, kFormat)}};
      }
    }
  }

  std::size_t cut_lines() const { return cut_.size(); }

  /// Why there is no result, when none of the files says one.
  std::string nothing_said() const {
    const std::size_t more = silent_.size() - 1;  // no file is none: files_of()
    return "no results: " + silent_.front() +
           (more == 0 ? "" : ", and " + counted(more, "more file says nothing", "more files say nothing"));
  }
  std::map<std::string, Attempt>& attempts() { return attempts_; }

 private:
  /// Only a last line can have been cut by a kill; in the middle of a file it is damage.
  void note_cut(const fs::path& file, std::size_t number, bool last) {
    if (!last) throw Refused{{fmt::format("{}:{}: not JSON, and not the last line", file.string(), number)}};
    cut_.insert(file.filename().string());
  }

  bool take(const Json& line, const fs::path& file, Attempt*& current) try {
    if (line.contains("touchstone")) {
      if (line.at("touchstone") != kFormat) return false;
      Attempt made{.key = {line.at("command"), line.at("seed"), line.at("subject"), line.at("options"),
                           line.at("program")},
                   .shard = line.at("shard").get<std::uint32_t>() - 1,
                   .count = line.at("of"),
                   .file = file.string()};
      if (made.count == 0 || made.shard >= made.count) return false;
      agree(made);
      current = &attempts_.try_emplace(line.at("attempt"), std::move(made)).first->second;
      return true;
    }
    if (current == nullptr) return false;
    if (line.contains("ended")) {
      current->ended = true;
      return true;
    }
    auto& known = current->records[line.at("key")];
    const Json& result = line.at("result");
    if (std::find(known.begin(), known.end(), result) == known.end()) known.push_back(result);
    return true;
  } catch (const Json::exception&) {
    return false;
  }

  void agree(const Attempt& made) const {
    if (attempts_.empty()) return;
    const Attempt& first = attempts_.begin()->second;
    const std::tuple<const char*, std::string, std::string> parts[] = {
        {"program", first.key.program, made.key.program},
        {"command", first.key.command, made.key.command},
        {"seed", first.key.seed, made.key.seed},
        {"subject", first.key.subject, made.key.subject},
        {"line of options", first.key.options, made.key.options},
        {"number of shards", std::to_string(first.count), std::to_string(made.count)}};
    for (const auto& [name, one, other] : parts)
      if (one != other)
        throw Refused{{fmt::format("not of one campaign: the {} is \"{}\" in {} and \"{}\" in {}", name, one,
                                   first.file, other, made.file)}};
  }

  std::map<std::string, Attempt> attempts_;
  std::set<std::string> cut_;
  std::vector<std::string> silent_;
};

std::vector<fs::path> files_of(const fs::path& source) {
  std::error_code unknown;
  if (!fs::is_directory(source, unknown)) return {source};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(source))
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) throw Refused{{source.string() + " holds no results (*.jsonl)"}};
  return files;
}

/// Of one shard and key: every violation, or else the one result that says most.
std::vector<Json> chosen(const std::vector<const Attempt*>& attempts, const std::string& key) {
  std::vector<Json> violated;
  const Json* best = nullptr;
  std::tuple<bool, std::uint64_t, std::string> rank_of_best;
  for (const Attempt* attempt : attempts) {
    const auto found = attempt->records.find(key);
    if (found == attempt->records.end()) continue;
    for (const Json& result : found->second) {
      if (is_violated(result)) {
        if (std::find(violated.begin(), violated.end(), result) == violated.end()) violated.push_back(result);
        continue;
      }
      const std::tuple rank(attempt->ended, tried_in(result), result.dump());
      if (best == nullptr || rank_of_best < rank) {
        best = &result;
        rank_of_best = rank;
      }
    }
  }
  std::sort(violated.begin(), violated.end());
  if (violated.empty() && best != nullptr) violated.push_back(*best);
  return violated;
}

Campaign joined(Reader& reader) {
  Campaign all;
  all.cut_lines = reader.cut_lines();
  std::map<std::uint32_t, std::vector<const Attempt*>> by_shard;
  std::set<std::string> keys;
  for (const auto& [name, attempt] : reader.attempts()) {
    all.key = attempt.key;
    all.count = attempt.count;
    by_shard[attempt.shard].push_back(&attempt);
    for (const auto& [key, results] : attempt.records) keys.insert(key);
  }
  for (const auto& [shard, attempts] : by_shard)
    all.shards.push_back(
        {shard, std::any_of(attempts.begin(), attempts.end(), [](const auto* one) { return one->ended; }),
         attempts.size()});
  for (const std::string& key : keys)
    for (const auto& [shard, attempts] : by_shard)
      for (Json& result : chosen(attempts, key)) all.records.push_back({shard, key, std::move(result)});
  return all;
}

}  // namespace

std::string CampaignKey::program_hash() {
  return file_hash("/proc/self/exe");
}

std::string CampaignKey::file_hash(const fs::path& file) {
  std::ifstream self(file, std::ios::binary);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, by words
  std::vector<std::uint64_t> block(1u << 13);
  while (self) {
    std::fill(block.begin(), block.end(), 0);
    self.read(reinterpret_cast<char*>(block.data()),
              static_cast<std::streamsize>(block.size() * sizeof(std::uint64_t)));
    const auto words = (static_cast<std::size_t>(self.gcount()) + 7) / 8;
    for (std::size_t i = 0; i < words; ++i) {
      hash = (hash ^ block[i]) * 0x100000001b3;
      hash ^= hash >> 29;
    }
  }
  return fmt::format("0x{:016x}", hash);
}

CampaignResults::CampaignResults(const fs::path& directory, const CampaignKey& key, const Shard& shard) {
  const std::string attempt = attempt_name();
  std::error_code failed;
  fs::create_directories(directory, failed);
  file_ = directory / fmt::format("shard-{:04}-of-{:04}.{}.jsonl", shard.index + 1, shard.count, attempt);
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw std::runtime_error(fmt::format("{}: {}", file_.string(), std::strerror(errno)));
  write(header_of(key, shard.index, shard.count, attempt));
}

CampaignResults::~CampaignResults() {
  ::close(descriptor_);
}

void CampaignResults::add(std::string_view key, Json result) {
  write({{"key", key}, {"result", std::move(result)}});
}

void CampaignResults::finish() {
  write({{"ended", true}});
}

void CampaignResults::write(const Json& line) {
  const std::string text = dumped(line);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(descriptor_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) throw std::runtime_error(fmt::format("{}: {}", file_.string(), std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
}

std::vector<std::uint32_t> Campaign::missing() const {
  std::vector<std::uint32_t> none;
  for (std::uint32_t number = 0; number < count; ++number)
    if (std::none_of(shards.begin(), shards.end(), [&](const auto& it) { return it.shard == number; }))
      none.push_back(number);
  return none;
}

std::vector<std::uint32_t> Campaign::unended() const {
  std::vector<std::uint32_t> cut;
  for (const CampaignShard& it : shards)
    if (!it.ended) cut.push_back(it.shard);
  return cut;
}

std::variant<Campaign, CampaignError> read_campaign(const std::vector<fs::path>& sources) {
  try {
    Reader reader;
    for (const fs::path& source : sources)
      for (const fs::path& file : files_of(source)) reader.read(file);
    if (reader.attempts().empty()) return CampaignError{reader.nothing_said()};
    return joined(reader);
  } catch (const Refused& refused) {
    return refused.error;
  }
}

void write_campaign(const Campaign& campaign, const fs::path& file) {
  std::string text;
  for (const CampaignShard& it : campaign.shards) {
    text += dumped(header_of(campaign.key, it.shard, campaign.count, fmt::format("merged.{}", it.shard + 1)));
    for (const CampaignRecord& record : campaign.records)
      if (record.shard == it.shard) text += dumped({{"key", record.key}, {"result", record.result}});
    if (it.ended) text += dumped({{"ended", true}});
  }
  const fs::path folder = file.parent_path();
  Artifact(folder.empty() ? "." : folder).write(file.filename().string(), text);
}

}  // namespace touchstone::harness
