#pragma once
// The project's own files, read once for the rules of repository_test.cpp.
//
//   for (const SourceFile& file : read_source_tree(top))
//     if (file.is_cpp()) look_at(file.code);              // lines without comments and string contents
//
// Thread safety: values. Errors: an unreadable file throws std::runtime_error with its name.

#include <string>
#include <string_view>
#include <vector>

namespace touchstone::ci {

struct SourceFile {
  std::string path;  ///< from the top of the repository
  std::string text;
  std::vector<std::string> lines;
  std::vector<std::string>
      code;  ///< lines, comments blanked and string contents emptied (but not an include's)

  std::string name() const { return path.substr(path.rfind('/') + 1); }
  std::string folder() const { return path.substr(0, path.find('/')); }
  std::string extension() const;
  bool is_cpp() const { return extension() == ".h" || extension() == ".cpp"; }
  bool is_test() const { return path.size() > 9 && path.compare(path.size() - 9, 9, "_test.cpp") == 0; }
  /// A test, or a header that only tests include (test_*.h): may use what its layer may not.
  bool belongs_to_tests() const {
    return is_test() || (extension() == ".h" && name().compare(0, 5, "test_") == 0);
  }
  bool is_script() const { return text.compare(0, 2, "#!") == 0; }

  /// "path:line", for an index into lines.
  std::string at(std::size_t index) const { return path + ":" + std::to_string(index + 1); }
};

std::vector<SourceFile> read_source_tree(const std::string& top);

/// The same text, with comments and the contents of string and character literals blanked.
std::string without_comments_and_strings(std::string_view text);

}  // namespace touchstone::ci
