// C8 and C9: what the kernel must refuse to a reader, and surroundings that are not ours.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "engine/segments/protections.h"
#include "stress/chaos/refusal.h"
#include "stress/chaos/trespass.h"
#include "stress/claims/claims.h"
#include "stress/claims/segment_scene.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using chaos::expect_refusal;
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;

// C8. A store through an attachment and through the mapping that a parent is just filling; then, as a user for whom modes count,
// opening again for writing, resizing, mapping writable. Each must be refused by the kernel: the oracle is its own answer.
void readers_cannot_write(ClaimRun& run) {
  run.once([&](Seed) {
    constexpr const char* kFault = "ended by signal 11";
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("content")));
    const std::string stored = chaos::store_through_an_attachment(handle, directory.path());
    run.require(stored == kFault, "a store through an attachment: {}", stored);
    const std::string inherited = chaos::store_through_the_parents_mapping(owner, "filled");
    run.require(inherited == kFault, "a store through the parent's mapping: {}", inherited);
    need(need(Attachment::attach(handle, directory.path())).verify());
    need(owner.shutdown());
    Directory other(run);
    const std::string reopened =
        chaos::as_ordinary_user(other.path(), [&] { return chaos::reopen_for_writing(other.options()); });
    run.require(reopened.empty(), "{}", reopened);
    run.tried().operations += 7;
  });
}

// C8. As root no mode stops a worker, only the sandbox does: every way to write is tried in one, by name.
void sandboxed_workers_cannot_write(ClaimRun& run) {
  run.once([&](Seed) {
    ++run.tried().operations;
    if (landlock_abi() == 0) {
      run.note("the sandbox of a worker that is root: not tried: this kernel has no Landlock");
      return;
    }
    Directory directory(run);
    const std::string output = directory.file("output");
    ::mkdir(output.c_str(), 0700);
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("frame", bytes("x")));
    auto pool = need(WorkerPool::open(
        [&](const JobRequest& request) {
          return chaos::write_everywhere(request, directory.options("other"), output);
        },
        {.workers = 1, .output_directories = {output}}));
    const std::string wrong = need(pool.run({.inputs = "", .segments = {handle}}));
    run.require(wrong.empty(), "a worker could: {}", wrong);
    need(owner.audit());
    run.tried().operations += 9;
  });
}

// C9. Keys of any bytes come back from their names; names that do not fit, and sessions that could not be told apart, are errors.
void keys_round_trip(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    Directory directory(run);
    auto stream = seed.stream("C9");
    auto owner = need(SegmentOwner::open(directory.options()));
    for (int i = 0; i < 20; ++i) {
      constexpr std::string_view kHostile("/:%~.\0\n ", 8);
      std::string key(1 + stream.below(12), 'k');
      for (char& c : key) {
        if (stream.chance(1, 2)) c = static_cast<char>(stream.below(256));
        if (stream.chance(1, 4)) c = stream.pick(kHostile);
      }
      const auto handle = need(owner.allocate(key, bytes("x")));
      const auto parts = parse_name(handle.name());
      run.require(parts && decode_key(parts->encoded_key) == key,
                  "a key of {} bytes does not come back from its name", key.size());
      run.require(directory.names() == 2, "a key of {} bytes made more than one name", key.size());
      need(owner.free(handle));
      ++run.tried().operations;
    }
    const std::size_t room = 255 - need(encode_name("s", ::getpid(), "k")).size() + 1;
    need(owner.free(need(owner.allocate(std::string(room, 'k'), bytes("x")))));
    const std::string wrong =
        expect_refusal(owner.allocate(std::string(room + 1, 'k'), bytes("x")), SegmentErrc::name_too_long) +
        expect_refusal(owner.allocate("", bytes("x")), SegmentErrc::bad_key) +
        expect_refusal(SegmentOwner::open(directory.options("a:b")), SegmentErrc::bad_session);
    run.require(wrong.empty(), "{}", wrong);
  });
}

/// What is at a name where we would allocate: nobody may take it over, read it as a segment, or remove it.
struct Squatter {
  const char* what;
  std::function<bool(const std::string& file)> put;  ///< false: this environment cannot
  SegmentErrc on_attach;
  bool removable = false;  ///< a regular file of ours in a group that nobody owns is an orphan like any other
};

std::vector<Squatter> squatters(const Directory& directory) {
  const auto write = [](const std::string& file, const std::string& content) {
    return static_cast<bool>(std::ofstream(file) << content << std::flush);
  };
  return {
      {"a symlink",
       [&directory, write](const std::string& file) {
         return write(directory.file("target"), "precious") &&
                ::symlink(directory.file("target").c_str(), file.c_str()) == 0;
       },
       SegmentErrc::foreign_file},
      {"a fifo", [](const std::string& file) { return ::mkfifo(file.c_str(), 0600) == 0; },
       SegmentErrc::foreign_file},
      {"a directory", [](const std::string& file) { return ::mkdir(file.c_str(), 0700) == 0; },
       SegmentErrc::foreign_file},
      {"another user's file",
       [write](const std::string& file) {
         if (!write(file, "theirs")) return false;
         if (::chown(file.c_str(), 65534, 65534) == 0) return true;
         std::filesystem::remove(file);
         return false;
       },
       SegmentErrc::foreign_file},
      {"a file without our header",
       [write](const std::string& file) { return write(file, std::string(4096, 'x')); },
       SegmentErrc::bad_header, true},
      {"a truncated file", [write](const std::string& file) { return write(file, "short"); },
       SegmentErrc::bad_size, true},
      {"an empty file", [write](const std::string& file) { return write(file, ""); }, SegmentErrc::bad_size,
       true},
  };
}

void foreign_files_stay(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    const std::string name = need(encode_name("s", ::getpid(), "squatted"));
    for (const Squatter& squatter : squatters(directory)) {
      auto owner = need(SegmentOwner::open(directory.options()));
      if (!squatter.put(directory.file(name))) {
        run.note(fmt::format("{} at a name: not tried: only root can give a file away", squatter.what));
        continue;
      }
      struct stat before {
      }, after{};
      ::lstat(directory.file(name).c_str(), &before);
      std::string wrong = expect_refusal(owner.allocate("squatted", bytes("x")), SegmentErrc::name_taken) +
                          expect_refusal(Attachment::attach(name, directory.path()), squatter.on_attach);
      need(owner.shutdown());
      if (!squatter.removable) directory.reap();
      if (::lstat(directory.file(name).c_str(), &after) != 0) {
        wrong += "it was removed; ";
      } else if (after.st_ino != before.st_ino || after.st_size != before.st_size) {
        wrong += "it was changed; ";
      }
      run.require(wrong.empty(), "{} at a name: {}", squatter.what, wrong);
      std::filesystem::remove(directory.file(name));
      run.tried().operations += 3;
    }
  });
}

/// A segment whose header or payload was changed behind the owner's back is not attached as one.
void damaged_headers_are_refused(ClaimRun& run) {
  run.once([&](Seed seed) {
    auto stream = seed.stream("damage");
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    for (int i = 0; i < 40; ++i) {
      const auto handle = need(owner.allocate("frame", bytes("payload")));
      const std::string file = directory.file(std::string(handle.name()));
      ::chmod(file.c_str(), 0600);
      const auto at = static_cast<std::streamoff>(stream.below(32));  // magic, format, sizes
      std::fstream content(file, std::ios::in | std::ios::out | std::ios::binary);
      content.seekg(at);
      const char was = static_cast<char>(content.get());
      content.seekp(at);
      content.put(static_cast<char>(was ^ static_cast<char>(1 + stream.below(255))));
      content.close();
      const auto seen = Attachment::attach(handle, directory.path());
      run.require(!seen || !seen->verify(),
                  "a segment with byte {} of its header changed was taken for whole", at);
      std::filesystem::remove(file);
      const auto gone = owner.free(handle);
      run.require(!gone && gone.error().code == SegmentErrc::vanished, "a removed name was not noticed");
      ++run.tried().operations;
    }
  });
}

void full_memory_is_an_error(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    ++run.tried().operations;
    const std::string report = chaos::fill_one_megabyte(directory.options());
    if (report.rfind("no mount namespace", 0) == 0) {
      run.note("full memory: not tried: " + report);
      return;
    }
    run.require(report.empty(), "with 1 MiB of shared memory: {}", report);
    run.tried().operations += 4;
  });
}

}  // namespace

void add_segment_hostile_claims(harness::ClaimRegistry& registry) {
  constexpr auto kWorkload = ReplayClass::workload;
  constexpr auto kExact = ReplayClass::exact;
  registry.add({"C8", "a reader's write, resize or re-open for writing is refused by the kernel", "processes",
                kWorkload, 0, readers_cannot_write});
  registry.add_part("C8", {"sandbox", "processes", kWorkload, 0, sandboxed_workers_cannot_write});
  registry.add({"C9", "hostile keys round-trip or are refused; foreign files stay; full memory is an error",
                "random keys", kExact, 1, keys_round_trip});
  registry.add_part("C9", {"foreign", "scenario", kExact, 0, foreign_files_stay});
  registry.add_part("C9", {"damaged", "scenario", kExact, 0, damaged_headers_are_refused});
  registry.add_part("C9", {"full", "private tmpfs", kWorkload, 0, full_memory_is_an_error});
}

}  // namespace touchstone::stress
