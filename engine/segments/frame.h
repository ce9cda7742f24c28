#pragma once
// Whole messages over a stream socket: eight bytes of length, then the bytes.
//
//   if (!send_frame(fd, text)) ...            // the other side is gone
//   auto text = receive_frame(fd);            // nullopt: it is gone, also in the middle of a message
//
// One thread a direction at a time. A message is all or nothing; a peer that died is never a signal.

#include <optional>
#include <string>
#include <string_view>

namespace touchstone::engine {

bool send_frame(int fd, std::string_view text);

std::optional<std::string> receive_frame(int fd);

}  // namespace touchstone::engine
