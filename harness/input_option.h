#pragma once
// The name of a file to read, as an option of a subcommand: a file that is there, or - for the standard input.
//
//   command->add_option("files", files)->check(readable_input);

#include <filesystem>
#include <string>

namespace touchstone::harness {

/// Nothing if it can be read, else why not: what CLI11 prints after the option's name.
inline std::string readable_input(const std::string& name) {
  std::error_code unknown;
  if (name == "-") return {};
  if (!std::filesystem::exists(name, unknown)) return "no such file: " + name;
  return std::filesystem::is_directory(name, unknown) ? "not a file but a directory: " + name : "";
}

}  // namespace touchstone::harness
