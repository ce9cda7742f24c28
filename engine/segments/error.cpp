#include "engine/segments/error.h"

#include <cerrno>
#include <system_error>

namespace touchstone::engine {

std::string_view name_of(SegmentErrc code) {
  switch (code) {
    case SegmentErrc::bad_session:
      return "bad_session";
    case SegmentErrc::bad_key:
      return "bad_key";
    case SegmentErrc::name_too_long:
      return "name_too_long";
    case SegmentErrc::bad_name:
      return "bad_name";
    case SegmentErrc::bad_directory:
      return "bad_directory";
    case SegmentErrc::no_space:
      return "no_space";
    case SegmentErrc::descriptor_limit:
      return "descriptor_limit";
    case SegmentErrc::unsupported:
      return "unsupported";
    case SegmentErrc::name_taken:
      return "name_taken";
    case SegmentErrc::foreign_file:
      return "foreign_file";
    case SegmentErrc::busy:
      return "busy";
    case SegmentErrc::worker_role:
      return "worker_role";
    case SegmentErrc::not_creator:
      return "not_creator";
    case SegmentErrc::not_found:
      return "not_found";
    case SegmentErrc::vanished:
      return "vanished";
    case SegmentErrc::bad_header:
      return "bad_header";
    case SegmentErrc::bad_size:
      return "bad_size";
    case SegmentErrc::bad_payload:
      return "bad_payload";
    case SegmentErrc::stale_generation:
      return "stale_generation";
    case SegmentErrc::shut_down:
      return "shut_down";
    case SegmentErrc::worker_died:
      return "worker_died";
    case SegmentErrc::job_failed:
      return "job_failed";
    case SegmentErrc::system:
      return "system";
  }
  return "unknown";
}

std::string describe(const SegmentError& error) {
  std::string text(name_of(error.code));
  text.append(": ").append(error.message);
  if (error.system_error != 0) text.append(": ").append(std::generic_category().message(error.system_error));
  return text;
}

SegmentError system_failure(std::string message, int system_error, SegmentErrc otherwise) {
  SegmentErrc code = otherwise;
  if (system_error == ENOSPC || system_error == ENOMEM || system_error == EDQUOT) {
    code = SegmentErrc::no_space;
  } else if (system_error == EMFILE || system_error == ENFILE) {
    code = SegmentErrc::descriptor_limit;
  }
  return SegmentError{code, std::move(message), system_error};
}

}  // namespace touchstone::engine
