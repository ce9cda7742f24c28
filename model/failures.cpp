#include "model/failures.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace touchstone::model {
namespace {

/// So many records share a bucket before there are four times as many.
constexpr std::size_t kLoad = 2;
constexpr std::size_t kFirstBuckets = 16;

}  // namespace

Word* RecordStack::push() {
  if (blocks_.empty() || used_ == records_in(block_)) {
    block_ = blocks_.empty() ? 0 : block_ + 1;
    used_ = 0;
    if (block_ == blocks_.size()) {
      const std::size_t words = records_in(block_) * words_;
      blocks_.push_back(std::unique_ptr<Word[]>(new Word[words]));  // not zeroed
      bytes_ += words * sizeof(Word);
    }
  }
  ++used_;
  ++size_;
  return top();
}

void RecordStack::pop() {
  --size_;
  if (--used_ != 0 || block_ == 0) return;
  // One free block is kept, so that going to and fro costs nothing.
  if (block_ + 1 < blocks_.size()) {
    bytes_ -= records_in(block_ + 1) * words_ * sizeof(Word);
    blocks_.pop_back();
  }
  used_ = records_in(--block_);
}

Word* RecordStack::at(std::size_t number) {
  constexpr std::size_t kGrowing =
      kFirst * ((std::size_t{1} << kDoublings) - 1);  // records in the blocks that grow
  if (number >= kGrowing) {
    const std::size_t behind = number - kGrowing;
    constexpr std::size_t kLargest = kFirst << kDoublings;
    return blocks_[kDoublings + behind / kLargest].get() + behind % kLargest * words_;
  }
  const std::size_t block = std::bit_width(number / kFirst + 1) - 1;
  return blocks_[block].get() + (number - kFirst * ((std::size_t{1} << block) - 1)) * words_;
}

void ChoiceStack::push(const Word* configuration, const ChoicePoint& point) {
  Word* it = records_.push();
  std::copy(configuration, configuration + words_, it);
  it[words_] = (Word{point.effects} << 32U) | point.cursor;
  if (!one_cell_) it[words_ + 1] = point.cells;
}

const Word* FailureMemo::Half::equal(const Word* configuration, std::size_t hash) const {
  for (std::uint32_t number = first_of(by_all, hash); number != kNone;) {
    const Word* it = at(number);
    if (std::memcmp(it, configuration, words * sizeof(Word)) == 0) return it;
    number = static_cast<std::uint32_t>(it[words]);
  }
  return nullptr;
}

void FailureMemo::Half::link(std::uint32_t number) {
  Word* it = at(number);
  std::uint32_t& all = by_all[hash_of(it, words) & (by_all.size() - 1)];
  std::uint32_t& first = by_first[hash_of(it, 1) & (by_first.size() - 1)];
  it[words] = (Word{first} << 32U) | all;
  all = first = number;
}

void FailureMemo::Half::insert(const Word* configuration, Word cells) {
  const auto number = static_cast<std::uint32_t>(records.size());
  Word* it = records.push();
  std::copy(configuration, configuration + words, it);
  if (!one_cell) it[words + 1] = cells;
  if (records.size() > by_all.size() * kLoad) {
    const std::size_t buckets = std::max(kFirstBuckets, by_all.size() * 2);
    by_all = std::vector<std::uint32_t>(buckets, kNone);
    by_first = std::vector<std::uint32_t>(buckets, kNone);
    for (std::uint32_t i = 0; i < number; ++i) link(i);
  }
  link(number);
}

void FailureMemo::insert(const Word* configuration, Word cells) {
  if (halves_[0].bytes() > limit_ / 2) {
    halves_[1] = std::move(halves_[0]);
    halves_[0] = Half(words_, one_cell_);
  }
  halves_[0].insert(configuration, cells);
}

}  // namespace touchstone::model
