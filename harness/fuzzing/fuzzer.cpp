#include "harness/fuzzing/fuzzer.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/explore/class_counts.h"
#include "harness/fuzzing/children.h"
#include "harness/fuzzing/corpus.h"
#include "harness/fuzzing/explanation.h"
#include "harness/fuzzing/generate.h"
#include "harness/fuzzing/libfuzzer.h"
#include "harness/fuzzing/round.h"

namespace touchstone::harness::fuzzing {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSaveEvery{10};
constexpr std::string_view kShard = "shard-";
constexpr std::uint64_t kRound = 1'000;    // executions
constexpr std::size_t kMostExplained = 6;  // of one claim, whatever its locations
constexpr std::size_t kMostTries = 3 * kMostExplained;

class Fuzzer {
 public:
  explicit Fuzzer(const FuzzOptions& options)
      : options_(options),
        began_(Clock::now()),
        until_(options.time ? began_ + std::chrono::duration_cast<Clock::duration>(own_time(options))
                            : Clock::time_point::max()),
        out_(folder_of(options.shard, options.out)),
        corpus_(options.corpus.empty() ? "" : folder_of(options.shard, options.corpus)),
        explainer_(out_, options.tool),
        progress_(options.jobs) {
    report_.seed = options.seed;
    if (options.executions) own_executions_ = share_of(*options.executions);
  }

  FuzzReport run() {
    read_known();
    read_corpus();
    while (!ended()) round();
    save();
    if (with_libfuzzer(options_) && !interrupted()) use_libfuzzer();
    save();
    finish();
    return std::move(report_);
  }

 private:
  /// It ends by the time, and would not keep a number of executions.
  static bool with_libfuzzer(const FuzzOptions& options) {
    return !options.libfuzzer.empty() && options.time && !options.executions;
  }

  /// libFuzzer has the last quarter.
  static std::chrono::nanoseconds own_time(const FuzzOptions& options) {
    return with_libfuzzer(options) ? *options.time / 4 * 3 : *options.time;
  }

  bool interrupted() {
    if (options_.interrupted && options_.interrupted()) report_.interrupted = true;
    return report_.interrupted;
  }

  bool ended() {
    const bool enough = own_executions_ && report_.executions >= *own_executions_;
    return enough || Clock::now() >= until_ || interrupted();
  }

  /// Of `all` executions those in the rounds that this shard takes.
  std::uint64_t share_of(std::uint64_t all) const {
    const std::uint64_t cycle = kRound * options_.shard.count;
    const std::uint64_t begin = kRound * options_.shard.index;
    const std::uint64_t rest = all % cycle;
    return all / cycle * kRound + (rest > begin ? std::min(rest - begin, kRound) : 0);
  }

  /// What earlier runs have found.
  void read_known() {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(out_, none)) {
      std::ifstream file(entry.path() / "signature.txt");
      FuzzFailure failure;
      if (!std::getline(file, failure.signature)) continue;
      std::getline(file, failure.message);
      std::ifstream line(entry.path() / "replay.txt");
      std::getline(line, failure.replay);
      if (failure.replay.starts_with("replay: ")) failure.replay.erase(0, 8);
      failure.directory = entry.path();
      failure.known = true;
      failures_.emplace(failure.signature, std::move(failure));
    }
  }

  static std::vector<std::filesystem::path> cases_in(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      if (entry.is_regular_file() && entry.path().extension() == ".txt") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }

  /// A shard's own, or, of the whole, those of all shards.
  std::vector<std::filesystem::path> further_folders() const {
    if (!options_.shard.whole()) return {folder_of(options_.shard, options_.corpus)};
    std::vector<std::filesystem::path> folders;
    for (const auto& entry : std::filesystem::directory_iterator(options_.corpus))
      if (entry.is_directory() && entry.path().filename().string().starts_with(kShard))
        folders.push_back(entry.path());
    std::sort(folders.begin(), folders.end());
    return folders;
  }

  /// Runs the cases of the directory, so that their features are known again.
  void read_corpus() {
    if (options_.corpus.empty()) return;
    std::filesystem::create_directories(folder_of(options_.shard, options_.corpus));
    std::vector<std::filesystem::path> files = cases_in(options_.corpus);
    for (const auto& folder : further_folders())
      for (auto& file : cases_in(folder)) files.push_back(std::move(file));
    std::vector<FuzzCase> cases;
    for (const auto& path : files) {
      std::ifstream file(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      auto parsed = parse_fuzz_case(text);
      if (const auto* error = std::get_if<explore::ScenarioError>(&parsed))
        throw MalformedCase(fmt::format("{}:{}: {}", path.string(), error->line, error->what));
      cases.push_back(std::get<FuzzCase>(std::move(parsed)));
    }
    run_kept(cases, Of::corpus);
  }

  /// What an execution counts as: a number of executions is one of the run.
  enum class Of { corpus, run };

  /// Cases as they are; one that kills its child is a failure, and the others are still run.
  void run_kept(std::vector<FuzzCase> cases, Of of) {
    while (!cases.empty()) {
      progress_[0].store(0);
      const ChildEnd end =
          run_children({[&] { return run_cases(cases, corpus_, progress_[0]); }}, progress_, kPatience)
              .front();
      const std::size_t reached = progress_[0].load();
      if (end.returned) return take(parse_round(end.text), of);
      if (reached == 0) return;
      explain(cases[reached - 1], std::string(kDied) + end.text, of == Of::corpus ? 0 : ran(of) + 1, 1);
      ++ran(of);
      // Those before it are run again without it.
      cases.erase(cases.begin() + static_cast<std::ptrdiff_t>(reached) - 1);
    }
  }

  void round() {
    std::uint64_t left = own_executions_ ? *own_executions_ - report_.executions : ~std::uint64_t{0};
    const std::uint64_t number = report_.rounds * options_.shard.count + options_.shard.index;
    std::vector<RoundPlan> plans;
    for (std::size_t job = 0; job < options_.jobs && left != 0; ++job) {
      const std::uint64_t executions = std::min(left, kRound);
      left -= executions;
      plans.push_back({options_.seed.derive(fmt::format("round {} of job {}", number, job)), executions,
                       std::nullopt, until_});
    }
    ++report_.rounds;
    std::vector<std::function<std::string()>> children;
    for (std::size_t job = 0; job < plans.size(); ++job) {
      progress_[job].store(0);
      children.emplace_back([this, &plans, job] { return run_round(plans[job], corpus_, progress_[job]); });
    }
    const std::vector<ChildEnd> ends = run_children(children, progress_, kPatience);
    std::vector<RoundResult> results;
    for (std::size_t job = 0; job < plans.size(); ++job) {
      if (ends[job].returned) {
        results.push_back(parse_round(ends[job].text));
      } else {
        results.push_back(before_death(plans[job], progress_[job].load(), ends[job].text));
      }
    }
    for (RoundResult& result : results) take(std::move(result), Of::run);
    if (Clock::now() - saved_ > kSaveEvery) save();
    show();
  }

  /// What a round did until the execution that killed it, and that one as a failure. The corpus is still as it was. Whatever is known of
  /// them, they count, so that a bound is met even by rounds that always die.
  RoundResult before_death(RoundPlan plan, std::uint64_t reached, const std::string& how) {
    RoundResult unknown;
    unknown.executions = std::max<std::uint64_t>(reached, 1);
    if (reached == 0) return unknown;
    plan.stop_before = reached - 1;
    plan.until = Clock::time_point::max();
    progress_[0].store(0);
    const ChildEnd end =
        run_children({[&] { return run_round(plan, corpus_, progress_[0]); }}, progress_, kPatience).front();
    if (!end.returned) return unknown;
    RoundResult result = parse_round(end.text);
    result.executions = reached;
    if (!result.next) return result;
    const std::string claim = std::string(kDied) + how;
    result.failed.push_back({*result.next, claim, reached});
    result.times[claim] += 1;
    return result;
  }

  std::uint64_t& ran(Of of) { return of == Of::corpus ? report_.of_corpus : report_.executions; }

  void take(RoundResult result, Of of) {
    const std::uint64_t before = ran(of);
    ran(of) += result.executions;
    report_.looked_at += result.executions;
    for (const std::uint64_t schedule : result.schedules) schedules_.add(schedule);
    for (const Feature feature : result.once) seen(feature, 1);
    for (const Feature feature : result.often) seen(feature, 2);
    for (auto& kept : result.kept) corpus_.add(std::move(kept.it), kept.features);
    for (const auto& failed : result.failed)
      explain(failed.it, failed.claim, of == Of::corpus ? 0 : before + failed.execution,
              result.times[failed.claim]);
  }

  void seen(Feature feature, std::uint8_t times) {
    std::uint8_t& known = times_seen_[feature];
    report_.features_once -= known == 1 ? 1 : 0;
    known = static_cast<std::uint8_t>(std::min(known + times, 2));
    report_.features_once += known == 1 ? 1 : 0;
  }

  void explain(const FuzzCase& it, const std::string& claim, std::uint64_t execution, std::uint64_t times) {
    Claim& known = claims_[claim];
    if (known.tries >= kMostTries || known.signatures.size() >= kMostExplained) {
      if (!known.signatures.empty()) failures_.at(known.signatures.back()).times += times;
      return;
    }
    ++known.tries;
    show();
    const auto explained = explainer_.explain(it, claim);
    if (!explained) return not_repeated(it, claim, execution, times);
    const std::string& signature = explained->drawn.signature;
    auto at = failures_.find(signature);
    const bool fresh = at == failures_.end();
    if (fresh) at = failures_.emplace(signature, explainer_.keep(*explained)).first;
    count(at->second, execution, times);
    if (std::find(known.signatures.begin(), known.signatures.end(), signature) == known.signatures.end())
      known.signatures.push_back(signature);
    if (fresh && options_.found) options_.found(at->second);
  }

  /// It failed, and does not fail again: what is left is the case.
  void not_repeated(const FuzzCase& it, const std::string& claim, std::uint64_t execution,
                    std::uint64_t times) {
    const std::string signature = claim + "; not repeated";
    auto at = failures_.find(signature);
    const bool fresh = at == failures_.end();
    if (fresh) {
      Explained kept{it, {signature, it.decisions, "", "", "it failed once, and not when it was repeated"}};
      at = failures_.emplace(signature, explainer_.keep(kept)).first;
    }
    count(at->second, execution, times);
    if (fresh && options_.found) options_.found(at->second);
  }

  static void count(FuzzFailure& failure, std::uint64_t execution, std::uint64_t times) {
    if (failure.times == 0) failure.first = execution;
    failure.times += times;
  }

  void use_libfuzzer() {
    const LibFuzzerRun found =
        run_libfuzzer({.binary = options_.libfuzzer,
                       .corpus = folder_of(options_.shard, options_.corpus),
                       .work = out_ / "libfuzzer",
                       .seed = options_.seed.derive("libFuzzer " + options_.shard.text()),
                       .time = std::chrono::ceil<std::chrono::seconds>(*options_.time / 4),
                       .interrupted = [this] { return interrupted(); }});
    report_.executions += found.executions;
    run_kept(found.cases, Of::run);
    show();
  }

  void finish() {
    report_.seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    report_.corpus = corpus_.size();
    report_.features = corpus_.features();
    report_.schedules = schedules_.classes();
    report_.failures.clear();
    for (const auto& [signature, failure] : failures_) {
      if (failure.times != 0) report_.failures.push_back(failure);
    }
    std::sort(report_.failures.begin(), report_.failures.end(),
              [](const FuzzFailure& a, const FuzzFailure& b) { return a.first < b.first; });
  }

  void save() {
    corpus_.save();
    saved_ = Clock::now();
  }

  void show() {
    if (!options_.progress) return;
    finish();
    options_.progress(report_);
  }

  struct Claim {
    std::size_t tries = 0;
    std::vector<std::string> signatures;
  };

  const FuzzOptions& options_;
  const Clock::time_point began_;
  const Clock::time_point until_;
  std::optional<std::uint64_t> own_executions_;
  const std::filesystem::path out_;
  Clock::time_point saved_ = Clock::now();
  Corpus corpus_;
  Explainer explainer_;
  SharedProgress progress_;
  FuzzReport report_;
  explore::ClassCounts schedules_;
  std::vector<std::uint8_t> times_seen_ = std::vector<std::uint8_t>(kFeatures);  // by feature: 0, 1, more
  std::map<std::string, FuzzFailure> failures_;                                  // by signature
  std::map<std::string, Claim> claims_;
};

}  // namespace

std::filesystem::path folder_of(const Shard& shard, const std::filesystem::path& directory) {
  if (shard.whole()) return directory;
  return directory / fmt::format("{}{:04}-of-{:04}", kShard, shard.index + 1, shard.count);
}

FuzzReport fuzz(const FuzzOptions& options) {
  return Fuzzer(options).run();
}

std::string to_json(const FuzzReport& report) {
  nlohmann::ordered_json failures = nlohmann::ordered_json::array();
  for (const FuzzFailure& it : report.failures) {
    failures.push_back({{"signature", it.signature},
                        {"message", it.message},
                        {"times", it.times},
                        {"first", it.first},
                        {"known", it.known},
                        {"artifact", it.directory.string()},
                        {"replay", it.replay}});
  }
  const nlohmann::ordered_json all = {
      {"seed", report.seed.text()},        {"executions", report.executions},
      {"of_corpus", report.of_corpus},     {"seconds", report.seconds},
      {"corpus", report.corpus},           {"features", report.features},
      {"schedules", report.schedules},     {"chance_of_new", report.chance_of_new()},
      {"interrupted", report.interrupted}, {"failures", failures}};
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace touchstone::harness::fuzzing
