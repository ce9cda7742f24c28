#include "harness/history_binary.h"

#include <cstring>
#include <vector>

#include "harness/history_binary_layout.h"
#include "harness/history_format.h"
#include "harness/history_json_value.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::History;
using model::HistoryKind;
using model::Operation;
using model::Outcome;

constexpr std::uint32_t kOpen = ~std::uint32_t{0};

class BinaryParser {
 public:
  BinaryParser(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  HistoryOrError run() {
    try {
      take_header();
      take_texts();
      take_events();
    } catch (const WrongJson& wrong) {
      return MalformedHistory{name_, 0, wrong.what()};
    } catch (const Json::exception& wrong) {
      return MalformedHistory{name_, 0, where() + "expected a call as JSON: " + wrong.what()};
    }
    return std::move(history_);
  }

 private:
  std::string where() const { return "event " + std::to_string(event_) + ": "; }

  void expect(bool holds, const std::string& what) const {
    if (!holds) throw WrongJson("expected " + what);
  }
  void expect_of_event(bool holds, const std::string& what) const {
    if (!holds) throw WrongJson(where() + "expected " + what);
  }

  void take_header() {
    expect(bytes_.size() >= sizeof header_, "a header of 64 bytes, not " + std::to_string(bytes_.size()));
    std::memcpy(&header_, bytes_.data(), sizeof header_);
    expect(bytes_.substr(0, 8) == kBinaryMagic, "the magic of version 1 of the format");
    expect(header_.file_size == bytes_.size(), std::to_string(header_.file_size) +
                                                   " bytes, as the header says, not " +
                                                   std::to_string(bytes_.size()));
    expect(header_.events <= (bytes_.size() - sizeof header_) / sizeof(BinaryEvent) &&
               header_.texts_at == sizeof header_ + header_.events * sizeof(BinaryEvent),
           "the texts right behind the events");
    expect(header_.events < kOpen, "fewer than 4,294,967,295 events");
    expect(header_.kind <= 1, "kind 0 (cells) or 1 (a store), not " + std::to_string(header_.kind));
    expect(header_.clients < kMostClients, "fewer than 16,777,216 clients");
    expect(header_.initial <= header_.values, "an initial value that is among the values");
    history_ = History(header_.kind == 1 ? HistoryKind::kStore : HistoryKind::kCell);
    history_.store_rules = {.strict = (header_.flags & 1U) != 0,
                            .validate_reads = (header_.flags & 2U) != 0,
                            .gate_may_close = (header_.flags & 4U) != 0};
  }

  std::string_view take_bytes(std::size_t size) {
    expect(size <= bytes_.size() - at_, "more bytes behind byte " + std::to_string(at_) + " of the texts");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  template <class Record>
  Record take_record() {
    Record record;
    std::memcpy(&record, take_bytes(sizeof record).data(), sizeof record);
    return record;
  }

  std::string_view take_text() { return take_bytes(take_record<std::uint32_t>()); }

  model::Scalar take_value() {
    const auto tag = static_cast<TextTag>(take_record<std::uint8_t>());
    const std::string_view text = take_text();
    const auto fixed = [&](auto record) {
      expect(text.size() == sizeof record,
             "a value of " + std::to_string(sizeof record) + " bytes before byte " + std::to_string(at_));
      std::memcpy(&record, text.data(), sizeof record);
      return record;
    };
    switch (tag) {
      case TextTag::kBoolean:
        return fixed(std::uint8_t{0}) != 0;
      case TextTag::kInteger:
        return fixed(std::int64_t{0});
      case TextTag::kDouble:
        return fixed(double{0});
      case TextTag::kString:
        break;
    }
    expect(tag == TextTag::kString, "a value's tag from 0 to 3 before byte " + std::to_string(at_));
    return std::string(text);
  }

  void take_texts() {
    at_ = header_.texts_at;
    // In a store's history the values are the texts of its calls, which nothing else refers to.
    values_.push_back(model::kNil);
    for (std::uint32_t i = 0; i < header_.values; ++i) {
      if (history_.kind == HistoryKind::kStore) {
        model::Scalar value = take_value();
        expect(std::holds_alternative<std::string>(value),
               "texts of calls before byte " + std::to_string(at_));
        calls_.push_back(std::get<std::string>(std::move(value)));
      } else {
        values_.push_back(history_.value(take_value()));
      }
    }
    for (std::uint32_t i = 0; i < header_.keys; ++i) keys_.push_back(history_.key(take_text()));
    for (std::uint32_t i = 0; i < header_.clients; ++i) clients_.emplace_back(take_text());
    expect(at_ == bytes_.size(), "nothing behind the texts");
    if (history_.kind == HistoryKind::kCell) history_.initial = values_[header_.initial];
  }

  void take_events() {
    operation_of_.assign(header_.events, kOpen);
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    for (event_ = 0; event_ < header_.events; ++event_) {
      BinaryEvent event;
      std::memcpy(&event, bytes_.data() + sizeof header_ + event_ * sizeof event, sizeof event);
      expect_of_event(event.time >= last && event.time != model::kNever, "times in order");
      last = event.time;
      const bool completes = (event.what & 0xffU) >= kCompletion;
      if (history_.kind == HistoryKind::kStore) {
        completes ? complete_call(event) : invoke_call(event);
      } else {
        completes ? complete(event) : invoke(event);
      }
    }
  }

  std::uint32_t client_of(const BinaryEvent& event) const {
    const std::uint32_t client = event.what >> 8U;
    expect_of_event(client < clients_.size(), "a client that is among the clients");
    return client;
  }

  model::ValueId value_of(std::uint32_t number) const {
    expect_of_event(number < values_.size(), "a value that is among the values");
    return values_[number];
  }

  void invoke(const BinaryEvent& event) {
    const std::uint32_t function = event.what & 0xffU;
    expect_of_event(function < static_cast<std::uint32_t>(Function::kCall), "a function of cells");
    expect_of_event(event.key < keys_.size(), "a key that is among the keys");
    Operation it;
    it.function = static_cast<Function>(function);
    it.client = history_.client(clients_[client_of(event)]);
    it.key = keys_[event.key];
    it.invoked = event.time;
    it.outcome = Outcome::kPending;
    it.argument = value_of(event.a);
    it.expected = value_of(event.b);
    it.base = event.number;
    operation_of_[event_] = static_cast<std::uint32_t>(history_.operations.size());
    history_.operations.push_back(it);
  }

  /// The operation that the event completes, and its outcome.
  Outcome outcome_of(const BinaryEvent& event, std::uint32_t& operation) {
    const std::uint32_t outcome = event.what - kCompletion;
    expect_of_event(outcome <= static_cast<std::uint32_t>(Outcome::kUnknown),
                    "an outcome: ok, fail or unknown");
    expect_of_event(event.key < event_ && operation_of_[event.key] != kOpen,
                    "an invocation to complete, still open");
    operation = operation_of_[event.key];
    operation_of_[event.key] = kOpen;
    return static_cast<Outcome>(outcome);
  }

  void complete(const BinaryEvent& event) {
    std::uint32_t place = 0;
    const Outcome outcome = outcome_of(event, place);
    Operation& it = history_.operations[place];
    it.outcome = outcome;
    it.observed = value_of(event.a);
    if (!it.completed()) return;
    it.returned = event.time;
    it.version = event.number;
    const bool compares = it.function == Function::kCas || it.function == Function::kCasVersion;
    expect_of_event(outcome == Outcome::kOk || compares, "fail only of a compare-and-set");
  }

  Json call_text(std::uint32_t number) const {
    expect_of_event(number >= 1 && number <= calls_.size(), "a call that is among the values");
    return Json::parse(calls_[number - 1]);
  }

  void invoke_call(const BinaryEvent& event) {
    expect_of_event((event.what & 0xffU) == static_cast<std::uint32_t>(Function::kCall), "a call");
    history_.add_store(clients_[client_of(event)], event.time, model::kNever,
                       store_operation_from(call_text(event.a)), std::nullopt);
    history_.operations.back().outcome = Outcome::kPending;
    operation_of_[event_] = static_cast<std::uint32_t>(history_.operations.size() - 1);
  }

  void complete_call(const BinaryEvent& event) {
    std::uint32_t place = 0;
    const Outcome outcome = outcome_of(event, place);
    Operation& it = history_.operations[place];
    it.outcome = outcome;
    expect_of_event(outcome != Outcome::kFail, "a store's outcome: ok or unknown");
    if (outcome == Outcome::kUnknown) return;
    it.returned = event.time;
    history_.store_calls[it.argument].response = store_response_from(call_text(event.a));
  }

  std::string_view bytes_;
  const std::string& name_;
  BinaryHeader header_{};
  History history_;
  std::size_t at_ = 0;
  std::uint64_t event_ = 0;
  std::vector<model::ValueId> values_;  ///< by their numbers in the file
  std::vector<model::KeyId> keys_;
  std::vector<std::string> clients_;
  std::vector<std::string> calls_;
  std::vector<std::uint32_t> operation_of_;  ///< by event
};

}  // namespace

HistoryOrError parse_binary_history(std::string_view text, const std::string& name) {
  return BinaryParser(text, name).run();
}

}  // namespace touchstone::harness
