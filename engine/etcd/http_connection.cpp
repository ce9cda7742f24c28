#include "engine/etcd/http_connection.h"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <utility>

namespace touchstone::engine {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

}  // namespace

struct HttpConnection::Socket {
  asio::io_context context{1};
  beast::tcp_stream stream{context};
  beast::flat_buffer buffer;

  /// Runs one asynchronous step to its end, which the stream's timer brings about if nothing else does (H1).
  template <class Start>
  boost::system::error_code finish(std::chrono::milliseconds timeout, const Start& start) {
    boost::system::error_code result;
    stream.expires_after(timeout);
    start([&result](const boost::system::error_code& error, auto&&...) { result = error; });
    context.restart();
    context.run();
    return result;
  }

  boost::system::error_code connect(const std::string& host, std::uint16_t port,
                                    std::chrono::milliseconds timeout) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) return error;
    error = finish(timeout, [&](auto done) { stream.async_connect({address, port}, std::move(done)); });
    if (!error) stream.socket().set_option(asio::ip::tcp::no_delay(true), error);
    return error;
  }

  /// Nothing comes from a server that was not asked: readable means closed (H3).
  bool is_closed() {
    char byte = 0;
    const ssize_t got = ::recv(stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }
};

HttpConnection::HttpConnection(std::string host, std::uint16_t port, std::chrono::milliseconds timeout)
    : host_(std::move(host)), port_(port), timeout_(timeout) {}

HttpConnection::~HttpConnection() = default;
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection& HttpConnection::operator=(HttpConnection&&) noexcept = default;

HttpResponse HttpConnection::post(const std::string& path, const std::string& body) {
  if (socket_ && socket_->is_closed()) socket_.reset();
  if (!socket_) {
    auto fresh = std::make_unique<Socket>();
    if (const auto error = fresh->connect(host_, port_, timeout_)) {
      throw HttpFailure("cannot connect to " + host_ + ":" + std::to_string(port_) + ": " + error.message(),
                        false);
    }
    socket_ = std::move(fresh);
  }
  http::request<http::string_body> request{http::verb::post, path, 11};
  request.set(http::field::host, host_);
  request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  http::response<http::string_body> response;
  auto error = socket_->finish(
      timeout_, [&](auto done) { http::async_write(socket_->stream, request, std::move(done)); });
  if (!error) {
    error = socket_->finish(timeout_, [&](auto done) {
      http::async_read(socket_->stream, socket_->buffer, response, std::move(done));
    });
  }
  if (error) {
    socket_.reset();
    throw HttpFailure("no answer from " + host_ + ":" + std::to_string(port_) + path + ": " + error.message(),
                      true);
  }
  if (!response.keep_alive()) socket_.reset();
  return {response.result_int(), std::move(response.body())};
}

}  // namespace touchstone::engine
