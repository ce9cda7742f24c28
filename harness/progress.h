#pragma once
// A line on a terminal that overwrites itself, and nothing at all where nobody watches.
//
//   Progress progress(stderr);
//   progress.show("[3/37] A3: 1200 rounds");
//   progress.clear();                              // before anything else is printed
//
// Thread safety: one thread.

#include <unistd.h>

#include <cstdio>
#include <string>

namespace touchstone::harness {

class Progress {
 public:
  explicit Progress(std::FILE* out) : out_(out), watched_(::isatty(::fileno(out)) == 1) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& line) {
    if (!watched_) return;
    std::fprintf(out_, "\r\033[K%.100s", line.c_str());
    std::fflush(out_);
    shown_ = true;
  }

  void clear() {
    if (!shown_) return;
    std::fputs("\r\033[K", out_);
    std::fflush(out_);
    shown_ = false;
  }

 private:
  std::FILE* out_;
  bool watched_;
  bool shown_ = false;
};

}  // namespace touchstone::harness
