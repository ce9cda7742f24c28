// Against a server of the test's own, on a free port of loopback: what etcd would not do on demand.

#include "engine/etcd/http_connection.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>

namespace touchstone::engine {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

class HttpConnectionTest : public testing::Test {
 protected:
  ~HttpConnectionTest() override {
    if (server_.joinable()) server_.join();
  }

  /// Takes as many connections as there are bodies, one after the other.
  void serve(std::vector<std::function<void(Tcp::socket&)>> connections) {
    server_ = std::thread([this, connections = std::move(connections)] {
      for (const auto& serve_one : connections) {
        Tcp::socket socket = acceptor_.accept();
        serve_one(socket);
      }
    });
  }

  /// Reads a request with a body of "ask".
  static void read_request(Tcp::socket& socket) {
    asio::streambuf buffer;
    asio::read_until(socket, buffer, "\r\n\r\nask");
  }

  static void answer(Tcp::socket& socket, const std::string& body, const std::string& status = "200 OK") {
    asio::write(socket, asio::buffer("HTTP/1.1 " + status + "\r\nContent-Length: " +
                                     std::to_string(body.size()) + "\r\n\r\n" + body));
  }

  HttpConnection connection(int milliseconds = 10'000) {
    return {"127.0.0.1", acceptor_.local_endpoint().port(), std::chrono::milliseconds(milliseconds)};
  }

  /// True or false as HttpFailure::sent; fails if nothing is thrown.
  static bool sent_but_failed(HttpConnection& connection) {
    try {
      connection.post("/path", "ask");
    } catch (const HttpFailure& failure) {
      return failure.sent;
    }
    ADD_FAILURE() << "it was answered";
    return false;
  }

  asio::io_context context_;
  Tcp::acceptor acceptor_{context_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};

 private:
  std::thread server_;
};

TEST_F(HttpConnectionTest, AsksAgainOverTheSameConnection) {
  serve({[](Tcp::socket& socket) {
    for (const char* body : {"first", "second"}) {
      read_request(socket);
      answer(socket, body, body == std::string("first") ? "200 OK" : "400 Bad Request");
    }
  }});
  HttpConnection connection = this->connection();
  EXPECT_EQ(connection.post("/path", "ask").body, "first");
  const HttpResponse second = connection.post("/path", "ask");
  EXPECT_EQ(second.status, 400u);
  EXPECT_EQ(second.body, "second");
}

TEST_F(HttpConnectionTest, TheOneThatIsAssignedGoesOnWithTheConnection) {
  serve({[](Tcp::socket& socket) {
    for (const char* body : {"first", "second"}) {
      read_request(socket);
      answer(socket, body);
    }
  }});
  HttpConnection before = connection(), after = connection();
  EXPECT_EQ(before.post("/path", "ask").body, "first");
  after = std::move(before);
  EXPECT_EQ(after.post("/path", "ask").body, "second");
}

TEST_F(HttpConnectionTest, NothingWasSentWhereNobodyListens) {
  HttpConnection connection = this->connection();
  acceptor_.close();
  EXPECT_FALSE(sent_but_failed(connection));
}

/// Whether the server did what it was asked before it went cannot be known.
TEST_F(HttpConnectionTest, ALostAnswerIsSaidToHaveBeenSent) {
  serve({[](Tcp::socket& socket) { read_request(socket); }});
  HttpConnection connection = this->connection();
  EXPECT_TRUE(sent_but_failed(connection));
}

TEST_F(HttpConnectionTest, AServerThatNeverAnswersIsGivenUp) {
  serve({[](Tcp::socket& socket) {
    read_request(socket);
    char byte = 0;
    boost::system::error_code until_closed;
    socket.read_some(asio::buffer(&byte, 1), until_closed);
  }});
  HttpConnection connection = this->connection(50);
  EXPECT_TRUE(sent_but_failed(connection));
}

/// A server that was restarted between two requests: the second must not be reported as perhaps done.
TEST_F(HttpConnectionTest, AConnectionThatWasClosedMeanwhileIsMadeAgain) {
  std::promise<void> closed;
  const auto once = [](const char* body) {
    return [body](Tcp::socket& socket) {
      read_request(socket);
      answer(socket, body);
    };
  };
  serve({[&](Tcp::socket& socket) {
           once("first")(socket);
           socket.close();
           closed.set_value();
         },
         once("second")});
  HttpConnection connection = this->connection();
  EXPECT_EQ(connection.post("/path", "ask").body, "first");
  closed.get_future().wait();
  EXPECT_EQ(connection.post("/path", "ask").body, "second");
}

/// A reset, which a server's end may send in place of a close.
TEST_F(HttpConnectionTest, AConnectionThatWasResetMeanwhileIsMadeAgain) {
  std::promise<void> reset;
  serve({[&](Tcp::socket& socket) {
           read_request(socket);
           answer(socket, "first");
           socket.set_option(asio::socket_base::linger(true, 0));
           socket.close();
           reset.set_value();
         },
         [](Tcp::socket& socket) {
           read_request(socket);
           answer(socket, "second");
         }});
  HttpConnection connection = this->connection();
  EXPECT_EQ(connection.post("/path", "ask").body, "first");
  reset.get_future().wait();
  EXPECT_EQ(connection.post("/path", "ask").body, "second");
}

/// The first connection stays open until the second one is used: it is not asked again all the same.
TEST_F(HttpConnectionTest, AConnectionThatIsToBeClosedIsNotAskedAgain) {
  std::optional<Tcp::socket> kept;
  serve({[&](Tcp::socket& socket) {
           read_request(socket);
           asio::write(socket,
                       asio::buffer(std::string(
                           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nfirst")));
           kept = std::move(socket);
         },
         [](Tcp::socket& socket) {
           read_request(socket);
           answer(socket, "second");
         }});
  HttpConnection connection = this->connection();
  EXPECT_EQ(connection.post("/path", "ask").body, "first");
  EXPECT_EQ(connection.post("/path", "ask").body, "second");
}

/// What follows on such a connection could be the rest of anything.
TEST_F(HttpConnectionTest, AConnectionThatAnsweredNonsenseIsNotAskedAgain) {
  std::optional<Tcp::socket> kept;
  serve({[&](Tcp::socket& socket) {
           read_request(socket);
           asio::write(socket, asio::buffer(std::string("no HTTP at all\r\n\r\n")));
           kept = std::move(socket);
         },
         [](Tcp::socket& socket) {
           read_request(socket);
           answer(socket, "second");
         }});
  HttpConnection connection = this->connection();
  EXPECT_TRUE(sent_but_failed(connection));
  EXPECT_EQ(connection.post("/path", "ask").body, "second");
}

TEST_F(HttpConnectionTest, WhatIsNoAddressIsNotConnectedTo) {
  HttpConnection connection("localhost", acceptor_.local_endpoint().port(),
                            std::chrono::milliseconds(10'000));
  EXPECT_FALSE(sent_but_failed(connection));
}

}  // namespace
}  // namespace touchstone::engine
