#include "engine/parallel.h"

#include <cstdint>
#include <cstring>

namespace touchstone::engine {
namespace {

/// Composites within composites; deeper answers are refused before they exhaust the stack.
constexpr int kDeepest = 200;

enum Tag : char { kErase = 'e', kBoolean = 'b', kInteger = 'i', kReal = 'r', kText = 't', kComposite = 'c' };

class Writer {
 public:
  void put(std::string_view text) {
    put_plain(std::uint64_t{text.size()});
    bytes_.append(text);
  }

  void put(const Value& value) {
    if (value.is_scalar()) {
      std::visit([this](const auto& scalar) { put_scalar(scalar); }, value.scalar());
      return;
    }
    bytes_.push_back(kComposite);
    put_plain(std::uint64_t{value.composite().size()});
    for (const auto& [name, part] : value.composite()) {
      put(std::string_view(name));
      put(part);
    }
  }

  void put_erase() { bytes_.push_back(kErase); }

  template <class T>
  void put_plain(T plain) {
    bytes_.append(reinterpret_cast<const char*>(&plain), sizeof plain);
  }

  std::string take() { return std::move(bytes_); }

 private:
  void put_scalar(bool v) {
    bytes_.push_back(kBoolean);
    bytes_.push_back(v ? 1 : 0);
  }
  void put_scalar(std::int64_t v) {
    bytes_.push_back(kInteger);
    put_plain(v);
  }
  void put_scalar(double v) {
    bytes_.push_back(kReal);
    put_plain(v);
  }
  void put_scalar(const std::string& v) {
    bytes_.push_back(kText);
    put(std::string_view(v));
  }

  std::string bytes_;
};

/// Every function gives nothing when the bytes are not what they should be.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  bool at_end() const { return left_.empty(); }

  template <class T>
  std::optional<T> plain() {
    T value{};
    if (left_.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }

  std::optional<std::string> text() {
    const auto size = plain<std::uint64_t>();
    if (!size || *size > left_.size()) return std::nullopt;
    std::string text(left_.substr(0, *size));
    left_.remove_prefix(*size);
    return text;
  }

  /// True and gone if an erase comes next.
  bool skip_erase() {
    const bool erase = left_.starts_with(kErase);
    if (erase) left_.remove_prefix(1);
    return erase;
  }

  std::optional<Value> value(int depth = 0) {
    switch (plain<char>().value_or('\0')) {
      case kBoolean:
        return value_of(plain<char>(), [](char v) { return Value(v != 0); });
      case kInteger:
        return value_of(plain<std::int64_t>(), [](std::int64_t v) { return Value(v); });
      case kReal:
        return value_of(plain<double>(), [](double v) { return Value(v); });
      case kText:
        return value_of(text(), [](std::string v) { return Value(std::move(v)); });
      case kComposite:
        return composite(depth + 1);
      default:
        return std::nullopt;
    }
  }

 private:
  template <class T, class Make>
  static std::optional<Value> value_of(std::optional<T> read, Make make) {
    if (!read) return std::nullopt;
    return make(std::move(*read));
  }

  std::optional<Value> composite(int depth) {
    const auto parts = plain<std::uint64_t>();
    if (!parts || depth > kDeepest) return std::nullopt;
    Composite made;
    for (std::uint64_t i = 0; i < *parts; ++i) {
      auto name = text();
      if (!name) return std::nullopt;
      auto part = value(depth);
      if (!part) return std::nullopt;
      made.insert_or_assign(std::move(*name), std::move(*part));
    }
    return Value(std::move(made));
  }

  std::string_view left_;
};

std::string encode_inputs(std::string_view name, const ParallelInputs& inputs) {
  Writer writer;
  writer.put(name);
  for (const auto& [path, value] : inputs.values) {
    writer.put(std::string_view(path));
    writer.put(value);
  }
  return writer.take();
}

std::string run_body(const std::map<std::string, ParallelBody>& bodies, const JobRequest& request) {
  Reader reader(request.inputs);
  const auto name = reader.text();
  const auto body = name ? bodies.find(*name) : bodies.end();
  if (body == bodies.end())
    throw std::runtime_error("no parallel process is named \"" + name.value_or("") + "\"");
  ParallelInputs inputs{{}, request.segments};
  while (!reader.at_end()) {
    auto path = reader.text();
    auto value = reader.value();
    if (!path || !value)
      throw std::runtime_error("the request does not hold what parallel_process puts there");
    inputs.values.emplace(std::move(*path), std::move(*value));
  }
  return encode_writes(body->second(inputs));
}

}  // namespace

std::string encode_writes(const WriteSet& writes) {
  Writer writer;
  for (const WriteSet::Entry& entry : writes.entries()) {
    writer.put(std::string_view(entry.path));
    if (entry.value) {
      writer.put(*entry.value);
    } else {
      writer.put_erase();
    }
  }
  return writer.take();
}

std::optional<WriteSet> decode_writes(std::string_view bytes) {
  Reader reader(bytes);
  WriteSet writes;
  while (!reader.at_end()) {
    auto path = reader.text();
    if (!path) return std::nullopt;
    if (reader.skip_erase()) {
      writes.erase(std::move(*path));
      continue;
    }
    auto value = reader.value();
    if (!value) return std::nullopt;
    writes.set(std::move(*path), std::move(*value));
  }
  return writes;
}

Job parallel_job(std::map<std::string, ParallelBody> bodies) {
  return [bodies = std::move(bodies)](const JobRequest& request) { return run_body(bodies, request); };
}

WriteSet run_parallel(WorkerPool& pool, std::string_view name, const ParallelInputs& inputs) {
  const auto answer = pool.run({.inputs = encode_inputs(name, inputs), .segments = inputs.segments});
  if (!answer) throw ParallelFailed(answer.error());
  auto writes = decode_writes(*answer);
  if (!writes) throw ParallelFailed({SegmentErrc::job_failed, "the worker's answer holds no writes"});
  return std::move(*writes);
}

}  // namespace touchstone::engine
