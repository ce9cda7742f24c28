#pragma once
// Dotted paths: one or more components separated by '.', none of them empty; any other byte is allowed.
//
//   split("domain.camera_data")  ->  {"domain", "camera_data"}

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace touchstone::engine {

inline constexpr std::size_t kMaxPathBytes = 1024;

/// What is wrong with `path`, if anything.
std::optional<Rejected> check_path(std::string_view path);

/// The components of a valid path; the views look into `path`.
std::vector<std::string_view> split(std::string_view path);

/// The end of the component that begins at `from`: its '.' or the path's end.
inline std::size_t component_end(std::string_view path, std::size_t from) {
  const std::size_t dot = path.find('.', from);
  return dot == std::string_view::npos ? path.size() : dot;
}

}  // namespace touchstone::engine
