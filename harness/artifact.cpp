#include "harness/artifact.h"

#include <fstream>
#include <stdexcept>
#include <string>

namespace touchstone::harness {

void Artifact::write(std::string_view name, std::string_view text) const {
  std::filesystem::create_directories(directory_);
  const auto target = directory_ / name;
  const auto partial = directory_ / (std::string(name) + ".partial");
  {
    std::ofstream out(partial, std::ios::binary);
    out << text;
    if (!out.flush()) throw std::runtime_error("cannot write " + partial.string());
  }
  std::filesystem::rename(partial, target);
}

}  // namespace touchstone::harness
