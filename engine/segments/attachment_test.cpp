#include "engine/segments/attachment.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

class AttachmentTest : public SegmentTest {
 protected:
  SegmentErrc refusal(std::string_view name) const {
    auto seen = Attachment::attach(name, directory());
    return seen ? SegmentErrc::shut_down : seen.error().code;
  }

  /// The file of a valid segment of this process with the key "k".
  std::string valid_file(const std::string& payload) const {
    SegmentHeader header = make_header({session(), ::getpid(), "k"}, 1, payload.size());
    seal(header, checksum(bytes_of(payload)));
    std::string file(sizeof header, '\0');
    std::memcpy(file.data(), &header, sizeof header);
    return file + payload;
  }

  std::string name() const { return *encode_name(session(), ::getpid(), "k"); }
};

TEST_F(AttachmentTest, TakesAValidFile) {
  put(name(), valid_file("payload"));
  auto seen = Attachment::attach(name(), directory());
  ASSERT_TRUE(seen) << describe(seen.error());
  EXPECT_EQ(text_of(seen->bytes()), "payload");
  remove(name());
}

TEST_F(AttachmentTest, RefusesNamesThatAreNoSegments) {
  EXPECT_EQ(refusal("../etc/passwd"), SegmentErrc::bad_name);
  EXPECT_EQ(refusal(control_name(session(), 7)), SegmentErrc::bad_name);
  EXPECT_EQ(refusal(name()), SegmentErrc::not_found);
  SegmentHandle garbage;
  std::memset(static_cast<void*>(&garbage), 'x', sizeof garbage);
  EXPECT_EQ(Attachment::attach(garbage, directory()).error().code, SegmentErrc::bad_name);
}

TEST_F(AttachmentTest, RefusesAShortALongAndAnEmptyFile) {
  const std::string file = valid_file("payload");
  put(name(), file.substr(0, file.size() - 1));
  EXPECT_EQ(refusal(name()), SegmentErrc::bad_size);
  put(name(), file + "x");
  EXPECT_EQ(refusal(name()), SegmentErrc::bad_size);
  put(name(), file.substr(0, 100));
  EXPECT_EQ(refusal(name()), SegmentErrc::bad_size);
  put(name(), "");
  EXPECT_EQ(refusal(name()), SegmentErrc::bad_size);
  remove(name());
}

TEST_F(AttachmentTest, RefusesAChangedHeaderAndNoticesAChangedPayload) {
  std::string file = valid_file("payload");
  file[0] ^= 1;
  put(name(), file);
  EXPECT_EQ(refusal(name()), SegmentErrc::bad_header);
  file = valid_file("payload");
  file.back() ^= 1;
  put(name(), file);
  auto seen = Attachment::attach(name(), directory());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->verify().error().code, SegmentErrc::bad_payload);
  remove(name());
}

TEST_F(AttachmentTest, RefusesASegmentThatWasRenamed) {
  const std::string other = *encode_name(session(), ::getpid(), "other");
  put(other, valid_file("payload"));
  EXPECT_EQ(refusal(other), SegmentErrc::bad_header);
  remove(other);
}

TEST_F(AttachmentTest, RefusesWhatIsNoRegularFileWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path(name()).c_str(), 0600), 0);
  EXPECT_EQ(refusal(name()), SegmentErrc::foreign_file);
  remove(name());
  put("valid", valid_file("payload"));
  ASSERT_EQ(::symlink(path("valid").c_str(), path(name()).c_str()), 0);
  EXPECT_EQ(refusal(name()), SegmentErrc::foreign_file) << "a symlink is not followed, whatever it leads to";
  remove(name());
  ASSERT_EQ(::mkdir(path(name()).c_str(), 0700), 0);
  EXPECT_EQ(refusal(name()), SegmentErrc::foreign_file);
  remove(name());
}

TEST_F(AttachmentTest, RefusesASocket) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path(name()).size(), sizeof address.sun_path);
  path(name()).copy(address.sun_path, sizeof address.sun_path);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(refusal(name()), SegmentErrc::foreign_file);
  ::close(socket);
  remove(name());
}

TEST_F(AttachmentTest, AHandleOfNothingLeadsNowhere) {
  const SegmentHandle none;
  EXPECT_EQ(none.name(), "");
  EXPECT_EQ(none.payload_size(), 0u);
  EXPECT_EQ(none.generation(), 0u);
  EXPECT_EQ(Attachment::attach(none, directory()).error().code, SegmentErrc::bad_name);
  EXPECT_EQ(Attachment::attach(none, directory()).error().system_error, 0) << "no system call failed";
  const std::string longest(kMaxNameBytes, 'n');
  EXPECT_EQ(SegmentHandle(longest + "more", 1, 2).name(), longest);
}

TEST_F(AttachmentTest, CannotBeMadeWritable) {
  put(name(), valid_file("payload"));
  auto seen = Attachment::attach(name(), directory());
  ASSERT_TRUE(seen);
  void* const page = const_cast<SegmentHeader*>(&seen->header());
  EXPECT_EQ(::mprotect(page, 4096, PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
  remove(name());
}

}  // namespace
}  // namespace touchstone::engine
