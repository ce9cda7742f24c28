// Who may allocate, read and unlink: acceptance C1, C2, C3, C7, C8, C11, with real processes.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"
#include "stress/chaos/trespass.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;

std::string name_in(const std::string& session, pid_t pid, const std::string& key) {
  return "theus:" + session + ":" + std::to_string(pid) + ":" + key;
}

class AcceptanceC1 : public ChaosTest {};

TEST_F(AcceptanceC1, TheNameCarriesThePidOfTheProcessThatAllocates) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("key", bytes_of("x"));
  ASSERT_TRUE(handle) << why(handle);
  EXPECT_EQ(handle->name(), name_in(session(), ::getpid(), "key"));
}

TEST_F(AcceptanceC1, AForkChildThatBecomesAMainAllocatesUnderItsOwnPid) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("key", bytes_of("parent")));
  const std::string report = report_of_child([&]() -> std::string {
    if (auto became = owner.become_main(); !became) return why(became);
    auto handle = owner.allocate("key", bytes_of("child"));
    if (!handle) return why(handle);
    if (handle->name() != name_in(session(), ::getpid(), "key")) return std::string(handle->name());
    return why(owner.shutdown());
  });
  EXPECT_EQ(report, "");
  EXPECT_EQ(why(owner.audit()), "") << "the parent's names are the parent's";
}

TEST_F(AcceptanceC1, AForkChildWithoutItIsRefused) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("key", bytes_of("x")));
  const std::string report = report_of_child([&] {
    return expect_refusal(owner.allocate("other", bytes_of("x")), SegmentErrc::worker_role) +
           expect_refusal(owner.replace("key", bytes_of("x")), SegmentErrc::worker_role) +
           expect_refusal(SegmentOwner::open(options()), SegmentErrc::worker_role);
  });
  EXPECT_EQ(report, "");
}

TEST_F(AcceptanceC1, AWorkerIsRefused) {
  SegmentOwner owner = this->owner();
  const std::string report = report_of_child([&] {
    engine::become_main();
    engine::become_worker();
    return expect_refusal(owner.allocate("key", bytes_of("x")), SegmentErrc::worker_role) +
           expect_refusal(SegmentOwner::open(options()), SegmentErrc::worker_role);
  });
  EXPECT_EQ(report, "");
}

class AcceptanceC2 : public ChaosTest {};

constexpr std::size_t kNumbers = 10'000'000;  // 80 MB

/// KiB of a field of /proc/self/status.
long status_field(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return std::strtol(line.c_str() + field.size() + 1, nullptr, 10);
  }
  return -1;
}

/// Attaches by a handle that came through a pipe, sums, and sends the sum back. Zero-copy is measured: the 80
/// MB may appear as shared pages, never as memory of the worker's own.
std::string sum_in_worker(int handles, int sums, const std::string& directory) {
  SegmentHandle handle;
  if (::read(handles, &handle, sizeof handle) != sizeof handle) return "no handle came";
  const long own_before = status_field("RssAnon");
  const long shared_before = status_field("RssShmem");
  auto seen = Attachment::attach(handle, directory);
  if (!seen) return why(seen);
  const auto* numbers = reinterpret_cast<const double*>(seen->bytes().data());
  const double sum = std::accumulate(numbers, numbers + kNumbers, 0.0);
  const long own = status_field("RssAnon") - own_before;
  const long shared = status_field("RssShmem") - shared_before;
  if (shared < 70'000) return "only " + std::to_string(shared) + " KiB came as shared pages";
  if (!kThreadSanitizer && own > 8'000) return std::to_string(own) + " KiB were copied";
  return ::write(sums, &sum, sizeof sum) == sizeof sum ? "" : "the sum did not fit";
}

TEST_F(AcceptanceC2, FourWorkersSumAnArrayOf80MegabytesWithoutACopy) {
  SegmentOwner owner = this->owner();
  double expected = 0;
  auto handle = owner.allocate("array", kNumbers * sizeof(double), [&](std::span<std::byte> payload) {
    auto* numbers = reinterpret_cast<double*>(payload.data());
    for (std::size_t i = 0; i < kNumbers; ++i) expected += numbers[i] = std::sin(static_cast<double>(i));
  });
  ASSERT_TRUE(handle) << why(handle);
  static_assert(sizeof(SegmentHandle) < 1024);

  int handles[2];
  int sums[2];
  ASSERT_EQ(::pipe2(handles, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(sums, O_CLOEXEC), 0);
  std::vector<Child> workers;
  for (int i = 0; i < 4; ++i) {
    workers.push_back(Child::start([&] { return sum_in_worker(handles[0], sums[1], directory()); }));
  }
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(::write(handles[1], &*handle, sizeof *handle), static_cast<ssize_t>(sizeof *handle));
  }
  for (Child& worker : workers) EXPECT_EQ(worker.join(), "");
  ::close(sums[1]);
  int answers = 0;
  for (double sum = 0; ::read(sums[0], &sum, sizeof sum) == sizeof sum; ++answers)
    EXPECT_NEAR(sum, expected, 1e-9);
  EXPECT_EQ(answers, 4);
  for (int fd : {handles[0], handles[1], sums[0]}) ::close(fd);
}

/// Every way in which a child can end runs other code: destructors of the copied owner, atexit, nothing at
/// all. None may touch the parent's names, because the lock that gives the right to unlink them is the
/// parent's.
class AcceptanceC3 : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    auto opened = SegmentOwner::open(options());
    ASSERT_TRUE(opened) << why(opened);
    owner_ = std::make_unique<SegmentOwner>(std::move(*opened));
    ASSERT_TRUE(owner_->allocate("one", bytes_of("1")));
    ASSERT_TRUE(owner_->allocate("two", bytes_of("2")));
    before_ = names();
  }

  void TearDown() override {
    EXPECT_EQ(names(), before_);
    EXPECT_EQ(why(owner_->audit()), "");
    EXPECT_TRUE(owner_->allocate("three", bytes_of("3"))) << "the parent's lock is still its own";
    EXPECT_EQ(reap_all().count(engine::ReapVerdict::live), 1u);
    owner_.reset();
    ChaosTest::TearDown();
  }

  /// Static, so that a child's exit() destroys it.
  static std::unique_ptr<SegmentOwner> owner_;  // NOLINT: a member by its name

 private:
  std::vector<std::string> before_;
};

std::unique_ptr<SegmentOwner> AcceptanceC3::owner_;

TEST_F(AcceptanceC3, AChildThatExitsNormallyTouchesNothing) {
  EXPECT_EQ(report_of_child([]() -> std::string { std::exit(0); }), "");
}

TEST_F(AcceptanceC3, AChildThatThrowsTouchesNothing) {
  const std::string report = report_of_child([&]() -> std::string {
    const std::unique_ptr<SegmentOwner> unwound = std::move(owner_);
    throw std::runtime_error("on purpose");
  });
  EXPECT_EQ(report, "threw: on purpose");
}

TEST_F(AcceptanceC3, AChildThatAbortsTouchesNothing) {
  EXPECT_EQ(report_of_child([]() -> std::string { std::abort(); }), "ended by signal 6");
}

TEST_F(AcceptanceC3, AChildThatEndsByUnderscoreExitTouchesNothing) {
  EXPECT_EQ(report_of_child([]() -> std::string { ::_exit(0); }), "");
}

TEST_F(AcceptanceC3, AKilledChildTouchesNothing) {
  Child child = Child::start([]() -> std::string { wait_for_ever(); });
  child.kill();
}

TEST_F(AcceptanceC3, AChildThatShutsDownItsCopyTouchesNothing) {
  EXPECT_EQ(report_of_child([&] { return why(owner_->shutdown()); }), "");
}

/// The child's copy of the lock's descriptor would keep a dead parent's lock alive as long as the child
/// lives.
TEST_F(AcceptanceC3, AChildThatOutlivesAKilledMainKeepsItsLockFromNobody) {
  Gate forked;
  Gate release;
  Child main = Child::start([&]() -> std::string {
    engine::become_main();
    auto options = this->options();
    options.session = "killed-main";
    auto owner = SegmentOwner::open(options);
    if (!owner || !owner->allocate("orphan", bytes_of("x"))) return "the main could not allocate";
    if (::fork() == 0) {
      forked.open();
      release.wait();
      ::_exit(0);
    }
    wait_for_ever();
  });
  ASSERT_TRUE(forked.wait());
  main.kill();
  const auto report = engine::reap({.directory = directory(), .session = "killed-main"});
  EXPECT_EQ(report.count(engine::ReapVerdict::removed), 1u);
  release.open();
}

class AcceptanceC7 : public ChaosTest {};

TEST_F(AcceptanceC7, NobodyButTheCreatorUnlinks) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("key", bytes_of("x"));
  ASSERT_TRUE(handle);
  const std::string report = report_of_child([&] {
    std::string wrong = expect_refusal(owner.free(*handle), SegmentErrc::not_creator) +
                        expect_refusal(owner.free("key"), SegmentErrc::not_creator);
    engine::become_main();
    auto other = SegmentOwner::open(options());
    if (!other) return wrong + why(other);
    return wrong + expect_refusal(other->free(*handle), SegmentErrc::not_creator) +
           expect_refusal(other->free("key"), SegmentErrc::not_found);
  });
  EXPECT_EQ(report, "");
  EXPECT_EQ(why(owner.audit()), "");
}

TEST_F(AcceptanceC7, AttachingMakesNoCreator) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("key", bytes_of("x"));
  EXPECT_EQ(report_of_child([&] { return why(Attachment::attach(*handle, directory())); }), "");
  EXPECT_EQ(why(owner.audit()), "");
}

class AcceptanceC8 : public ChaosTest {};

TEST_F(AcceptanceC8, AWriteThroughAnAttachmentIsASegmentationFault) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("key", bytes_of("x"));
  EXPECT_EQ(store_through_an_attachment(*handle, directory()), "ended by signal 11");
  EXPECT_EQ(engine::text_of(Attachment::attach(*handle, directory())->bytes()), "x");
}

TEST_F(AcceptanceC8, OpeningForWritingAndResizingAreRefused) {
  EXPECT_EQ(as_ordinary_user(directory(), [&] { return reopen_for_writing(options()); }), "");
}

/// A child of fork() inherits no writable mapping: what it stores while its parent fills is a segmentation
/// fault.
TEST_F(AcceptanceC8, AChildDoesNotInheritAWritableMapping) {
  SegmentOwner owner = this->owner();
  EXPECT_EQ(store_through_the_parents_mapping(owner, "key"), "ended by signal 11");
  const auto names = owner.segments();
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(Attachment::attach(names[0], directory())->bytes()[0], std::byte{0});
}

class AcceptanceC11 : public ChaosTest {};

/// Both are alive at the same time for certain: each shuts down only after the other has looked.
TEST_F(AcceptanceC11, TwoMainsOfOneSessionLeaveEachOtherAlone) {
  Gate allocated[2];
  Gate looked[2];
  const auto main_number = [&](int self) {
    return [&, self]() -> std::string {
      engine::become_main();
      auto owner = SegmentOwner::open(options());
      if (!owner) return why(owner);
      auto handle = owner->allocate("frame", bytes_of("x"));
      allocated[self].open();
      if (!allocated[1 - self].wait()) return "the other died";
      std::string wrong = why(handle);
      if (names().size() != 4) wrong += "not four names; ";
      if (reap_all().count(engine::ReapVerdict::live) != 2) wrong += "not two live groups; ";
      looked[self].open();
      if (!looked[1 - self].wait()) return "the other died";
      wrong += why(owner->audit());
      return wrong + why(owner->shutdown());
    };
  };
  Child first = Child::start(main_number(0));
  Child second = Child::start(main_number(1));
  EXPECT_EQ(first.join(), "");
  EXPECT_EQ(second.join(), "");
}

}  // namespace
}  // namespace touchstone::chaos
