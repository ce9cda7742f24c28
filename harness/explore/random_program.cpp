#include "harness/explore/random_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <stdexcept>

#include "harness/explore/controlled_platform.h"

namespace touchstone::harness::explore {

namespace {

using P = ControlledPlatform;
constexpr int kObjects = 3;
constexpr std::size_t kThreads = 4;
constexpr std::array<const char*, 11> kNames = {"load",   "store", "add",  "cas",      "await", "wait",
                                                "notify", "sleep", "lock", "try_lock", "unlock"};

}  // namespace

struct RandomProgram::State {
  std::array<P::atomic<int>, kObjects> words;
  std::array<P::mutex, kObjects> mutexes;
};

struct RandomProgram::Limits {
  std::int64_t least_threads;
  std::int64_t most_threads;
  std::int64_t length;  // of a thread, without the unlocks at its end
  int objects;
  std::vector<Op> ops;  // each as likely as it is often here
};

RandomProgram RandomProgram::draw(Stream& stream, Shape shape) {
  using enum Op;
  static const std::vector<Op> every = {load, load,   store, store, add,  cas,  cas,      await,
                                        wait, notify, sleep, lock,  lock, lock, try_lock, lock};
  static const std::array<Limits, std::size(kShapes)> limits = {{
      {2, 3, 4, 2, every},
      {3, 4, 3, 2, every},
      {2, 3, 5, 3, {lock, lock, lock, lock, lock, try_lock, store, load}},
      {2, 3, 4, 2, {wait, wait, wait, notify, notify, await, sleep, store, add, add, lock, lock}},
      {2, 3, 4, 2, {cas, cas, cas, add, load, store}},
  }};
  const Limits& chosen = limits[static_cast<std::size_t>(shape)];
  RandomProgram program;
  const std::int64_t threads = stream.between(chosen.least_threads, chosen.most_threads);
  for (std::int64_t i = 0; i < threads; ++i) program.threads_.push_back(draw_thread(stream, chosen));
  return program;
}

std::vector<RandomProgram::Instruction> RandomProgram::draw_thread(Stream& stream, const Limits& limits) {
  std::vector<Instruction> instructions;
  std::array<bool, kObjects> held{};
  const std::int64_t length = stream.between(1, limits.length);
  for (std::int64_t i = 0; i < length; ++i) {
    Instruction next{limits.ops[stream.below(limits.ops.size())],
                     static_cast<int>(stream.below(static_cast<std::uint64_t>(limits.objects))),
                     static_cast<int>(stream.below(3))};
    const auto at = static_cast<std::size_t>(next.object);
    const bool takes = next.op == Op::lock || next.op == Op::try_lock;
    if (takes && held[at]) next.op = Op::unlock;
    if (takes || next.op == Op::unlock) held[at] = next.op != Op::unlock;
    instructions.push_back(next);
  }
  for (int i = 0; i < kObjects; ++i) {
    if (held[static_cast<std::size_t>(i)]) instructions.push_back({Op::unlock, i, 0});
  }
  return instructions;
}

void RandomProgram::run(const Instruction& instruction, State& state, Held& held) {
  static_assert(std::tuple_size_v<Held> == kObjects);
  const auto at = static_cast<std::size_t>(instruction.object);
  P::atomic<int>& word = state.words[at];
  P::mutex& mutex = state.mutexes[at];
  const int value = instruction.value;
  const auto awaited = [value](int now) { return now == value; };
  switch (instruction.op) {
    case Op::load:
      static_cast<void>(word.load());
      break;
    case Op::store:
      word.store(value);
      break;
    case Op::add:
      word.fetch_add(1);
      break;
    case Op::cas: {
      int expected = value;
      word.compare_exchange_strong(expected, value + 1);
      break;
    }
    case Op::await:
      P::await(word, awaited);
      break;
    case Op::wait:
      P::wait_until(word, awaited,
                    value == 0 ? engine::kForever : P::now() + std::chrono::milliseconds(value));
      break;
    case Op::notify:
      P::notify_all(word);
      break;
    case Op::sleep:
      P::sleep_until(P::now() + std::chrono::milliseconds(value));
      break;
    case Op::lock:
      mutex.lock();
      held[at] = true;
      break;
    case Op::try_lock:
      held[at] = mutex.try_lock();
      break;
    case Op::unlock:
      if (held[at]) mutex.unlock();
      held[at] = false;
      break;
  }
}

std::function<void()> RandomProgram::body() const {
  return [threads = threads_] {
    State state;
    std::array<P::thread, kThreads> started;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      started[i] = P::thread([&state, &instructions = threads[i]] {
        Held held{};  // on the stack: a thread that blocks for ever is left with all that it allocated
        for (const Instruction& instruction : instructions) run(instruction, state, held);
      });
    }
    for (std::size_t i = 0; i < threads.size(); ++i) started[i].join();
  };
}

const char* name_of(Shape shape) {
  static constexpr std::array<const char*, std::size(kShapes)> kShapeNames = {"mixed", "more_threads",
                                                                              "locks", "waits", "exchanges"};
  return kShapeNames[static_cast<std::size_t>(shape)];
}

RandomProgram RandomProgram::parse(const std::string& text) {
  RandomProgram program;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    program.threads_.emplace_back();
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const std::size_t name_ends = word.find('(');
      const auto* const name = std::find(kNames.begin(), kNames.end(), word.substr(0, name_ends));
      int object = 0;
      int value = 0;
      const bool numbers =
          name_ends != std::string::npos && std::sscanf(&word[name_ends], "(%d,%d)", &object, &value) == 2;
      if (name == kNames.end() || !numbers || object < 0 || object >= kObjects)
        throw std::invalid_argument("not an instruction: " + word);
      program.threads_.back().push_back({static_cast<Op>(name - kNames.begin()), object, value});
    }
  }
  return program;
}

std::string RandomProgram::text() const {
  std::string out;
  for (const auto& thread : threads_) {
    for (const Instruction& instruction : thread) {
      out += fmt::format("{}({},{}) ", kNames[static_cast<std::size_t>(instruction.op)], instruction.object,
                         instruction.value);
    }
    out += '\n';
  }
  return out;
}

}  // namespace touchstone::harness::explore
