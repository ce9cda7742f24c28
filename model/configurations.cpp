#include "model/configurations.h"

#include <algorithm>
#include <bit>

namespace touchstone::model {
namespace {

constexpr std::uint32_t kHalf = 32;

}  // namespace

std::size_t hash_of(const Word* words, std::size_t count) {
  Word hash = 0x9e3779b97f4a7c15U;
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash ^ words[i]) * 0xff51afd7ed558ccdU;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

Layout::Layout(const Problem& problem)
    : mask_words_((problem.slots + 63) / 64),
      optional_word_(problem.slots <= kHalf ? 1 : 1 + mask_words_),
      optional_bit_(problem.slots <= kHalf ? kHalf : 0),
      unknown_word_(optional_word_ + mask_words_),
      words_(unknown_word_) {
  std::uint32_t shift = 64;
  for (const UnknownClass& unknown : problem.unknown) {
    const auto bits = static_cast<std::uint32_t>(std::bit_width(unknown.operations.size()));
    if (shift + bits + 1 > 64) {
      ++words_;
      above_.push_back(0);
      shift = 0;
    }
    const auto word = static_cast<std::uint32_t>(words_ - 1);
    counts_.push_back({word, shift, static_cast<std::uint32_t>((Word{1} << bits) - 1)});
    above_.back() |= Word{1} << (shift + bits);
    shift += bits + 1;
  }
}

std::uint32_t Layout::optionals(const Word* it) const {
  int sum = 0;
  for (std::size_t i = 0; i < mask_words_; ++i) sum += std::popcount(optional_of(it, i));
  return static_cast<std::uint32_t>(sum);
}

bool Layout::dominates(const Word* better, const Word* worse, const Word* observers) const {
  if (state(better) != state(worse)) return false;
  for (std::size_t i = 0; i < mask_words_; ++i) {
    const Word optional = optional_of(better, i);
    const Word taken = taken_of(better, i);
    const Word differs = (taken ^ taken_of(worse, i)) | (optional ^ optional_of(worse, i));
    if ((differs & ~(optional | (taken & observers[i]))) != 0) return false;
  }
  // No count borrows from the bit above it if and only if none is greater.
  for (std::size_t i = 0; i < above_.size(); ++i) {
    const Word left = (worse[unknown_word_ + i] | above_[i]) - better[unknown_word_ + i];
    if ((left & above_[i]) != above_[i]) return false;
  }
  return true;
}

std::size_t ConfigurationTable::find(const Word* configuration) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t place = hash_of(configuration, words_) & mask;
  while (index_[place].generation == generation_ &&
         std::memcmp(at(index_[place].number), configuration, words_ * sizeof(Word)) != 0) {
    place = (place + 1) & mask;
  }
  return place;
}

bool ConfigurationTable::contains(const Word* configuration) const {
  return count_ != 0 && index_[find(configuration)].generation == generation_;
}

bool ConfigurationTable::insert(const Word* configuration) {
  if (index_.size() < (count_ + 1) * 2) grow();
  const std::size_t place = find(configuration);
  if (index_[place].generation == generation_) return false;
  store_.insert(store_.end(), configuration, configuration + words_);
  index_[place] = {generation_, static_cast<std::uint32_t>(count_++)};
  return true;
}

void ConfigurationTable::grow() {
  index_.assign(std::max<std::size_t>(16, index_.size() * 2), Entry{});
  generation_ = 1;
  const std::size_t mask = index_.size() - 1;
  for (std::size_t number = 0; number < count_; ++number) {
    std::size_t place = hash_of(at(number), words_) & mask;
    while (index_[place].generation == generation_) place = (place + 1) & mask;
    index_[place] = {generation_, static_cast<std::uint32_t>(number)};
  }
}

void ConfigurationTable::clear() {
  count_ = 0;
  store_.clear();
  if (++generation_ == 0) {
    index_.assign(index_.size(), Entry{});
    generation_ = 1;
  }
}

}  // namespace touchstone::model
