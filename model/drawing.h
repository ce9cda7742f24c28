#pragma once
// Operations drawn in text: a row for each client, time to the right (the order of the events, not their distances).
//
//   puts(draw(history, {3, 7, 9}, {}).c_str());
//
//   client 1  |- write(1) -|             |- read = 1 -|
//   client 2                |- write(2) -|             |- read = 2 -|
//
// "..." stands for an end that is open: nobody knows the outcome, or it does not matter (Look::open_begin, open_end). An operation that
// is marked has "<" behind its row. Columns are as many as the words need; a drawing that would be wider than `width` is empty.
// Functions of their arguments: any thread.

#include <string>
#include <vector>

#include "model/history.h"

namespace touchstone::model {

/// How one operation is drawn.
struct Look {
  std::uint32_t operation = 0;
  bool open_begin = false;
  bool open_end = false;
  bool marked = false;
};

std::string draw(const History& history, const std::vector<Look>& looks, std::size_t width = 160);

}  // namespace touchstone::model
