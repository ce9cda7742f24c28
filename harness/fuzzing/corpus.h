#pragma once
// The cases that are worth changing: for each feature the smallest one that has it.
//
//   Corpus corpus(directory);                              // "" keeps nothing on disk
//   if (corpus.wants(it_size, features)) corpus.add(it, features);
//   const FuzzCase& parent = corpus.pick(draws);
//   corpus.save();                                         // now and then, and in the end
//
// On disk each case is a text file, case-HASH.txt, written whole or not at all, and removed when others have all that it had.
//
// Thread safety: one thread.

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/fuzzing/draws.h"
#include "harness/fuzzing/fuzz_case.h"
#include "harness/fuzzing/schedule_coverage.h"

namespace touchstone::harness::fuzzing {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path directory = {});

  /// Whether a case of this size brings a feature that none has, or one that only far larger ones have.
  bool wants(std::size_t size, std::span<const Feature> features) const;

  /// False if it has nothing that another does not have.
  bool add(FuzzCase it, std::span<const Feature> features);

  /// Writes what is new since the last time, and removes what is not needed any more.
  void save();

  bool empty() const { return live_.empty(); }
  std::size_t size() const { return live_.size(); }
  std::size_t features() const { return features_; }

  /// New ones more often than old ones.
  const FuzzCase& pick(Draws& draws) const;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Entry {
    FuzzCase it;
    std::size_t size;
    std::size_t owned = 0;  // features
    bool saved = false;
  };

  bool better(std::size_t size, Feature feature) const;
  void drop(std::uint32_t entry);

  std::filesystem::path directory_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<std::uint32_t> owner_;    // by feature
  std::vector<std::uint32_t> live_;     // oldest first
  std::vector<std::uint32_t> dropped_;  // since the last time
  std::size_t features_ = 0;
};

/// "case-", 16 hex digits of the text's hash, ".txt"
std::string file_name_of(const std::string& text);

}  // namespace touchstone::harness::fuzzing
