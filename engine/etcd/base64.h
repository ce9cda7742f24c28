#pragma once
// Base 64 (RFC 4648), in which JSON carries bytes. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace touchstone::engine {

std::string to_base64(std::string_view bytes);

/// Throws std::invalid_argument for what to_base64 does not make.
std::string from_base64(std::string_view text);

}  // namespace touchstone::engine
