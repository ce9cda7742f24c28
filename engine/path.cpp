#include "engine/path.h"

namespace touchstone::engine {

std::optional<Rejected> check_path(std::string_view path) {
  if (path.empty()) return Rejected{ErrorCode::empty_path, "the path is empty"};
  if (path.size() > kMaxPathBytes) {
    return Rejected{ErrorCode::bad_path, "the path has " + std::to_string(path.size()) +
                                             " bytes, more than " + std::to_string(kMaxPathBytes) + ": " +
                                             std::string(path.substr(0, 40)) + "..."};
  }
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = component_end(path, begin);
    if (end == begin) {
      return Rejected{ErrorCode::bad_path, "the path has an empty component at byte " +
                                               std::to_string(begin) + ": \"" + std::string(path) + "\""};
    }
    begin = end + 1;
  }
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> components;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = component_end(path, begin);
    components.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return components;
}

const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::empty_path:
      return "empty_path";
    case ErrorCode::bad_path:
      return "bad_path";
    case ErrorCode::future_version:
      return "future_version";
    case ErrorCode::under_scalar:
      return "under_scalar";
    case ErrorCode::undeclared_write:
      return "undeclared_write";
    case ErrorCode::undeclared_read:
      return "undeclared_read";
    case ErrorCode::nested_commit:
      return "nested_commit";
    case ErrorCode::foreign_key:
      return "foreign_key";
  }
  return "unknown";
}

}  // namespace touchstone::engine
