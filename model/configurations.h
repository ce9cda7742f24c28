#pragma once
// Configurations of the general searches, and exact tables of them.
//
//   Layout layout(problem);
//   ConfigurationTable table(layout.words());
//   if (table.insert(configuration)) ...                 // false: it was there
//   layout.set_taken(configuration, slot);
//
// A configuration is one array of words:
//   word 0        state (low 32 bits) and event (high 32 bits; the breadth-first search leaves it 0)
//   D words       one bit for each slot: the open operation has taken effect
//   O words       one bit for each slot: the open blind operation may or may not have taken effect
//   ("optional") U words       four 16-bit counts each: how many operations of an unknown class took effect
// Two configurations are compared word by word; hashes only find the place to look (V4).

#include <cstdint>
#include <cstring>
#include <vector>

#include "model/problem.h"

namespace touchstone::model {

using Word = std::uint64_t;

class Layout {
 public:
  explicit Layout(const Problem& problem)
      : mask_words_((problem.slots + 63) / 64),
        words_(1 + 2 * mask_words_ + (problem.unknown.size() + 3) / 4) {}

  std::size_t words() const { return words_; }
  std::size_t mask_words() const { return mask_words_; }

  static StateId state(const Word* it) { return static_cast<StateId>(it[0]); }
  static std::uint32_t event(const Word* it) { return static_cast<std::uint32_t>(it[0] >> 32U); }
  static void set_state(Word* it, StateId state) { it[0] = (it[0] >> 32U << 32U) | state; }
  static void set_event(Word* it, std::uint32_t event) { it[0] = (Word{event} << 32U) | state(it); }

  static bool taken(const Word* it, std::uint32_t slot) {
    return ((it[1 + slot / 64] >> (slot % 64)) & 1U) != 0;
  }
  bool optional(const Word* it, std::uint32_t slot) const {
    return ((it[1 + mask_words_ + slot / 64] >> (slot % 64)) & 1U) != 0;
  }
  bool waiting(const Word* it, std::uint32_t slot) const { return !taken(it, slot) && !optional(it, slot); }

  void set_taken(Word* it, std::uint32_t slot) const {
    it[1 + slot / 64] |= Word{1} << (slot % 64);
    it[1 + mask_words_ + slot / 64] &= ~(Word{1} << (slot % 64));
  }
  void set_optional(Word* it, std::uint32_t slot) const {
    it[1 + mask_words_ + slot / 64] |= Word{1} << (slot % 64);
  }
  void clear(Word* it, std::uint32_t slot) const {
    it[1 + slot / 64] &= ~(Word{1} << (slot % 64));
    it[1 + mask_words_ + slot / 64] &= ~(Word{1} << (slot % 64));
  }

  std::uint32_t used(const Word* it, std::size_t unknown) const {
    return static_cast<std::uint16_t>(it[1 + 2 * mask_words_ + unknown / 4] >> (16 * (unknown % 4)));
  }
  void use(Word* it, std::size_t unknown) const {
    it[1 + 2 * mask_words_ + unknown / 4] += Word{1} << (16 * (unknown % 4));
  }

  /// True if whatever can follow `worse` can follow `better`: the same state, and for every open operation
  /// optional is at least as good as taken or waiting, for an observer taken at least as good as waiting, and for
  /// every unknown class fewer are at least as good as more.
  bool dominates(const Word* better, const Word* worse, const Word* observers) const;

 private:
  std::size_t mask_words_;
  std::size_t words_;
};

/// A set of configurations, exact, with stable numbers in order of insertion.
class ConfigurationTable {
 public:
  explicit ConfigurationTable(std::size_t words) : words_(words) {}

  /// False if it was there.
  bool insert(const Word* configuration);
  bool contains(const Word* configuration) const;

  void clear();
  std::size_t size() const { return count_; }
  const Word* at(std::size_t number) const { return store_.data() + number * words_; }
  std::size_t bytes() const { return store_.capacity() * sizeof(Word) + index_.capacity() * sizeof(Entry); }

 private:
  /// Free unless it is of this generation, so that clear() costs nothing.
  struct Entry {
    std::uint32_t generation = 0;
    std::uint32_t number = 0;
  };

  std::size_t find(const Word* configuration) const;
  void grow();

  std::size_t words_;
  std::size_t count_ = 0;
  std::vector<Word> store_;
  std::uint32_t generation_ = 1;
  std::vector<Entry> index_;  ///< open addressing
};

}  // namespace touchstone::model
