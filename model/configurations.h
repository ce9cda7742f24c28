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
//   O words       one bit for each slot: the open blind operation may or may not have taken effect ("optional")
//   U words       for each unknown class how many operations took effect, in as many bits as it may take, and a 0 above them
// Where there are at most 32 slots, D and O are the halves of one word. Two configurations are compared word by word; hashes only find the place to look (V4).

#include <cstdint>
#include <cstring>
#include <vector>

#include "model/problem.h"

namespace touchstone::model {

using Word = std::uint64_t;

class Layout {
 public:
  explicit Layout(const Problem& problem);

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
    return ((it[optional_word_ + slot / 64] >> (optional_bit_ + slot % 64)) & 1U) != 0;
  }
  bool waiting(const Word* it, std::uint32_t slot) const { return !taken(it, slot) && !optional(it, slot); }

  void set_taken(Word* it, std::uint32_t slot) const {
    it[1 + slot / 64] |= Word{1} << (slot % 64);
    it[optional_word_ + slot / 64] &= ~(Word{1} << (optional_bit_ + slot % 64));
  }
  void set_optional(Word* it, std::uint32_t slot) const {
    it[optional_word_ + slot / 64] |= Word{1} << (optional_bit_ + slot % 64);
  }
  void clear(Word* it, std::uint32_t slot) const {
    it[1 + slot / 64] &= ~(Word{1} << (slot % 64));
    it[optional_word_ + slot / 64] &= ~(Word{1} << (optional_bit_ + slot % 64));
  }

  std::uint32_t used(const Word* it, std::size_t unknown) const {
    const Count& count = counts_[unknown];
    return static_cast<std::uint32_t>(it[count.word] >> count.shift) & count.mask;
  }
  void use(Word* it, std::size_t unknown) const {
    it[counts_[unknown].word] += Word{1} << counts_[unknown].shift;
  }

  /// How many open operations are optional.
  std::uint32_t optionals(const Word* it) const;

  /// True if whatever can follow `worse` can follow `better`: the same state, and for every open operation
  /// optional is at least as good as taken or waiting, for an observer taken at least as good as waiting, and for
  /// every unknown class fewer are at least as good as more.
  bool dominates(const Word* better, const Word* worse, const Word* observers) const;

 private:
  /// Where the count of an unknown class is.
  struct Count {
    std::uint32_t word;
    std::uint32_t shift;
    std::uint32_t mask;
  };

  Word taken_of(const Word* it, std::size_t mask_word) const {
    return optional_bit_ == 0 ? it[1 + mask_word] : static_cast<std::uint32_t>(it[1]);
  }
  Word optional_of(const Word* it, std::size_t mask_word) const {
    return it[optional_word_ + mask_word] >> optional_bit_;
  }

  std::size_t mask_words_;
  std::size_t optional_word_;  ///< the first O word
  std::uint32_t optional_bit_;
  std::size_t unknown_word_;  ///< the first U word
  std::size_t words_;
  std::vector<Count> counts_;
  std::vector<Word> above_;  ///< of each U word the bits above the counts
};

std::size_t hash_of(const Word* words, std::size_t count);

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
