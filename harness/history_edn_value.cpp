#include "harness/history_edn_value.h"

#include <charconv>
#include <cstdlib>
#include <limits>

namespace touchstone::harness {
namespace {

constexpr int kDeepest = 64;

bool ends_token(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == '{' || c == '}' || c == '[' ||
         c == ']' || c == '(' || c == ')' || c == '"' || c == ';';
}

}  // namespace

const Edn* Edn::get(std::string_view keyword) const {
  if (kind != Kind::kMap) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const bool names = items[i].is(Kind::kKeyword) || items[i].is(Kind::kString);
    if (names && items[i].text == keyword) return &items[i + 1];
  }
  return nullptr;
}

bool EdnReader::fail(std::string problem) {
  problem_ = {line_, std::move(problem)};
  return false;
}

/// False at the end of the text.
bool EdnReader::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') ++line_;
    if (c == ';') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',') {
      ++at_;
    } else {
      return true;
    }
  }
  return false;
}

std::size_t EdnReader::line() {
  skip_blanks();
  return line_;
}

void EdnReader::enter() {
  if (!skip_blanks()) return;
  if (text_[at_] == '[') close_ = ']';
  if (text_[at_] == '(') close_ = ')';
  if (close_ != 0) ++at_;
}

EdnOrProblem EdnReader::next() {
  const bool more = skip_blanks();
  if (close_ != 0) {
    if (!more) return EdnProblem{line_, std::string("expected '") + close_ + "' before the end of the text"};
    if (text_[at_] == close_) {
      ++at_;
      close_ = 0;
      if (skip_blanks()) return EdnProblem{line_, "expected nothing behind the end of the history"};
      return EdnEnd{};
    }
  }
  if (!more) return EdnEnd{};
  Edn form;
  if (!read_form(form, 0)) return problem_;
  return form;
}

bool EdnReader::read_form(Edn& out, int depth) {
  if (!skip_blanks()) return fail("expected a form before the end of the text");
  if (depth > kDeepest) return fail("the form is nested too deeply");
  const char c = text_[at_];
  switch (c) {
    case '"':
      return read_string(out);
    case '{':
      out.kind = Edn::Kind::kMap;
      return read_items(out, '}', depth) &&
             (out.items.size() % 2 == 0 || fail("a map's last key has no value"));
    case '[':
      out.kind = Edn::Kind::kVector;
      return read_items(out, ']', depth);
    case '(':
      out.kind = Edn::Kind::kList;
      return read_items(out, ')', depth);
    case '#':
      return read_tagged(out, depth);
    case '}':
    case ']':
    case ')':
      return fail(std::string("expected a form, not '") + c + "'");
    default:
      return read_atom(out);
  }
}

bool EdnReader::read_items(Edn& out, char close, int depth) {
  ++at_;
  for (;;) {
    if (!skip_blanks()) return fail(std::string("expected '") + close + "' before the end of the text");
    if (text_[at_] == close) break;
    if (text_.substr(at_, 2) == "#_") {
      at_ += 2;
      Edn discarded;
      if (!read_form(discarded, depth + 1)) return false;
      continue;
    }
    if (!read_form(out.items.emplace_back(), depth + 1)) return false;
  }
  ++at_;
  return true;
}

bool EdnReader::read_tagged(Edn& out, int depth) {
  ++at_;
  if (at_ < text_.size() && text_[at_] == '{') {
    out.kind = Edn::Kind::kSet;
    return read_items(out, '}', depth);
  }
  if (at_ < text_.size() && text_[at_] == '_') {
    ++at_;
    Edn discarded;
    return read_form(discarded, depth + 1) && read_form(out, depth + 1);
  }
  if (at_ < text_.size() && text_[at_] == '#') return read_special(out);
  if (take_token().empty()) return fail("expected a tag behind '#'");
  return read_form(out, depth + 1);
}

bool EdnReader::read_string(Edn& out) {
  out.kind = Edn::Kind::kString;
  for (++at_; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      ++at_;
      skip_colon();
      return true;
    }
    if (c == '\n') ++line_;
    if (c == '\\') {
      if (++at_ == text_.size()) break;
      if (!read_escape(out.text)) return false;
      continue;
    }
    out.text += c;
  }
  return fail("a string does not end");
}

/// Behind a member's name in JSON. A colon that stands apart from the string and has letters behind it is a keyword of EDN.
void EdnReader::skip_colon() {
  std::size_t colon = at_;
  while (colon < text_.size() && (text_[colon] == ' ' || text_[colon] == '\t')) ++colon;
  if (text_.substr(colon, 1) != ":") return;
  const std::string_view behind = text_.substr(colon + 1, 5);
  const bool letter =
      !behind.empty() && ((behind[0] >= 'a' && behind[0] <= 'z') || (behind[0] >= 'A' && behind[0] <= 'Z'));
  const bool constant = behind.substr(0, 4) == "null" || behind.substr(0, 4) == "true" || behind == "false";
  if (!letter || (constant && colon == at_)) at_ = colon + 1;
}

/// The character behind a backslash, and for \u the four digits behind that.
bool EdnReader::read_escape(std::string& out) {
  static constexpr std::string_view kLetters = "ntrbf\"\\/";
  static constexpr std::string_view kMeanings = "\n\t\r\b\f\"\\/";
  const char letter = text_[at_];
  if (const std::size_t place = kLetters.find(letter); place != std::string_view::npos) {
    out += kMeanings[place];
    return true;
  }
  const std::string_view digits = text_.substr(at_ + 1, 4);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (letter != 'u' || digits.size() != 4 || error != std::errc() || end != digits.data() + digits.size())
    return fail(std::string("unknown escape \\") + letter + " in a string");
  at_ += 4;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6U));
    out += static_cast<char>(0x80 | (code & 0x3fU));
  } else {
    out += static_cast<char>(0xe0 | (code >> 12U));
    out += static_cast<char>(0x80 | ((code >> 6U) & 0x3fU));
    out += static_cast<char>(0x80 | (code & 0x3fU));
  }
  return true;
}

/// `##Inf`, `##-Inf`, `##NaN`; the reader is at the second '#'.
bool EdnReader::read_special(Edn& out) {
  ++at_;
  const std::string_view token = take_token();
  out.kind = Edn::Kind::kDouble;
  out.number = std::numeric_limits<double>::infinity();
  if (token == "Inf") return true;
  if (token == "-Inf") out.number = -out.number;
  if (token == "NaN") out.number = std::numeric_limits<double>::quiet_NaN();
  return token == "-Inf" || token == "NaN" || fail("expected ##Inf, ##-Inf or ##NaN");
}

std::string_view EdnReader::take_token() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && !ends_token(text_[at_])) ++at_;
  return text_.substr(begin, at_ - begin);
}

bool EdnReader::read_atom(Edn& out) {
  const std::string_view token = take_token();
  if (token.empty()) return fail("expected a form");
  if (token.front() == ':') {
    out.kind = Edn::Kind::kKeyword;
    out.text = token.substr(1);
    return !out.text.empty() || fail("expected a keyword behind ':'");
  }
  if (token == "nil") return true;
  if (token == "true" || token == "false") {
    out.kind = Edn::Kind::kBoolean;
    out.integer = token == "true" ? 1 : 0;
    return true;
  }
  std::string_view digits = token.front() == '+' ? token.substr(1) : token;
  if (!digits.empty() && digits.back() == 'N') digits.remove_suffix(1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.integer);
  if (error == std::errc() && end == digits.data() + digits.size()) {
    out.kind = Edn::Kind::kInteger;
    return true;
  }
  const std::string copy(token);
  char* stop = nullptr;
  out.number = std::strtod(copy.c_str(), &stop);
  const bool numeric =
      (token.front() >= '0' && token.front() <= '9') || token.front() == '-' || token.front() == '+';
  if (numeric && *stop == '\0' && stop != copy.c_str()) {
    out.kind = Edn::Kind::kDouble;
    return true;
  }
  out.kind = Edn::Kind::kSymbol;
  out.text = token;
  return true;
}

}  // namespace touchstone::harness
