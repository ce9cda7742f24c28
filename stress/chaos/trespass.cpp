#include "stress/chaos/trespass.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "engine/segments/attachment.h"
#include "stress/chaos/namespaces.h"
#include "stress/chaos/refusal.h"

namespace touchstone::chaos {
namespace {

using engine::Attachment;
using engine::SegmentErrc;
using engine::SegmentOwner;

std::span<const std::byte> one_byte() {
  static const std::byte byte{'x'};
  return {&byte, 1};
}

void touch_all(std::span<std::byte> payload) {
  for (std::byte& byte : payload) byte = std::byte{1};
}

bool bind_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const engine::Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string fill(const SegmentOwner::Options& options) {
  if (auto no = mount_private_tmpfs(options.directory, "1m"); !no.empty()) return no;
  engine::become_main();
  auto owner = SegmentOwner::open(options);
  if (!owner) return why(owner);
  const std::vector<std::byte> big(8 << 20);
  std::string wrong = expect_refusal(owner->allocate("big", big), SegmentErrc::no_space) +
                      expect_refusal(owner->allocate("big", big.size(), touch_all), SegmentErrc::no_space);
  if (auto small = owner->allocate("small", one_byte()); !small) wrong += why(small);
  wrong += expect_refusal(owner->replace("small", big), SegmentErrc::no_space);
  const std::filesystem::directory_iterator names(options.directory);
  if (std::distance(begin(names), end(names)) != 2) wrong += "something half-built is visible; ";
  if (auto room = owner->allocate("half", 500'000, touch_all); !room)
    wrong += "the memory was not given back; ";
  return wrong + why(owner->shutdown());
}

}  // namespace

std::string as_ordinary_user(const std::string& directory, const Child::Body& body) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && ::chown(directory.c_str(), kNobody, kNobody) != 0) return "chown";
  return report_of_child([&]() -> std::string {
    if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) return "setuid";
    engine::become_main();
    return body();
  });
}

std::string reopen_for_writing(const SegmentOwner::Options& options) {
  auto owner = SegmentOwner::open(options);
  if (!owner) return why(owner);
  auto handle = owner->allocate("key", one_byte());
  if (!handle) return why(handle);
  const std::string file = options.directory + "/" + std::string(handle->name());
  std::string wrong;
  if (::open(file.c_str(), O_RDWR | O_CLOEXEC) != -1 || errno != EACCES) wrong += "opened for writing; ";
  if (::truncate(file.c_str(), 0) != -1 || errno != EACCES) wrong += "truncated by name; ";
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (::ftruncate(fd, 0) != -1) wrong += "truncated by descriptor; ";
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  if (::open(again.c_str(), O_RDWR | O_CLOEXEC) != -1) wrong += "opened again for writing; ";
  if (::mmap(nullptr, 1, PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) wrong += "mapped writable; ";
  return wrong;
}

std::string store_through_an_attachment(const engine::SegmentHandle& handle, const std::string& directory) {
  return report_of_child([&]() -> std::string {
    auto seen = Attachment::attach(handle, directory);
    if (!seen) return why(seen);
    *const_cast<volatile std::byte*>(seen->bytes().data()) = std::byte{1};
    return "the write went through";
  });
}

std::string store_through_the_parents_mapping(SegmentOwner& owner, const std::string& key) {
  std::string report;
  auto handle = owner.allocate(key, 4096, [&](std::span<std::byte> payload) {
    report = report_of_child([&]() -> std::string {
      *static_cast<volatile std::byte*>(payload.data()) = std::byte{1};
      return "the write went through";
    });
  });
  return handle ? report : why(handle);
}

std::string fill_one_megabyte(const SegmentOwner::Options& options) {
  return report_of_child([&] { return fill(options); });
}

std::string write_everywhere(const engine::JobRequest& request, const SegmentOwner::Options& options,
                             const std::string& output) {
  const std::string& directory = options.directory;
  std::string wrong;
  const std::string file = directory + "/" + std::string(request.segments.at(0).name());
  const auto refused = [&](const char* what, bool succeeded) {
    if (succeeded || (errno != EACCES && errno != EXDEV)) wrong += std::string(what) + "; ";
  };
  refused("open for writing", ::open(file.c_str(), O_RDWR | O_CLOEXEC) >= 0);
  refused("create", ::open((directory + "/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0);
  refused("O_TMPFILE", ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) >= 0);
  refused("unlink", ::unlink(file.c_str()) == 0);
  refused("rename", ::rename(file.c_str(), (directory + "/other").c_str()) == 0);
  const std::string made = directory + "/made";
  refused("make a directory", ::mkdir(made.c_str(), 0700) == 0);
  refused("remove a directory", ::rmdir(output.c_str()) == 0);
  refused("make a symlink", ::symlink("x", made.c_str()) == 0);
  refused("make a FIFO", ::mkfifo(made.c_str(), 0600) == 0);
  refused("make a socket", bind_socket(made));
  refused("make a character device", ::mknod(made.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
  refused("make a block device", ::mknod(made.c_str(), S_IFBLK | 0600, makedev(7, 0)) == 0);
  refused("link out of the output", ::link(file.c_str(), (output + "/link").c_str()) == 0);
  if (!Attachment::attach(request.segments.at(0), directory)) wrong += "cannot attach; ";
  if (!(std::ofstream(output + "/result") << "x" << std::flush)) wrong += "cannot write its output; ";
  wrong += expect_refusal(SegmentOwner::open(options), SegmentErrc::worker_role);
  engine::become_main();  // a worker that breaks the rule still has the kernel against it
  if (SegmentOwner::open(options)) wrong += "owns segments; ";
  return wrong;
}

}  // namespace touchstone::chaos
