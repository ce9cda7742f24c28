#pragma once
// What can go wrong with a segment, as values.
//
//   SegmentResult<SegmentHandle> made = owner.allocate("frame", bytes);
//   if (!made) report(describe(made.error()));      // name_taken: "theus:..:frame" exists: File exists
//   else use(*made);
//
// Every function of engine/segments that can fail returns SegmentResult. A result is a value: it belongs to
// whoever holds it. Reading the value of a failed result ends the process (a defect of the caller).

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace touchstone::engine {

enum class SegmentErrc : std::uint8_t {
  bad_session,       ///< empty, too long, or a byte outside [A-Za-z0-9._-]
  bad_key,           ///< the empty key
  name_too_long,     ///< the encoded name exceeds 255 bytes
  bad_name,          ///< not of the form theus:{session}:{pid}:{key}
  bad_directory,     ///< cannot be opened, or is no directory
  no_space,          ///< the memory could not be reserved; nothing was published
  descriptor_limit,  ///< the process or the machine has no more descriptors or mappings
  unsupported,       ///< the file system or kernel lacks what the protocol needs
  name_taken,        ///< something is at the name already; it is never adopted
  foreign_file,      ///< what is at the name is not a regular file of this user
  busy,              ///< another live process holds the owner lock of this (session, pid)
  worker_role,       ///< a worker may neither allocate nor replace
  not_creator,       ///< only the process that created a segment may unlink it
  not_found,         ///< no such segment
  vanished,          ///< somebody removed or replaced our name behind our back
  bad_header,        ///< not a segment, another version of the format, or a header that was changed
  bad_size,          ///< the file is shorter or longer than its header says
  bad_payload,       ///< the payload does not have the checksum that its header says
  stale_generation,  ///< the name holds another generation than the handle
  shut_down,         ///< the owner was shut down
  worker_died,       ///< a worker process ended before it answered
  job_failed,        ///< the job threw; the message is what it said
  system,            ///< any other failure of a system call; see system_error
};

std::string_view name_of(SegmentErrc code);

struct SegmentError {
  SegmentErrc code;
  std::string message;   ///< names what was wrong
  int system_error = 0;  ///< errno, when a system call failed
};

/// "code: message: text of errno".
std::string describe(const SegmentError& error);

/// An error for a failed system call: errno decides between no_space, descriptor_limit and `otherwise`.
SegmentError system_failure(std::string message, int system_error,
                            SegmentErrc otherwise = SegmentErrc::system);

/// The value of an operation that has nothing to return.
struct Done {};

template <class T>
class [[nodiscard]] SegmentResult {
 public:
  SegmentResult(T value) : content_(std::move(value)) {}
  SegmentResult(SegmentError error) : content_(std::move(error)) {}

  bool has_value() const { return std::holds_alternative<T>(content_); }
  explicit operator bool() const { return has_value(); }

  T& value() { return std::get<T>(content_); }
  const T& value() const { return std::get<T>(content_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const SegmentError& error() const { return std::get<SegmentError>(content_); }

 private:
  std::variant<T, SegmentError> content_;
};

}  // namespace touchstone::engine
