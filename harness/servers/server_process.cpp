#include "harness/servers/server_process.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

namespace touchstone::harness {

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  ::close(socket);
  if (!bound) throw std::system_error(error, std::generic_category(), "no free port");
  return ntohs(address.sin_port);
}

ServerProcess::ServerProcess(std::vector<std::string> words, std::filesystem::path log, ChildOptions options)
    : words_(std::move(words)), log_(std::move(log)), options_(std::move(options)) {
  options_.log = log_.string();
  start();
}

void ServerProcess::start() {
  child_.reset();
  try {
    child_ = std::make_unique<ChildProcess>(words_, options_);
  } catch (const std::system_error& why) {
    throw ServerFailure(fmt::format("{} cannot be run: {}", words_.front(), why.what()));
  }
}

void ServerProcess::kill() {
  child_->end(std::chrono::milliseconds(0));
}

void ServerProcess::stop() {
  child_->signal(SIGCONT);
  child_->signal(SIGTERM);
  child_->end(std::chrono::seconds(5));
}

void ServerProcess::pause() {
  child_->pause();
}

void ServerProcess::resume() {
  child_->signal(SIGCONT);
}

std::string ServerProcess::end_of_log() const {
  std::ifstream file(log_);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

void ServerProcess::wait_until(const std::function<bool()>& ready, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!ready()) {
    const bool ended = child_->has_ended();
    if (ended || std::chrono::steady_clock::now() > deadline)
      throw ServerFailure(fmt::format("{} {}; its log ends:\n{}", words_.front(),
                                      ended ? "ended: " + child_->end(std::chrono::milliseconds(0))
                                            : fmt::format("was not ready within {} ms", patience.count()),
                                      end_of_log()));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace touchstone::harness
