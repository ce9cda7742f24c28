#include "harness/history_edn_value.h"

#include <charconv>
#include <cstdlib>

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
    if (items[i].is_keyword(keyword)) return &items[i + 1];
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

EdnOrProblem EdnReader::next() {
  if (!skip_blanks()) return EdnEnd{};
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
  if (take_token().empty()) return fail("expected a tag behind '#'");
  return read_form(out, depth + 1);
}

bool EdnReader::read_string(Edn& out) {
  out.kind = Edn::Kind::kString;
  for (++at_; at_ < text_.size(); ++at_) {
    char c = text_[at_];
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\n') ++line_;
    if (c == '\\') {
      if (++at_ == text_.size()) break;
      switch (text_[at_]) {
        case 'n':
          c = '\n';
          break;
        case 't':
          c = '\t';
          break;
        case 'r':
          c = '\r';
          break;
        case '\\':
        case '"':
          c = text_[at_];
          break;
        default:
          return fail(std::string("unknown escape \\") + text_[at_] + " in a string");
      }
    }
    out.text += c;
  }
  return fail("a string does not end");
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
