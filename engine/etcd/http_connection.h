#pragma once
// Requests to a server that speaks HTTP/1.1 over a plain socket: POST a body, get a body. For etcd's JSON gateway.
//
//   HttpConnection etcd("127.0.0.1", 2379, std::chrono::seconds(3));      // connects when it is first used
//   HttpResponse answer = etcd.post("/v3/kv/range", R"({"key":"Zm9v"})");  // throws HttpFailure
//   answer.status; answer.body;
//
// Thread safety: one thread at a time. The connection is kept open between requests and made again when it was lost.
//
// H1  Every request ends within the timeout, whatever the server does.
// H2  What failed before the first byte went out has sent == false: the server knows nothing of it. Whatever failed later has
//     sent == true: the server may have done it or not.
// H3  A connection that the server closed while it was idle is noticed before a request goes out, and made again.

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace touchstone::engine {

struct HttpResponse {
  unsigned status = 0;
  std::string body;
};

struct HttpFailure : std::runtime_error {
  HttpFailure(const std::string& what, bool was_sent) : std::runtime_error(what), sent(was_sent) {}
  bool sent;  ///< H2
};

class HttpConnection {
 public:
  HttpConnection(std::string host, std::uint16_t port, std::chrono::milliseconds timeout);
  ~HttpConnection();
  HttpConnection(HttpConnection&&) noexcept;
  HttpConnection& operator=(HttpConnection&&) noexcept;

  HttpResponse post(const std::string& path, const std::string& body);

 private:
  struct Socket;

  std::string host_;
  std::uint16_t port_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<Socket> socket_;  ///< null while there is no connection
};

}  // namespace touchstone::engine
