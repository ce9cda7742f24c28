#pragma once
// Attempts at what must be refused, each as the report of a process: empty when every one was refused as it should be. Shared
// by the tests of C8 and C9 and by their claims.
//
//   EXPECT_EQ(as_ordinary_user(directory, [&] { return reopen_for_writing(options); }), "");
//   EXPECT_EQ(fill_one_megabyte(options), "");          // or "no mount namespace: ...", where the kernel gives none
//   WorkerPool::open([&](const JobRequest& r) { return write_everywhere(r, options, output); }, ...)
//
// Call from a process with one thread.

#include <string>

#include "engine/segments/owner.h"
#include "engine/segments/worker_pool.h"
#include "stress/chaos/child.h"

namespace touchstone::chaos {

/// What the body reports in a child that is a main of a user for whom modes count: root may open anything.
std::string as_ordinary_user(const std::string& directory, const Child::Body& body);

/// Allocates a segment and tries to open it for writing, to truncate it, and to map it writable, by name and by descriptor.
std::string reopen_for_writing(const engine::SegmentOwner::Options& options);

/// A store through an attachment, in a child; its end must be a segmentation fault, so that is what the caller compares with.
std::string store_through_an_attachment(const engine::SegmentHandle& handle, const std::string& directory);

/// A store through the mapping that a parent is just filling, in a child of fork(): as above.
std::string store_through_the_parents_mapping(engine::SegmentOwner& owner, const std::string& key);

/// Allocates more than there is in a private file system of 1 MiB over the directory, in a child: ftruncate would succeed, and the
/// first store be a SIGBUS.
std::string fill_one_megabyte(const engine::SegmentOwner::Options& options);

/// In a worker of a pool, with a segment as its first handle and one output directory: tries to write anywhere else.
std::string write_everywhere(const engine::JobRequest& request, const engine::SegmentOwner::Options& options,
                             const std::string& output);

}  // namespace touchstone::chaos
