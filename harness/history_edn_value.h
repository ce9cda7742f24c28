#pragma once
// A reader of EDN, the notation of Clojure's data, as Jepsen's histories use it.
//
//   EdnReader reader("{:process 4, :f :append}");
//   auto value = reader.next();                       // one form after the other; kEnd at the end
//   if (auto* bad = std::get_if<EdnProblem>(&value)) ...
//   const Edn* process = std::get<Edn>(value).get("process");
//
// Comments (`;` to the end of the line), discards (`#_`), commas as blanks, tags (`#name form`: the tag is dropped,
// so a record reads as its map), `##Inf`. Nesting is bounded. Characters and ratios are read as symbols. JSON is read, too: behind a
// string a colon is a blank; a member's name is a string, and get() finds it; null is the symbol null. Not thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace touchstone::harness {

struct Edn {
  enum class Kind {
    kNil,
    kBoolean,
    kInteger,
    kDouble,
    kString,
    kKeyword,
    kSymbol,
    kVector,
    kList,
    kSet,
    kMap
  };

  Kind kind = Kind::kNil;
  std::int64_t integer = 0;  ///< also the boolean: 0 or 1
  double number = 0;
  std::string text;        ///< of strings; of keywords without the colon; of symbols
  std::vector<Edn> items;  ///< of vectors, lists and sets; of a map keys and values in turn

  bool is(Kind other) const { return kind == other; }
  bool is_keyword(std::string_view name) const { return kind == Kind::kKeyword && text == name; }

  /// The value of a map's keyword, or string; null if there is none.
  const Edn* get(std::string_view keyword) const;
  Edn* get(std::string_view keyword) { return const_cast<Edn*>(std::as_const(*this).get(keyword)); }
};

struct EdnProblem {
  std::size_t line = 0;  ///< within the text, from 1
  std::string problem;
};

struct EdnEnd {};

using EdnOrProblem = std::variant<Edn, EdnEnd, EdnProblem>;

class EdnReader {
 public:
  explicit EdnReader(std::string_view text) : text_(text) {}

  EdnOrProblem next();

  /// If the next form is a vector or a list, goes inside: next() gives its forms, and kEnd behind the last of them.
  void enter();

  /// The line that next() begins to read at, from 1, once blanks and comments are skipped.
  std::size_t line();

 private:
  bool skip_blanks();
  bool read_form(Edn& out, int depth);
  bool read_string(Edn& out);
  bool read_escape(std::string& out);
  void skip_colon();
  bool read_special(Edn& out);
  bool read_items(Edn& out, char close, int depth);
  bool read_tagged(Edn& out, int depth);
  bool read_atom(Edn& out);
  bool fail(std::string problem);
  std::string_view take_token();

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  char close_ = 0;  ///< of the form that enter() went inside
  EdnProblem problem_;
};

/// Gives every form of the text, or of the one vector or list that it is, to take(form), which says what is wrong with it or
/// nothing. The first problem, if there is one.
template <class Take>
std::optional<EdnProblem> each_edn_form(std::string_view text, Take take) {
  EdnReader reader(text);
  reader.enter();
  for (;;) {
    const std::size_t line = reader.line();
    EdnOrProblem next = reader.next();
    if (std::holds_alternative<EdnEnd>(next)) return std::nullopt;
    if (auto* bad = std::get_if<EdnProblem>(&next)) return std::move(*bad);
    if (std::optional<std::string> problem = take(std::get<Edn>(next)))
      return EdnProblem{line, *std::move(problem)};
  }
}

}  // namespace touchstone::harness
