#include "harness/servers/nemesis.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace touchstone::harness {

ProcessNemesis::~ProcessNemesis() {
  if (away_ && fault_ == ProcessFault::pause) server_.processes()[*away_]->resume();
}

void ProcessNemesis::disturb() {
  const auto processes = server_.processes();
  away_ = stream_.below(processes.size());
  if (fault_ == ProcessFault::kill) {
    processes[*away_]->kill();
    ++kills_;
    note(fmt::format("kill -9 of process {}", *away_));
  } else {
    processes[*away_]->pause();
    note(fmt::format("SIGSTOP of process {}", *away_));
    // Where nobody else answers, nobody would ask for the end of it.
    if (processes.size() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + stream_.below(200)));
      mend();
    }
  }
}

void ProcessNemesis::mend() {
  if (!away_) return;
  if (fault_ == ProcessFault::kill) {
    server_.revive(*away_);
    note(fmt::format("process {} started anew", *away_));
  } else {
    server_.processes()[*away_]->resume();
    note(fmt::format("SIGCONT of process {}", *away_));
  }
  away_.reset();
}

DiskOfItsOwn::DiskOfItsOwn(std::filesystem::path directory) : path_(std::move(directory)) {
  std::filesystem::create_directories(path_);
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("touchstone", path_.c_str(), "tmpfs", 0, "size=400m") != 0)
    throw NoDisk(fmt::format("no file system of its own: {}", std::strerror(errno)));
}

DiskOfItsOwn::~DiskOfItsOwn() {
  ::umount(path_.c_str());
}

DiskNemesis::DiskNemesis(ProcessHost& server, std::filesystem::path directory)
    : server_(server), filler_(std::move(directory) / "filler") {}

DiskNemesis::~DiskNemesis() {
  std::error_code gone;
  std::filesystem::remove(filler_, gone);
}

void DiskNemesis::disturb() {
  struct statvfs room {};
  if (::statvfs(filler_.parent_path().c_str(), &room) != 0) return;
  const int file = ::open(filler_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const auto bytes = static_cast<off_t>(room.f_bfree * room.f_frsize);
  const bool full = ::posix_fallocate(file, 0, bytes) == 0;
  ::close(file);
  note(fmt::format("{} bytes taken{}", bytes, full ? "" : ", others were quicker"));
}

void DiskNemesis::mend() {
  std::error_code gone;
  if (std::filesystem::remove(filler_, gone)) note("bytes given back");
  const auto processes = server_.processes();
  for (std::size_t i = 0; i < processes.size(); ++i) {
    if (!processes[i]->has_ended()) continue;
    server_.revive(i);
    note(fmt::format("process {} had ended: started anew", i));
  }
}

void SlowDiskNemesis::disturb() {
  const std::chrono::milliseconds delay(10 + stream_.below(60));
  disk_.slow(delay);
  note(fmt::format("the disk takes {} ms longer", delay.count()));
}

void SlowDiskNemesis::mend() {
  disk_.heal();
  note("the disk is as fast as it was");
}

void note_delays(ClaimRun& run, const SlowDisk& disk) {
  if (disk.delayed() == 0)
    throw ClaimInconclusive(fmt::format("of {} calls that wait for the disk none was delayed", disk.calls()));
  run.note(fmt::format("{} of {} calls that wait for the disk were delayed", disk.delayed(), disk.calls()));
}

void NetworkNemesis::disturb() {
  const int host = static_cast<int>(stream_.below(static_cast<std::uint64_t>(hosts_)));
  const std::chrono::milliseconds delay(1 + stream_.below(30));
  const int lost = static_cast<int>(stream_.below(20));
  switch (stream_.below(3)) {
    case 0:
      network_.isolate({host});
      return note(fmt::format("host {} alone", host));
    case 1:
      network_.disturb(delay, lost);
      return note(fmt::format("packets wait {} ms or more, {} % are lost", delay.count(), lost));
    default:
      network_.isolate({host});
      network_.disturb(delay, lost);
      return note(
          fmt::format("host {} alone; packets wait {} ms or more, {} % are lost", host, delay.count(), lost));
  }
}

void NetworkNemesis::mend() {
  network_.heal();
  note("the network is whole");
}

}  // namespace touchstone::harness
