#include "harness/artifact.h"

#include <fstream>
#include <stdexcept>
#include <string>

namespace touchstone::harness {
namespace {

void write_into(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

}  // namespace

void Artifact::write(std::string_view name, std::string_view text) const {
  std::filesystem::create_directories(directory_);
  const auto target = directory_ / name;
  const auto there = std::filesystem::symlink_status(target);
  if (std::filesystem::is_directory(target))
    throw std::runtime_error("cannot write " + target.string() + ": it is a directory");
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there))
    return write_into(target, text);
  const auto partial = directory_ / (std::string(name) + ".partial");
  try {
    write_into(partial, text);
    std::filesystem::rename(partial, target);
  } catch (...) {
    std::error_code kept;
    std::filesystem::remove(partial, kept);
    throw;
  }
}

}  // namespace touchstone::harness
