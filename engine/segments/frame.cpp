#include "engine/segments/frame.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

namespace touchstone::engine {
namespace {

bool send_all(int fd, const char* from, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = ::send(fd, from, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    from += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int fd, char* to, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = ::recv(fd, to, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

bool send_frame(int fd, std::string_view text) {
  const std::uint64_t length = text.size();
  return send_all(fd, reinterpret_cast<const char*>(&length), sizeof length) &&
         send_all(fd, text.data(), text.size());
}

std::optional<std::string> receive_frame(int fd) {
  std::uint64_t length = 0;
  if (!receive_all(fd, reinterpret_cast<char*>(&length), sizeof length)) return std::nullopt;
  std::string text(length, '\0');
  if (!receive_all(fd, text.data(), text.size())) return std::nullopt;
  return text;
}

}  // namespace touchstone::engine
