#include "engine/segments/name.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

namespace touchstone::engine {
namespace {

std::string encoded(std::string_view key) {
  auto name = encode_name("s", 7, key);
  return name ? *name : describe(name.error());
}

SegmentErrc refusal(std::string_view session, std::string_view key) {
  auto name = encode_name(session, 7, key);
  return name ? SegmentErrc::system : name.error().code;
}

TEST(SegmentName, IsExactlyTheSourcesForm) {
  EXPECT_EQ(encoded("frame"), "theus:s:7:frame");
}

TEST(SegmentName, EncodesWhatAFileNameCannotHold) {
  EXPECT_EQ(encoded("a/b"), "theus:s:7:a%2Fb");
  EXPECT_EQ(encoded(std::string_view("a\0b", 3)), "theus:s:7:a%00b");
  EXPECT_EQ(encoded("100%"), "theus:s:7:100%25");
  EXPECT_EQ(encoded("a\nb\x7f"), "theus:s:7:a%0Ab%7F");
}

TEST(SegmentName, KeepsColonsBlanksAndUtf8InAKey) {
  EXPECT_EQ(encoded("a:b c"), "theus:s:7:a:b c");
  EXPECT_EQ(encoded("caméra"), "theus:s:7:caméra");
}

TEST(SegmentName, KeepsReservedKeysOutOfTheUsersReach) {
  EXPECT_EQ(encoded("~ctl"), "theus:s:7:%7Ectl");
  EXPECT_EQ(encoded("a~"), "theus:s:7:a~");
  EXPECT_EQ(control_name("s", 7), "theus:s:7:~ctl");
  EXPECT_TRUE(parse_name(control_name("s", 7))->is_control());
  EXPECT_TRUE(parse_name(temporary_name("s", 7, 3))->is_reserved());
  EXPECT_FALSE(parse_name(encoded("~ctl"))->is_reserved());
}

TEST(SegmentName, RefusesWhatWouldNotFit) {
  const std::size_t room = kMaxNameBytes - std::string("theus:s:7:").size();
  EXPECT_EQ(encoded(std::string(room, 'k')).size(), kMaxNameBytes);
  EXPECT_EQ(refusal("s", std::string(room + 1, 'k')), SegmentErrc::name_too_long);
  EXPECT_EQ(refusal("s", std::string(room / 3 + 1, '/')), SegmentErrc::name_too_long);
  EXPECT_EQ(refusal("s", ""), SegmentErrc::bad_key);
}

TEST(SegmentName, RefusesSessionsThatWouldBlurTheFields) {
  EXPECT_EQ(refusal("a:b", "k"), SegmentErrc::bad_session);
  EXPECT_EQ(refusal("a/b", "k"), SegmentErrc::bad_session);
  EXPECT_EQ(refusal("", "k"), SegmentErrc::bad_session);
  EXPECT_EQ(refusal(std::string(65, 'a'), "k"), SegmentErrc::bad_session);
  EXPECT_TRUE(check_session(std::string(64, 'a')));
}

TEST(SegmentName, ASessionIsOfLettersDigitsDotsUnderscoresAndHyphens) {
  const std::string allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string session(1, static_cast<char>(byte));
    EXPECT_EQ(check_session(session).has_value(), allowed.find(session) != std::string::npos) << byte;
  }
  EXPECT_EQ(check_session("ab\xff").error().message,
            "byte 2 of the session is outside [A-Za-z0-9._-]: code 255");
}

TEST(SegmentName, EncodesExactlyTheBytesThatItMust) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key{'k', static_cast<char>(byte)};
    const std::string name = encoded(key);
    const bool must = byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%';
    EXPECT_EQ(name.size(), must ? 14u : 12u) << byte;
    EXPECT_EQ(decode_key(parse_name(name)->encoded_key), key) << byte;
  }
}

TEST(SegmentName, ParsesNoOtherSpelling) {
  for (const char* name : {"theus:s:7",     "theus:s:7:",    "theus::7:k",    "theus:s::k",
                           "theus:s:07:k",  "theus:s:+7:k",  "theus:s:-7:k",  "theus:s:99999999999:k",
                           "theus:s:7x:k",  "theus:s:7 :k",  "theus:s:x7:k",  "theus:s::k:x",
                           "theus:s:7:%g0", "theus:s:7:%0g", "theus:s:7:%2f", "theus:s:7:%41",
                           "theus:s:7:%",   "theus:s:7:%0",  "theus:s:7:a/b", "theus:s:7:~other",
                           "theus_s_7_k",   "xtheus:s:7:k"}) {
    EXPECT_FALSE(parse_name(name)) << name;
  }
}

/// The reaper looks at every name in a directory with this: what it takes for ours it may remove.
TEST(SegmentName, SplitsOnlyWhatBeginsWithItsPrefixAndFits) {
  EXPECT_TRUE(split_name("theus:s:7:k"));
  EXPECT_EQ(split_name("theus:s:7:k")->encoded_key, "k");
  EXPECT_FALSE(split_name("theirs:s:7:k"));
  EXPECT_FALSE(decode_key("%zz"));
  EXPECT_FALSE(decode_key(std::string_view("k%2F").substr(0, 3)))
      << "what is behind the key is not the key's";
  EXPECT_FALSE(decode_key(std::string_view("k%2F").substr(0, 2)));
  EXPECT_FALSE(decode_key(""));
  EXPECT_FALSE(split_name("Theus:s:7:k"));
  EXPECT_FALSE(split_name("x:"));
  EXPECT_FALSE(split_name(""));
  const std::string prefix = "theus:s:7:";
  EXPECT_TRUE(split_name(prefix + std::string(kMaxNameBytes - prefix.size(), 'k')));
  EXPECT_FALSE(split_name(prefix + std::string(kMaxNameBytes - prefix.size() + 1, 'k')));
}

TEST(SegmentName, DrawsAnotherSessionEachTime) {
  const std::string session = random_session();
  EXPECT_EQ(session.size(), 32u);
  EXPECT_TRUE(check_session(session));
  EXPECT_NE(session, random_session());
}

/// 128 bits: none of a digit's sixteen values is missing in either half of a byte.
TEST(SegmentName, EveryDigitOfASessionIsDrawnFromAllSixteen) {
  std::set<char> high, low;
  for (int i = 0; i < 64; ++i) {
    const std::string session = random_session();
    for (std::size_t at = 0; at < session.size(); ++at) (at % 2 == 0 ? high : low).insert(session[at]);
  }
  EXPECT_EQ(high.size(), 16u);
  EXPECT_EQ(low, high);
}

RC_GTEST_PROP(SegmentName, RoundTripsEveryKey, (const std::string& key)) {
  const auto name = encode_name("s-1.x_Y", 4711, key);
  RC_PRE(name.has_value());
  const auto parts = parse_name(*name);
  RC_ASSERT(parts.has_value());
  RC_ASSERT(parts->session == "s-1.x_Y");
  RC_ASSERT(parts->pid == 4711);
  RC_ASSERT(decode_key(parts->encoded_key) == key);
  RC_ASSERT(name->find('/') == std::string::npos && name->find('\0') == std::string::npos);
}

/// N1 in the other direction, on texts that are nearly names: what parses is what encode_name would make.
RC_GTEST_PROP(SegmentName, ParsesOnlyWhatItEncodes, ()) {
  const auto tail = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("%27EFa~:/\n")));
  const std::string name = "theus:s:7:" + tail;
  const auto parts = parse_name(name);
  if (!parts || parts->is_reserved()) return;
  RC_ASSERT(*encode_name(parts->session, parts->pid, *decode_key(parts->encoded_key)) == name);
}

}  // namespace
}  // namespace touchstone::engine
