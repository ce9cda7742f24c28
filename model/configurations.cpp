#include "model/configurations.h"

#include <algorithm>

namespace touchstone::model {
namespace {

std::size_t hash_of(const Word* words, std::size_t count) {
  Word hash = 0x9e3779b97f4a7c15U;
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash ^ words[i]) * 0xff51afd7ed558ccdU;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

}  // namespace

bool Layout::dominates(const Word* better, const Word* worse, const Word* observers) const {
  if (state(better) != state(worse)) return false;
  const Word* better_optional = better + 1 + mask_words_;
  for (std::size_t i = 0; i < mask_words_; ++i) {
    const Word differs = (better[1 + i] ^ worse[1 + i]) | (better_optional[i] ^ worse[1 + mask_words_ + i]);
    if ((differs & ~(better_optional[i] | (better[1 + i] & observers[i]))) != 0) return false;
  }
  for (std::size_t i = 1 + 2 * mask_words_; i < words_; ++i) {
    if (better[i] == worse[i]) continue;
    for (unsigned shift = 0; shift < 64; shift += 16) {
      if (static_cast<std::uint16_t>(better[i] >> shift) > static_cast<std::uint16_t>(worse[i] >> shift))
        return false;
    }
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
