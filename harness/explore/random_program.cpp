#include "harness/explore/random_program.h"

#include <fmt/format.h>

#include <array>

#include "harness/explore/controlled_platform.h"

namespace touchstone::harness::explore {

namespace {

using P = ControlledPlatform;
constexpr int kObjects = 2;

}  // namespace

struct RandomProgram::State {
  std::array<P::atomic<int>, kObjects> words;
  std::array<P::mutex, kObjects> mutexes;
};

RandomProgram RandomProgram::draw(Stream& stream) {
  RandomProgram program;
  const std::int64_t threads = stream.between(2, 3);
  for (std::int64_t i = 0; i < threads; ++i) program.threads_.push_back(draw_thread(stream));
  return program;
}

std::vector<RandomProgram::Instruction> RandomProgram::draw_thread(Stream& stream) {
  constexpr std::array<Op, 16> kOps = {Op::load, Op::load,  Op::store,    Op::store,  Op::add,   Op::cas,
                                       Op::cas,  Op::await, Op::wait,     Op::notify, Op::sleep, Op::lock,
                                       Op::lock, Op::lock,  Op::try_lock, Op::lock};
  std::vector<Instruction> instructions;
  std::array<bool, kObjects> held{};
  const std::int64_t length = stream.between(1, 4);
  for (std::int64_t i = 0; i < length; ++i) {
    Instruction next{kOps[stream.below(kOps.size())], static_cast<int>(stream.below(kObjects)),
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

void RandomProgram::run(const Instruction& instruction, State& state, std::vector<bool>& held) {
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
    std::array<P::thread, 3> started;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      started[i] = P::thread([&state, &instructions = threads[i]] {
        std::vector<bool> held(kObjects, false);
        for (const Instruction& instruction : instructions) run(instruction, state, held);
      });
    }
    for (std::size_t i = 0; i < threads.size(); ++i) started[i].join();
  };
}

std::string RandomProgram::text() const {
  static constexpr std::array<const char*, 11> kNames = {
      "load", "store", "add", "cas", "await", "wait", "notify", "sleep", "lock", "try_lock", "unlock"};
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
