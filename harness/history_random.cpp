#include "harness/history_random.h"

#include <string>
#include <vector>

namespace touchstone::harness {
namespace {

using model::Function;
using model::kNil;
using model::kNoVersion;
using model::Operation;
using model::Outcome;

struct Cell {
  model::ValueId value = kNil;
  std::uint64_t version = 0;
};

struct Client {
  bool open = false;
  bool took_effect = false;
  bool unknown = false;
  std::size_t operation = 0;
  std::size_t incarnation = 0;
};

class Simulation {
 public:
  Simulation(const HistoryShape& shape, Stream& stream)
      : shape_(shape), stream_(stream), cells_(shape.keys), clients_(shape.clients) {
    for (std::size_t key = 0; key < shape.keys; ++key) history_.key("k" + std::to_string(key));
    if (shape.appends) history_.initial = history_.value(std::string());
    for (Cell& cell : cells_) cell.value = history_.initial;
    history_.operations.reserve(shape.operations);
  }

  model::History run() {
    std::size_t open = 0;
    while (history_.operations.size() < shape_.operations || open != 0) {
      Client& client = stream_.pick(clients_);
      if (!client.open && history_.operations.size() < shape_.operations) {
        invoke(client);
        ++open;
      } else if (client.open && !client.took_effect) {
        take_effect(client);
      } else if (client.open) {
        finish(client);
        --open;
      }
    }
    return std::move(history_);
  }

 private:
  model::ValueId fresh_value() {
    if (shape_.appends) {
      const std::uint64_t number = shape_.values == 0 ? ++last_ : stream_.below(shape_.values);
      return history_.value("v" + std::to_string(number) + ";");
    }
    const std::uint64_t number = shape_.values == 0 ? ++last_ : stream_.below(shape_.values);
    return history_.value(static_cast<std::int64_t>(number));
  }

  Function any_function() {
    if (shape_.appends) {
      const std::uint64_t draw = stream_.below(8);
      return draw < 4 ? Function::kRead : (draw < 7 ? Function::kAppend : Function::kWrite);
    }
    if (!shape_.compare_and_sets) return stream_.chance(1, 2) ? Function::kRead : Function::kWrite;
    const std::uint64_t draw = stream_.below(3);
    if (draw == 2) return shape_.versions ? Function::kCasVersion : Function::kCas;
    return draw == 0 ? Function::kRead : Function::kWrite;
  }

  void invoke(Client& client) {
    Operation it;
    it.invoked = ++now_;
    it.function = any_function();
    it.key = static_cast<model::KeyId>(stream_.below(shape_.keys));
    const std::size_t place = static_cast<std::size_t>(&client - clients_.data());
    it.client = history_.client(std::to_string(place + client.incarnation * shape_.clients));
    if (it.function != Function::kRead) it.argument = fresh_value();
    if (it.function == Function::kCas) it.expected = fresh_value();
    if (it.function == Function::kCasVersion) {
      const std::uint64_t version = cells_[it.key].version;
      it.base = version - (version > 0 ? stream_.below(2) : 0);
    }
    client.open = true;
    client.took_effect = false;
    client.unknown = shape_.unknown_permille != 0 && stream_.chance(shape_.unknown_permille, 1000);
    client.operation = history_.operations.size();
    history_.operations.push_back(it);
  }

  void take_effect(Client& client) {
    ++now_;
    client.took_effect = true;
    if (client.unknown && stream_.chance(1, 2)) return;  // it never happens
    Operation& it = history_.operations[client.operation];
    Cell& cell = cells_[it.key];
    const bool cas = it.function == Function::kCas || it.function == Function::kCasVersion;
    const bool matches = it.function == Function::kCas ? cell.value == it.expected : cell.version == it.base;
    if (it.function == Function::kRead) {
      it.observed = cell.value;
    } else if (cas && !matches) {
      it.outcome = Outcome::kFail;
    } else {
      cell.value = it.function == Function::kAppend ? extended(cell.value, it.argument) : it.argument;
      ++cell.version;
    }
    if (shape_.versions) it.version = cell.version;
  }

  model::ValueId extended(model::ValueId value, model::ValueId added) {
    return history_.value(std::get<std::string>(history_.values.scalar(value)) +
                          std::get<std::string>(history_.values.scalar(added)));
  }

  void finish(Client& client) {
    Operation& it = history_.operations[client.operation];
    client.open = false;
    ++now_;
    if (client.unknown) {
      it.outcome = stream_.chance(1, 2) ? Outcome::kUnknown : Outcome::kPending;
      it.returned = model::kNever;
      it.observed = kNil;
      it.version = kNoVersion;
      ++client.incarnation;
      return;
    }
    it.returned = now_;
    if (shape_.wrong_permille != 0 && stream_.chance(shape_.wrong_permille, 1000)) make_wrong(it);
  }

  void make_wrong(Operation& it) {
    if (it.function == Function::kRead) {
      it.observed = shape_.values == 0 ? any_earlier_value() : fresh_value();
    } else if (it.function == Function::kCas || it.function == Function::kCasVersion) {
      it.outcome = it.outcome == Outcome::kOk ? Outcome::kFail : Outcome::kOk;
    }
    if (shape_.versions && stream_.chance(1, 2)) it.version = stream_.below(cells_[it.key].version + 2);
  }

  model::ValueId any_earlier_value() {
    const Operation& other = stream_.pick(history_.operations);
    return other.function == Function::kRead ? other.observed : other.argument;
  }

  const HistoryShape& shape_;
  Stream& stream_;
  model::History history_;
  std::vector<Cell> cells_;
  std::vector<Client> clients_;
  std::int64_t now_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace

model::History random_history(const HistoryShape& shape, Stream& stream) {
  return Simulation(shape, stream).run();
}

}  // namespace touchstone::harness
