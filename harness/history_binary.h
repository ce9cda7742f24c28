#pragma once
// Histories as fixed records of 32 bytes an event, to be mapped into memory: for long ones.
//
//   if (auto why = write_binary_history(history, stream)) puts(why->c_str());
//   auto read = parse_binary_history(bytes, "history.tsh");          // history_format.h
//
// Layout, all numbers little-endian, offsets from the start (docs/histories.md has the same as a table):
//   header, 64 bytes: magic "TSHIST\0\1", kind u32, flags u32, events u64, texts at u64, file size u64, values u32, keys u32,
//     clients u32, initial u32, reserved u64
//   events, 32 bytes each, in the order of real time: time i64, number u64, what u32, key u32, a u32, b u32
//     invocation: what = client * 256 + function, number = base, a = argument, b = expected
//     completion: what = 16 + outcome, key = the number of the invocation's event, number = version, a = observed
//   texts: `values` entries (tag u8, size u32, bytes), then `keys` and `clients` entries (size u32, bytes)
// A store's calls are values: the text of the operation is the invocation's argument, that of the response its completion's
// `a`, both as the JSON lines have them. Rules:
//   Y1  Nothing in the file is believed: every offset, number and order is checked, and what is wrong is named by the
//       event or byte at fault.
//   Y2  What is written reads back with the same operations, in the order of their invocations.
// Thread safety: functions of their arguments.

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "model/history.h"

namespace touchstone::harness {

inline constexpr std::string_view kBinaryMagic{"TSHIST\0\1", 8};

/// Why this history has no such form; nothing if it was written.
std::optional<std::string> write_binary_history(const model::History& history, std::ostream& out);

}  // namespace touchstone::harness
