#include "engine/segments/frame.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>

#include "engine/segments/directory.h"

namespace touchstone::engine {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  void write(std::string_view bytes) {
    EXPECT_EQ(::write(near.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  Descriptor near, far;
};

std::string length_of(std::uint64_t n) {
  return {reinterpret_cast<const char*>(&n), sizeof n};
}

TEST(Frame, IsEightBytesOfLengthAndThenTheText) {
  Pair pair;
  ASSERT_TRUE(send_frame(pair.far.get(), "abc"));
  std::string raw(11, '\0');
  ASSERT_EQ(::recv(pair.near.get(), raw.data(), raw.size() + 1, MSG_WAITALL | MSG_DONTWAIT), 11);
  EXPECT_EQ(raw, length_of(3) + "abc");
}

TEST(Frame, SeveralInARowStayApart) {
  Pair pair;
  for (const char* text : {"one", "", "three"}) ASSERT_TRUE(send_frame(pair.near.get(), text));
  for (const char* text : {"one", "", "three"}) EXPECT_EQ(receive_frame(pair.far.get()), text);
}

TEST(Frame, AMessageOfOneByteIsOne) {
  Pair pair;
  ASSERT_TRUE(send_frame(pair.near.get(), "x"));
  EXPECT_EQ(receive_frame(pair.far.get()), "x");
}

/// The error of an earlier call is none of this one's: neither an end nor a part of a message is an interrupted call.
TEST(Frame, AnErrorOfYesterdayInterruptsNothing) {
  Pair pair;
  const std::string text(1'000, 'x');
  errno = EINTR;
  ASSERT_TRUE(send_frame(pair.near.get(), text));
  pair.near.reset(-1);
  errno = EINTR;
  EXPECT_EQ(receive_frame(pair.far.get()), text);
  errno = EINTR;
  EXPECT_EQ(receive_frame(pair.far.get()), std::nullopt);
}

/// A socket takes less at a time than this: both sides go on where they stopped.
TEST(Frame, AMessageLargerThanASocketArrivesWhole) {
  Pair pair;
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 / 7);
  std::thread sender([&] { EXPECT_TRUE(send_frame(pair.near.get(), large)); });
  EXPECT_EQ(receive_frame(pair.far.get()), large);
  sender.join();
}

TEST(Frame, ACutMessageIsNone) {
  for (const std::string& cut :
       {std::string(), length_of(3).substr(0, 5), length_of(3), length_of(3) + "ab"}) {
    Pair pair;
    pair.write(cut);
    pair.near.reset(-1);
    EXPECT_EQ(receive_frame(pair.far.get()), std::nullopt) << cut.size() << " bytes";
  }
}

TEST(Frame, AnErrorIsNoReasonToTryForEver) {
  EXPECT_EQ(receive_frame(-1), std::nullopt);
  EXPECT_FALSE(send_frame(-1, "abc"));
}

TEST(Frame, APeerThatIsGoneIsNoSignal) {
  Pair pair;
  pair.far.reset(-1);
  EXPECT_FALSE(send_frame(pair.near.get(), "abc"));
}

}  // namespace
}  // namespace touchstone::engine
