#include "harness/fuzzing/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harness/artifact.h"

namespace touchstone::harness::fuzzing {

Corpus::Corpus(std::filesystem::path directory)
    : directory_(std::move(directory)), owner_(kFeatures, kNone) {}

bool Corpus::better(std::size_t size, Feature feature) const {
  return owner_[feature] == kNone || size * 2 <= entries_[owner_[feature]]->size;
}

bool Corpus::wants(std::size_t size, std::span<const Feature> features) const {
  return std::any_of(features.begin(), features.end(),
                     [&](const Feature feature) { return better(size, feature); });
}

bool Corpus::add(FuzzCase it, std::span<const Feature> features) {
  const std::size_t size = size_of(it);
  if (!wants(size, features)) return false;
  const auto number = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back(std::make_unique<Entry>(Entry{std::move(it), size, 0, false}));
  Entry& entry = *entries_.back();
  std::vector<std::uint32_t> robbed;
  for (const Feature feature : features) {
    if (!better(size, feature)) continue;
    if (owner_[feature] == kNone) {
      ++features_;
    } else if (--entries_[owner_[feature]]->owned == 0) {
      robbed.push_back(owner_[feature]);
    }
    owner_[feature] = number;
    ++entry.owned;
  }
  live_.push_back(number);
  for (const std::uint32_t other : robbed) drop(other);
  return true;
}

void Corpus::drop(std::uint32_t number) {
  std::erase(live_, number);
  dropped_.push_back(number);
}

void Corpus::save() {
  if (directory_.empty()) return;
  const Artifact directory(directory_);
  for (const std::uint32_t number : live_) {
    Entry& entry = *entries_[number];
    if (std::exchange(entry.saved, true)) continue;
    const std::string text = to_text(entry.it);
    if (const std::string name = file_name_of(text); !std::filesystem::exists(directory_ / name))
      directory.write(name, text);
  }
  for (const std::uint32_t number : dropped_) {
    std::error_code gone;
    std::filesystem::remove(directory_ / file_name_of(to_text(entries_[number]->it)), gone);
  }
  dropped_.clear();
}

const FuzzCase& Corpus::pick(Draws& draws) const {
  const std::uint64_t at = std::max(draws.below(live_.size()), draws.below(live_.size()));
  return entries_[live_[at]]->it;
}

std::string file_name_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("case-{:016x}.txt", hash);
}

}  // namespace touchstone::harness::fuzzing
