#include <algorithm>
#include <string>
#include <vector>

#include "harness/history_random.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::kNil;
using model::kNoVersion;
using model::Operation;
using model::Outcome;

/// Wider than this an interval reaches no further from its moment: long histories would be too hard.
constexpr std::size_t kWidest = 8;

/// Operations take effect one after the other, at the moments 0, 1, 2 and so on; their intervals lie around those
/// moments as widely as it happens.
class Crowd {
 public:
  Crowd(const HistoryShape& shape, Stream& stream)
      : shape_(shape),
        stream_(stream),
        reach_(1 + stream.below(std::min(shape.operations, kWidest) + 1)),
        moments_to_a_time_(1 + stream.below(3)),
        reads_(stream.below(4)),
        writes_(1 + stream.below(4)),
        others_(stream.below(5)) {
    for (std::size_t key = 0; key < shape.keys; ++key) history_.key("k" + std::to_string(key));
    if (shape.appends) {
      history_.initial = history_.value(std::string());
    } else if (shape.values != 0 && stream.chance(1, 2)) {
      history_.initial = any_value();
    }
    cells_.assign(shape.keys, Cell{history_.initial, history_.initial, 0});
  }

  model::History run() {
    for (std::size_t moment = 0; moment < shape_.operations; ++moment) add(moment);
    if (stream_.chance(1, 2)) let_the_last_come_alone();
    for (std::uint64_t wrong = stream_.below(3); wrong > 0 && shape_.wrong_permille != 0; --wrong) {
      make_wrong(stream_.pick(history_.operations));
    }
    stream_.shuffle(history_.operations);
    return std::move(history_);
  }

 private:
  struct Cell {
    model::ValueId value = kNil;
    model::ValueId before = kNil;  ///< what it held before that
    std::uint64_t version = 0;
  };

  model::ValueId any_value() {
    const std::uint64_t number = shape_.values == 0 ? ++last_ : stream_.below(shape_.values);
    if (shape_.appends) return history_.value("v" + std::to_string(number) + ";");
    return history_.value(static_cast<std::int64_t>(number));
  }

  /// Half of the values are the cell's own or its last one: values that come back, and writes that change nothing, are
  /// where it matters which of several operations took effect.
  model::ValueId likely_value(const Cell& cell) {
    if (shape_.values == 0 || shape_.appends || stream_.chance(1, 2)) return any_value();
    return stream_.chance(1, 2) ? cell.value : cell.before;
  }

  Function any_function() {
    const bool has_others = shape_.appends || shape_.compare_and_sets;
    const std::uint64_t draw = stream_.below(reads_ + writes_ + (has_others ? others_ : 0));
    if (draw < reads_) return Function::kRead;
    if (draw < reads_ + writes_) return Function::kWrite;
    if (shape_.appends) return Function::kAppend;
    return shape_.versions ? Function::kCasVersion : Function::kCas;
  }

  void add(std::size_t moment) {
    Operation it;
    it.function = any_function();
    it.key = static_cast<model::KeyId>(stream_.below(shape_.keys));
    it.client = history_.client(std::to_string(moment));
    it.invoked =
        static_cast<std::int64_t>((moment - std::min(moment, stream_.below(reach_))) / moments_to_a_time_);
    it.returned = static_cast<std::int64_t>((moment + stream_.below(reach_)) / moments_to_a_time_);
    Cell& cell = cells_[it.key];
    if (it.function != Function::kRead) it.argument = likely_value(cell);
    if (it.function == Function::kCas) it.expected = stream_.chance(1, 2) ? cell.value : likely_value(cell);
    if (it.function == Function::kCasVersion) {
      it.base = cell.version - (cell.version > 0 && stream_.chance(1, 3) ? 1 : 0);
    }
    const bool unknown = stream_.chance(shape_.unknown_permille, 1000);
    if (!unknown || stream_.chance(1, 2)) take_effect(it, cell);
    if (unknown) {
      it.outcome = Outcome::kUnknown;
      it.returned = model::kNever;
      it.observed = kNil;
      it.version = kNoVersion;
    }
    history_.operations.push_back(it);
  }

  void take_effect(Operation& it, Cell& cell) {
    const bool missed = (it.function == Function::kCas && cell.value != it.expected) ||
                        (it.function == Function::kCasVersion && cell.version != it.base);
    if (it.function == Function::kRead) {
      it.observed = cell.value;
    } else if (missed) {
      it.outcome = Outcome::kFail;
    } else {
      cell.before = cell.value;
      cell.value = it.function == Function::kAppend ? extended(cell.value, it.argument) : it.argument;
      ++cell.version;
    }
    if (shape_.versions) it.version = cell.version;
  }

  model::ValueId extended(model::ValueId value, model::ValueId added) {
    return history_.value(std::get<std::string>(history_.values.scalar(value)) +
                          std::get<std::string>(history_.values.scalar(added)));
  }

  /// Behind the returns of all others: what it sees is what they left.
  void let_the_last_come_alone() {
    if (history_.operations.size() < 2) return;
    const auto before = static_cast<std::int64_t>((history_.operations.size() - 2) / moments_to_a_time_);
    for (Operation& it : history_.operations) {
      if (it.completed()) it.returned = std::min(it.returned, before);
    }
    Operation& last = history_.operations.back();
    last.invoked = before + 1;
    if (last.completed()) last.returned = before + 1;
  }

  /// Another response, or the same response to another argument.
  void make_wrong(Operation& it) {
    const bool cas = it.function == Function::kCas || it.function == Function::kCasVersion;
    if (it.completed() && cas && stream_.chance(1, 2)) {
      it.outcome = it.outcome == Outcome::kOk ? Outcome::kFail : Outcome::kOk;
    } else if (it.completed() && it.function == Function::kRead) {
      it.observed = shape_.values == 0 ? stream_.pick(history_.operations).argument : any_value();
      if (it.observed == kNil) it.observed = history_.initial;
    } else if (it.function != Function::kRead && shape_.values != 0) {
      it.argument = any_value();
    }
    if (it.completed() && shape_.versions && stream_.chance(1, 2)) {
      it.version = stream_.below(cells_[it.key].version + 2);
    }
  }

  const HistoryShape& shape_;
  Stream& stream_;
  std::uint64_t reach_;
  std::uint64_t moments_to_a_time_;
  std::uint64_t reads_;
  std::uint64_t writes_;
  std::uint64_t others_;
  model::History history_;
  std::vector<Cell> cells_;
  std::uint64_t last_ = 0;
};

}  // namespace

model::History random_crowded_history(const HistoryShape& shape, Stream& stream) {
  return Crowd(shape, stream).run();
}

}  // namespace touchstone::harness
