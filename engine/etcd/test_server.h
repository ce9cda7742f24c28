#pragma once
// For tests: a server on a free port of loopback that gives scripted answers, one a request, and remembers what it was asked.
//
//   ScriptedServer server({{"{}"}, {.drop = true}, {"late", "503 Service Unavailable"}});
//   EtcdGateway gateway({.endpoints = {{"127.0.0.1", server.port()}}});
//   ... server.requests()[0].body
//
// When the script is over it hangs up and listens no more. Thread safety: ask for the requests after the last answer.

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace touchstone::engine {

class ScriptedServer {
 public:
  struct Answer {
    std::string body = {};
    unsigned status = 200;
    bool drop = false;  ///< hang up instead
  };
  struct Request {
    std::string path;
    std::string body;
    std::string host;
    std::string type;      ///< of the body
    unsigned version = 0;  ///< of HTTP, 11 is 1.1
  };

  explicit ScriptedServer(std::vector<Answer> script)
      : thread_([this, script = std::move(script)] { serve(script); }) {}
  ~ScriptedServer() { join(); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }

  /// Waits until the script is over.
  const std::vector<Request>& requests() {
    join();
    return requests_;
  }

 private:
  using Tcp = boost::asio::ip::tcp;

  void serve(const std::vector<Answer>& script) {
    namespace http = boost::beast::http;
    Tcp::socket socket = acceptor_.accept();
    boost::beast::flat_buffer buffer;
    for (const Answer& answer : script) {
      http::request<http::string_body> request;
      boost::system::error_code closed;
      http::read(socket, buffer, request, closed);
      if (closed) {  // by the client, or hung up on below: it comes again
        socket = acceptor_.accept();
        buffer.clear();
        http::read(socket, buffer, request);
      }
      requests_.push_back({std::string(request.target()), request.body(),
                           std::string(request[http::field::host]),
                           std::string(request[http::field::content_type]), request.version()});
      if (answer.drop) {
        socket.close();
        socket = Tcp::socket(context_);
        continue;
      }
      http::response<http::string_body> response(http::int_to_status(answer.status), 11);
      response.body() = answer.body;
      response.prepare_payload();
      http::write(socket, response);
    }
    acceptor_.close();
  }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  boost::asio::io_context context_;
  Tcp::acceptor acceptor_{context_, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  const std::uint16_t port_ = acceptor_.local_endpoint().port();
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace touchstone::engine
