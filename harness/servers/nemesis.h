#pragma once
// Who makes the faults, drawn from the seed: to processes, to the disk, to the network.
//
//   ProcessNemesis nemesis(server, ProcessFault::kill, stream);
//   shape.fault = [&](std::size_t nth) { nemesis.fault(nth); };      // while clients work
//   nemesis.recover();                                               // then everything is whole again
//
// Faults come in pairs: the even ones break something, the odd ones mend it, so that of a cluster at most one node is away.
// Thread safety: one thread, the one that started the server.

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

#include "harness/claim.h"
#include "harness/seed.h"
#include "harness/servers/host_network.h"
#include "harness/servers/server_process.h"
#include "harness/servers/slow_disk.h"

namespace touchstone::harness {

class Nemesis {
 public:
  virtual ~Nemesis() = default;

  void fault(std::size_t nth) { nth % 2 == 0 ? disturb() : mend(); }
  void recover() { mend(); }

  /// What was done, a line each.
  const std::string& log() const { return log_; }
  std::uint64_t kills() const { return kills_; }

 protected:
  void note(const std::string& line) { log_ += line + "\n"; }

  std::uint64_t kills_ = 0;

 private:
  virtual void disturb() = 0;

  /// Also when there is nothing to mend.
  virtual void mend() = 0;

  std::string log_;
};

enum class ProcessFault { kill, pause };

class ProcessNemesis : public Nemesis {
 public:
  ProcessNemesis(ProcessHost& server, ProcessFault fault, Stream& stream)
      : server_(server), fault_(fault), stream_(stream) {}
  ~ProcessNemesis() override;

 private:
  void disturb() override;
  void mend() override;

  ProcessHost& server_;
  const ProcessFault fault_;
  Stream& stream_;
  std::optional<std::size_t> away_;
};

/// This machine gives no file system of its own.
struct NoDisk : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file system in memory at `directory`, which only this process and its children see. Throws NoDisk.
class DiskOfItsOwn {
 public:
  explicit DiskOfItsOwn(std::filesystem::path directory);
  ~DiskOfItsOwn();
  DiskOfItsOwn(const DiskOfItsOwn&) = delete;
  DiskOfItsOwn& operator=(const DiskOfItsOwn&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

/// Takes all that is left of the server's file system, and gives it back; a server that ended meanwhile is started anew.
class DiskNemesis : public Nemesis {
 public:
  DiskNemesis(ProcessHost& server, std::filesystem::path directory);
  ~DiskNemesis() override;

 private:
  void disturb() override;
  void mend() override;

  ProcessHost& server_;
  const std::filesystem::path filler_;
};

/// Every call that waits for the disk waits longer, by what is drawn anew for each fault.
class SlowDiskNemesis : public Nemesis {
 public:
  SlowDiskNemesis(SlowDisk& disk, Stream& stream) : disk_(disk), stream_(stream) {}
  ~SlowDiskNemesis() override { disk_.heal(); }

 private:
  void disturb() override;
  void mend() override;

  SlowDisk& disk_;
  Stream& stream_;
};

/// How many calls waited, for the report. Throws ClaimInconclusive when none did: then nothing was slow.
void note_delays(ClaimRun& run, const SlowDisk& disk);

class NetworkNemesis : public Nemesis {
 public:
  NetworkNemesis(HostNetwork& network, int hosts, Stream& stream)
      : network_(network), hosts_(hosts), stream_(stream) {}
  ~NetworkNemesis() override { network_.heal(); }

 private:
  void disturb() override;
  void mend() override;

  HostNetwork& network_;
  const int hosts_;
  Stream& stream_;
};

}  // namespace touchstone::harness
