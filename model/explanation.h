#pragma once
// A verdict in words, for a person who has to find the bug.
//
//   const Verdict verdict = check(history);
//   puts(explain(history, verdict).c_str());
//
//   not-linearizable: the cell must have held 7 both before and after it held 8
//     write(7) by client 1
//     ...
//   client 1  |- write(7) -|                |- read = 7 -|
//   client 2                 |- write(8) -|                |- read = 8 -|  <
//
// Of each refuted partition: its reason; the one to four operations that contradict each other, where a polynomial method knows them; else
// the heart of it (weakening.h): the shortest prefix that fails, and of that the operations that matter, and how much of the order of
// time; a drawing; and the worlds that were possible until the failing operation, each with why it fails. Nothing is said twice.
// Functions of their arguments: any thread.

#include <string>

#include "model/checker.h"

namespace touchstone::model {

/// The answer, its reason, and explain_more().
std::string explain(const History& history, const Verdict& verdict);

/// What there is to say beyond the answer and the reason; lines, without an end of line at the end. "" if there is nothing.
std::string explain_more(const History& history, const Verdict& verdict);

}  // namespace touchstone::model
