#include "ci/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace touchstone::ci {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool is_include(std::string_view text, std::size_t quote) {
  const auto start = text.rfind('\n', quote) + 1;  // npos + 1 is 0
  const auto hash = text.find_first_not_of(" \t", start);
  return hash < quote && text.substr(hash, 1) == "#" &&
         text.substr(hash, quote - hash).find("include") != text.npos;
}

/// The index behind a raw string literal that begins at `quote`.
std::size_t end_of_raw_string(std::string_view text, std::size_t quote) {
  const auto open = text.find('(', quote);
  if (open == std::string_view::npos) return text.size();
  const std::string close = ")" + std::string(text.substr(quote + 1, open - quote - 1)) + "\"";
  const auto end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

/// The index behind a literal that begins at `quote` and ends at the same character.
std::size_t end_of_literal(std::string_view text, std::size_t quote) {
  for (std::size_t i = quote + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == text[quote] || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

SourceFile read(const fs::path& top, const fs::path& path) {
  SourceFile file;
  file.path = fs::relative(path, top).string();
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.path);
  file.text.assign(std::istreambuf_iterator<char>(in), {});
  file.lines = split(file.text);
  if (file.is_cpp()) file.code = split(without_comments_and_strings(file.text));
  file.code.resize(file.lines.size());
  return file;
}

}  // namespace

std::string SourceFile::extension() const {
  return fs::path(path).extension().string();
}

std::string without_comments_and_strings(std::string_view text) {
  std::string out;
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) out += text[i] == '\n' ? '\n' : ' ';
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    if (text.compare(i, 2, "//") == 0) {
      end = std::min(text.find('\n', i), text.size());
    } else if (text.compare(i, 2, "/*") == 0) {
      end = text.find("*/", i + 2);
      end = end == std::string_view::npos ? text.size() : end + 2;
    } else if (text[i] == '"' && i > 0 && text[i - 1] == 'R') {
      end = end_of_raw_string(text, i);
    } else if (text[i] == '"' && !is_include(text, i)) {
      end = end_of_literal(text, i);
    } else if (text[i] == '\'' && (i == 0 || !is_word(text[i - 1]))) {  // not a digit separator
      end = end_of_literal(text, i);
    }
    if (end == i) {
      out += text[i++];
    } else {
      blank(i, end);
      i = end;
    }
  }
  return out;
}

std::vector<SourceFile> read_source_tree(const std::string& top) {
  std::vector<SourceFile> files;
  for (const char* folder :
       {"engine", "model", "harness", "stress", "fuzz", "bench", "ci", ".ci", "cmake", "docs"}) {
    if (!fs::exists(fs::path(top) / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(top) / folder))
      if (entry.is_regular_file() && entry.path().string().find("/corpus/") == std::string::npos)
        files.push_back(read(top, entry.path()));
  }
  for (const char* name : {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", ".gitignore"})
    if (fs::exists(fs::path(top) / name)) files.push_back(read(top, fs::path(top) / name));
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

}  // namespace touchstone::ci
