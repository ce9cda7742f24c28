#pragma once
// What the depth-first search remembers: configurations from which it found no way on, and the places to come back to.
//
//   FailureMemo failures(layout.words(), true);
//   failures.insert(configuration, cells);
//   if (const Word* cells = failures.find(configuration, dominates)) ...   // it failed, or one did that could do all that it can
//
//   ChoiceStack choices(layout.words());
//   choices.push(configuration, {.cursor = 0, .effects = 7, .cells = 0});
//   while (!choices.empty()) choices.pop();                 // the last one first
//
// Both grow by blocks, so that they never take room for twice what they hold. The memo forgets its older half when it needs more than
// it may (W2 of general_search.h). Single-threaded.

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "model/configurations.h"

namespace touchstone::model {

/// Records of so many words each, in blocks: the first is small, each next one twice as large up to a limit.
class RecordStack {
 public:
  explicit RecordStack(std::size_t words) : words_(words) {}

  /// Room for one more; what it holds is for the caller to write.
  Word* push();
  void pop();
  Word* top() { return blocks_[block_].get() + (used_ - 1) * words_; }
  const Word* top() const { return blocks_[block_].get() + (used_ - 1) * words_; }
  Word* at(std::size_t number);
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kFirst = 16;
  static constexpr std::size_t kDoublings = 3;  // so what is free is little, also in a short history
  static std::size_t records_in(std::size_t block) {
    return kFirst << (block < kDoublings ? block : kDoublings);
  }

  std::size_t words_;
  std::vector<std::unique_ptr<Word[]>> blocks_;
  std::size_t block_ = 0;  ///< the one that the last record is in
  std::size_t used_ = 0;   ///< records in it
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

/// A place to come back to, beside its configuration.
struct ChoicePoint {
  std::uint32_t cursor = 0;   ///< which choice is next
  std::uint32_t effects = 0;  ///< how many there were
  Word cells = 0;             ///< a bit for each cell (modulo 64) that the failures after it were due to
};

class ChoiceStack {
 public:
  /// Of several cells, or of one: then there is nothing to say about cells.
  ChoiceStack(std::size_t words, bool one_cell)
      : words_(words), one_cell_(one_cell), records_(words + (one_cell ? 1 : 2)) {}

  void push(const Word* configuration, const ChoicePoint& point);
  void pop() { records_.pop(); }
  bool empty() const { return records_.size() == 0; }
  std::size_t size() const { return records_.size(); }
  std::size_t bytes() const { return records_.bytes(); }

  const Word* configuration() const { return records_.top(); }
  std::uint32_t cursor() const { return static_cast<std::uint32_t>(records_.top()[words_]); }
  std::uint32_t effects() const { return static_cast<std::uint32_t>(records_.top()[words_] >> 32U); }
  Word cells() const { return one_cell_ ? 0 : records_.top()[words_ + 1]; }
  void set_cursor(std::uint32_t cursor) { records_.top()[words_] = (Word{effects()} << 32U) | cursor; }
  void add_cells(Word cells) {
    if (!one_cell_) records_.top()[words_ + 1] |= cells;
  }

 private:
  std::size_t words_;
  bool one_cell_;
  RecordStack records_;
};

class FailureMemo {
 public:
  FailureMemo(std::size_t words, bool one_cell)
      : words_(words), one_cell_(one_cell), halves_{Half(words, one_cell), Half(words, one_cell)} {}

  /// Of a configuration that find() did not find.
  void insert(const Word* configuration, Word cells);

  /// The cells that the failure was due to; nothing if none is known. `dominates(failed)` is asked of some that have the same first
  /// word; nothing is asked of `equal_only`.
  template <class Dominates>
  std::optional<Word> find(const Word* configuration, bool equal_only, const Dominates& dominates) const {
    const std::size_t by_all = hash_of(configuration, words_);
    const std::size_t by_first = hash_of(configuration, 1);
    for (const Half& half : halves_) {
      if (const Word* it = half.equal(configuration, by_all)) return half.cells_of(it);
      if (equal_only) continue;
      int asked = 0;
      for (std::uint32_t number = half.first_of(half.by_first, by_first);
           number != kNone && asked < kCompared;) {
        const Word* it = half.at(number);
        if (it[0] == configuration[0]) {
          ++asked;
          if (dominates(it)) return half.cells_of(it);
        }
        number = static_cast<std::uint32_t>(it[words_] >> 32U);
      }
    }
    return std::nullopt;
  }

  void limit(std::size_t bytes) { limit_ = bytes; }
  std::size_t size() const { return halves_[0].records.size() + halves_[1].records.size(); }
  std::size_t bytes() const { return halves_[0].bytes() + halves_[1].bytes(); }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr Word kTheCell = 1;
  /// Dominance looks at so many failures of the same first word, the latest first.
  static constexpr int kCompared = 24;

  /// Records: the configuration, two numbers (the next of the same bucket in by_all, and in by_first), and of several cells which.
  struct Half {
    Half(std::size_t words_of_configuration, bool only_one_cell)
        : words(words_of_configuration),
          one_cell(only_one_cell),
          records(words_of_configuration + (only_one_cell ? 1 : 2)) {}

    Word cells_of(const Word* record) const { return one_cell ? kTheCell : record[words + 1]; }

    Word* at(std::uint32_t number) { return records.at(number); }
    const Word* at(std::uint32_t number) const { return const_cast<Half*>(this)->records.at(number); }
    std::uint32_t first_of(const std::vector<std::uint32_t>& buckets, std::size_t hash) const {
      return buckets.empty() ? kNone : buckets[hash & (buckets.size() - 1)];
    }
    const Word* equal(const Word* configuration, std::size_t hash) const;
    void insert(const Word* configuration, Word cells);
    void link(std::uint32_t number);
    std::size_t bytes() const {
      return records.bytes() + (by_all.capacity() + by_first.capacity()) * sizeof(std::uint32_t);
    }

    std::size_t words;
    bool one_cell;
    RecordStack records;
    std::vector<std::uint32_t> by_all;
    std::vector<std::uint32_t> by_first;
  };

  std::size_t words_;
  bool one_cell_;
  std::array<Half, 2> halves_;  ///< the younger first
  std::size_t limit_ = ~std::size_t{0};
};

}  // namespace touchstone::model
