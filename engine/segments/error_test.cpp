#include "engine/segments/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "engine/segments/reaper.h"

namespace touchstone::engine {
namespace {

// Scripts and other processes know errors and verdicts by these words.
TEST(SegmentError, EveryCodeHasTheNameThatOthersKnowItBy) {
  const std::pair<SegmentErrc, const char*> names[] = {
      {SegmentErrc::bad_session, "bad_session"},
      {SegmentErrc::bad_key, "bad_key"},
      {SegmentErrc::name_too_long, "name_too_long"},
      {SegmentErrc::bad_name, "bad_name"},
      {SegmentErrc::bad_directory, "bad_directory"},
      {SegmentErrc::no_space, "no_space"},
      {SegmentErrc::descriptor_limit, "descriptor_limit"},
      {SegmentErrc::unsupported, "unsupported"},
      {SegmentErrc::name_taken, "name_taken"},
      {SegmentErrc::foreign_file, "foreign_file"},
      {SegmentErrc::busy, "busy"},
      {SegmentErrc::worker_role, "worker_role"},
      {SegmentErrc::not_creator, "not_creator"},
      {SegmentErrc::not_found, "not_found"},
      {SegmentErrc::vanished, "vanished"},
      {SegmentErrc::bad_header, "bad_header"},
      {SegmentErrc::bad_size, "bad_size"},
      {SegmentErrc::bad_payload, "bad_payload"},
      {SegmentErrc::stale_generation, "stale_generation"},
      {SegmentErrc::shut_down, "shut_down"},
      {SegmentErrc::worker_died, "worker_died"},
      {SegmentErrc::job_failed, "job_failed"},
      {SegmentErrc::system, "system"},
  };
  for (const auto& [code, name] : names) EXPECT_EQ(name_of(code), name);
  EXPECT_EQ(std::size(names), static_cast<std::size_t>(SegmentErrc::system) + 1) << "one is not in this list";
  EXPECT_EQ(name_of(static_cast<SegmentErrc>(200)), "unknown");
}

TEST(SegmentError, EveryVerdictHasTheNameThatOthersKnowItBy) {
  EXPECT_EQ(name_of(ReapVerdict::removed), "removed");
  EXPECT_EQ(name_of(ReapVerdict::would_remove), "would-remove");
  EXPECT_EQ(name_of(ReapVerdict::live), "live");
  EXPECT_EQ(name_of(ReapVerdict::foreign), "foreign");
  EXPECT_EQ(name_of(ReapVerdict::failed), "failed");
  EXPECT_EQ(name_of(static_cast<ReapVerdict>(200)), "unknown");
}

TEST(SegmentError, IsDescribedWithItsCodeAndWhatTheSystemSaid) {
  EXPECT_EQ(describe({SegmentErrc::bad_key, "the key is empty"}), "bad_key: the key is empty");
  EXPECT_EQ(describe({SegmentErrc::system, "cannot do it", EPERM}),
            "system: cannot do it: Operation not permitted");
}

TEST(SegmentError, FailuresOfTheSystemForWantOfRoomAreToldApart) {
  const auto code = [](int cause) { return system_failure("it", cause, SegmentErrc::bad_directory).code; };
  for (const int cause : {ENOSPC, ENOMEM, EDQUOT}) EXPECT_EQ(code(cause), SegmentErrc::no_space) << cause;
  for (const int cause : {EMFILE, ENFILE}) EXPECT_EQ(code(cause), SegmentErrc::descriptor_limit) << cause;
  EXPECT_EQ(code(EIO), SegmentErrc::bad_directory) << "what the caller says otherwise";
  EXPECT_EQ(system_failure("it", EIO).code, SegmentErrc::system);
  EXPECT_EQ(system_failure("it", EIO).system_error, EIO);
  EXPECT_EQ(system_failure("it", EIO).message, "it");
}

}  // namespace
}  // namespace touchstone::engine
