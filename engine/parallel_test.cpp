#include "engine/parallel.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <stdexcept>

#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

class ParallelTest : public SegmentTest {
 protected:
  void SetUp() override {
    SegmentTest::SetUp();
    become_main();
  }

  static WorkerPool open(std::map<std::string, ParallelBody> bodies) {
    auto pool = WorkerPool::open(parallel_job(std::move(bodies)), {.workers = 2});
    if (!pool) throw std::runtime_error(describe(pool.error()));
    return std::move(*pool);
  }

  Store<> store_;
};

/// One of each kind, in every place where one can be.
WriteSet writes_of_every_kind() {
  const Composite inner{{"text", std::string("a\0b", 3)}, {"none", Composite{}}};
  return WriteSet{}
      .set("t", true)
      .set("f", false)
      .set("i", -5)
      .set("r", 0.25)
      .set("s", "")
      .set("c", Composite{{"in", inner}})
      .erase("e");
}

TEST_F(ParallelTest, MainCommitsWhatABodyInAWorkerMakesOfInputsAndSegments) {
  WorkerPool pool = open({{"sum", [directory = directory()](const ParallelInputs& inputs) {
                             const auto seen = Attachment::attach(inputs.segments.at(0), directory);
                             std::int64_t sum = inputs.values.at("bias").integer();
                             for (std::byte byte : seen->bytes()) sum += std::to_integer<int>(byte);
                             return WriteSet{}
                                 .set("sum.now", sum)
                                 .set("sum.size", static_cast<std::int64_t>(seen->bytes().size()))
                                 .erase("old");
                           }}});
  SegmentOwner owner = this->owner();
  const std::vector<std::byte> twos(1000, std::byte{2});
  ASSERT_TRUE(owner.allocate("frame", twos));
  auto worker = store_.worker();
  store_.compare_and_swap(0, WriteSet{}.set("bias", 5).set("old", 1).set("secret", 1), &worker);
  const auto sum =
      parallel_process(store_, pool, "sum", {.inputs = {"bias", "absent"}, .outputs = {"sum", "old"}},
                       [&] { return owner.segments(); });
  EXPECT_TRUE(store_.execute(worker, sum).committed());
  EXPECT_EQ(store_.read("sum.now")->integer(), 2005);
  EXPECT_FALSE(store_.read("old"));

  ASSERT_TRUE(owner.replace("frame", bytes_of("\1")));  // the next attempt gets the new generation
  EXPECT_TRUE(store_.execute(worker, sum).committed());
  EXPECT_EQ(store_.read("sum.now")->integer(), 6);
}

TEST_F(ParallelTest, ABodyGetsItsDeclaredInputsAndNothingElse) {
  WorkerPool pool = open({{"echo", [](const ParallelInputs& inputs) {
                             WriteSet seen;
                             for (const auto& [path, value] : inputs.values) seen.set("seen." + path, value);
                             return seen;
                           }}});
  auto worker = store_.worker();
  const Composite pose{{"x", 1}, {"yaw", 0.5}, {"name", "left arm"}, {"safe", true}};
  store_.compare_and_swap(0, WriteSet{}.set("pose", pose).set("secret", 1), &worker);
  const auto echo =
      parallel_process(store_, pool, "echo", {.inputs = {"pose", "absent"}, .outputs = {"seen"}});
  EXPECT_TRUE(store_.execute(worker, echo).committed());
  EXPECT_EQ(*store_.read("seen"), Value(Composite{{"pose", pose}}));
}

TEST_F(ParallelTest, WritesThatAreNotDeclaredAreRefused) {
  WorkerPool pool = open({{"greedy", [](const ParallelInputs&) { return WriteSet{}.set("other", 1); }}});
  auto worker = store_.worker();
  const auto greedy = parallel_process(store_, pool, "greedy", {.inputs = {}, .outputs = {"own"}});
  const auto result = store_.execute(worker, greedy);
  ASSERT_TRUE(std::holds_alternative<Rejected>(result.outcome));
  EXPECT_EQ(std::get<Rejected>(result.outcome).code, ErrorCode::undeclared_write);
  EXPECT_EQ(store_.version(), 0u);
}

/// A dead worker, a body that throws and a process that the workers do not know: each says so, and commits nothing.
TEST_F(ParallelTest, FailuresLeaveExecuteAsTypedErrors) {
  WorkerPool pool =
      open({{"die",
             [](const ParallelInputs&) {
               ::raise(SIGKILL);
               return WriteSet{};
             }},
            {"throw", [](const ParallelInputs&) -> WriteSet { throw std::runtime_error("no frame"); }}});
  auto worker = store_.worker();
  const auto code_of = [&](const char* name) {
    const auto process = parallel_process(store_, pool, name, {.inputs = {}, .outputs = {"own"}});
    try {
      store_.execute(worker, process);
    } catch (const ParallelFailed& failed) {
      return failed.error().code;
    }
    return SegmentErrc::system;
  };
  EXPECT_EQ(code_of("die"), SegmentErrc::worker_died);
  EXPECT_EQ(code_of("throw"), SegmentErrc::job_failed);
  EXPECT_EQ(code_of("unknown"), SegmentErrc::job_failed);
  EXPECT_EQ(store_.version(), 0u);
}

/// X3: what a worker answers is never trusted, also when it answers in good order.
TEST_F(ParallelTest, AnAnswerThatHoldsNoWritesIsAJobThatFailed) {
  auto pool = WorkerPool::open([](const JobRequest&) { return "x"; }, {.workers = 1});
  ASSERT_TRUE(pool);
  try {
    run_parallel(*pool, "any", {});
    ADD_FAILURE() << "an x is no writes";
  } catch (const ParallelFailed& failed) {
    EXPECT_EQ(failed.error().code, SegmentErrc::job_failed);
    EXPECT_EQ(failed.error().message, "the worker's answer holds no writes");
  }
}

TEST(WorkerPoolOptions, DefaultsAreWhatTheHeaderPromises) {
  const WorkerPool::Options options;
  EXPECT_EQ(options.workers, 2u);
  EXPECT_EQ(options.attempts, 1u);
  EXPECT_TRUE(options.output_directories.empty());
}

TEST(ParallelAnswer, RoundTripsEveryKindOfWrite) {
  const WriteSet writes = writes_of_every_kind();
  const auto decoded = decode_writes(encode_writes(writes));
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->entries().size(), writes.entries().size());
  for (std::size_t i = 0; i < writes.entries().size(); ++i) {
    EXPECT_EQ(decoded->entries()[i].path, writes.entries()[i].path);
    EXPECT_EQ(decoded->entries()[i].value, writes.entries()[i].value);
  }
}

/// Composites within composites are read up to a depth that no stack minds, and not one deeper.
TEST(ParallelAnswer, HoldsTwoHundredCompositesWithinOneAnotherAndNotOneMore) {
  const auto nested = [](int depth) {
    Value value = 1;
    for (int i = 0; i < depth; ++i) value = Composite{{"n", std::move(value)}};
    return decode_writes(encode_writes(WriteSet{}.set("c", std::move(value))));
  };
  EXPECT_TRUE(nested(200));
  EXPECT_FALSE(nested(201));
}

/// A request is bytes from another process, too. What a job says of a wrong one is its caller's typed error.
TEST(ParallelJob, RefusesARequestThatIsNone) {
  const Job job = parallel_job({{"echo", [](const ParallelInputs& inputs) {
                                   return WriteSet{}.set("n", static_cast<int>(inputs.values.size()));
                                 }}});
  const auto said = [&](const std::string& inputs) {
    try {
      return encode_writes(*decode_writes(job({.inputs = inputs})));
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
  };
  // A name and an input are written as a write's path and value are.
  const std::string input = encode_writes(WriteSet{}.set("path", "value"));
  const std::string name = input.substr(0, 8) + "echo";  // both have four bytes
  EXPECT_EQ(said(name), encode_writes(WriteSet{}.set("n", 0)));
  EXPECT_EQ(said(name + input), encode_writes(WriteSet{}.set("n", 1)));
  for (std::size_t size = 1; size < input.size(); ++size)
    EXPECT_EQ(said(name + input.substr(0, size)),
              "the request does not hold what parallel_process puts there")
        << size;
  EXPECT_EQ(said(""), "no parallel process is named \"\"");
  EXPECT_EQ(said(name.substr(0, 9)), "no parallel process is named \"\"");
  EXPECT_EQ(said(input.substr(0, 8) + "path"), "no parallel process is named \"path\"");
}

/// Danger: what cannot be a name is skipped, and what follows it is taken for a value of no name.
TEST(ParallelAnswer, ANameThatIsLongerThanTheRestIsNone) {
  const std::string whole = encode_writes(WriteSet{}.set("c", Composite{{"x", true}}).set("d", true));
  const std::string value = encode_writes(WriteSet{}.set("d", true)).substr(9);  // behind its path
  const std::string longer(8, '\x7f');                                           // the size of a name
  EXPECT_FALSE(decode_writes(longer + value));
  std::string part = encode_writes(WriteSet{}.set("c", Composite{{"x", true}}));
  part.resize(part.size() - 9 - value.size());  // up to the name in the composite
  EXPECT_FALSE(decode_writes(part + longer + value));
  EXPECT_TRUE(decode_writes(whole));
  const Job job = parallel_job({{"echo", [](const ParallelInputs&) { return WriteSet{}; }}});
  const std::string name = encode_writes(WriteSet{}.erase("echo"));
  const std::string request = name.substr(0, name.size() - 1);
  EXPECT_EQ(job({.inputs = request}), "");
  EXPECT_THROW(job({.inputs = request + longer + value}), std::runtime_error);
}

/// The bytes come from another process: cut short or changed they are other writes or none, never undefined behaviour.
TEST(ParallelAnswer, CutOrChangedBytesAreOtherWritesOrNone) {
  const std::string whole = encode_writes(WriteSet{}.set("c", Composite{{"x", 1}, {"y", "text"}}));
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_FALSE(decode_writes(whole.substr(0, size))) << size;
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    std::string changed = whole;
    changed[i / 8] ^= static_cast<char>(1 << (i % 8));
    const auto decoded = decode_writes(changed);
    if (decoded) {
      EXPECT_NE(encode_writes(*decoded), whole) << i;
    }
  }
  std::string bottomless = encode_writes(WriteSet{}.set("c", Composite{}));
  const std::string part = encode_writes(WriteSet{}.set("n", Composite{}));
  bottomless[bottomless.size() - 8] = 1;
  for (int depth = 0; depth < 100'000; ++depth) {
    bottomless += part;
    bottomless[bottomless.size() - 8] = 1;
  }
  EXPECT_FALSE(decode_writes(bottomless));
}

}  // namespace
}  // namespace touchstone::engine
