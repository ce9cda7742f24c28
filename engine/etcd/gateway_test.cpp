// What goes to etcd and what is made of its answers, with a server that says what etcd says seldom or never on demand.

#include "engine/etcd/gateway.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/etcd/base64.h"
#include "engine/etcd/keys.h"
#include "engine/etcd/test_server.h"

namespace touchstone::engine {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

const ScriptedServer::Answer kNothing = {.body = R"({"header":{}})"};

EtcdOptions at(const ScriptedServer& server, milliseconds patience = milliseconds(10'000)) {
  return {.endpoints = {{"127.0.0.1", server.port()}}, .patience = patience};
}

ScriptedServer::Answer failure(int code) {
  return {.body = Json{{"code", code}, {"error", "why"}}.dump(), .status = 503};
}

TEST(EtcdGateway, AsksForATransactionAsEtcdsGatewayReadsIt) {
  ScriptedServer server({kNothing});
  EtcdTransaction asked;
  asked.compare = {was_put("k", 3),        is_absent({"a", "b"}),   is_present("k"),
                   was_created_at("k", 4), was_last_put_at("k", 5), unchanged_since({"k"}, 6)};
  asked.success = {put("k", "v", 9), put("k"), erase({"a", "b"}), erase({"k"})};
  asked.failure = {get({"k"}), get({"k"}, 7), get_first({"a", "b"}), get_newest({"a", "b"})};
  EtcdGateway(at(server)).run(asked);
  const Json a = to_base64("a"), b = to_base64("b"), k = to_base64("k"), v = to_base64("v");
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].path, "/v3/kv/txn");
  EXPECT_EQ(server.requests()[0].host, "127.0.0.1");
  EXPECT_EQ(server.requests()[0].type, "application/json");
  EXPECT_EQ(server.requests()[0].version, 11u);
  EXPECT_EQ(
      Json::parse(server.requests()[0].body),
      (Json{{"compare",
             {{{"target", "VERSION"}, {"result", "EQUAL"}, {"version", "3"}, {"key", k}},
              {{"target", "VERSION"}, {"result", "EQUAL"}, {"version", "0"}, {"key", a}, {"range_end", b}},
              {{"target", "VERSION"}, {"result", "GREATER"}, {"version", "0"}, {"key", k}},
              {{"target", "CREATE"}, {"result", "EQUAL"}, {"create_revision", "4"}, {"key", k}},
              {{"target", "MOD"}, {"result", "EQUAL"}, {"mod_revision", "5"}, {"key", k}},
              {{"target", "MOD"}, {"result", "LESS"}, {"mod_revision", "7"}, {"key", k}}}},
            {"success",
             {{{"request_put", {{"key", k}, {"value", v}, {"prev_kv", true}, {"lease", "9"}}}},
              {{"request_put", {{"key", k}, {"value", ""}, {"prev_kv", true}}}},
              {{"request_delete_range", {{"key", a}, {"range_end", b}}}},
              {{"request_delete_range", {{"key", k}}}}}},
            {"failure",
             {{{"request_range", {{"key", k}}}},
              {{"request_range", {{"key", k}, {"revision", "7"}}}},
              {{"request_range", {{"key", a}, {"range_end", b}, {"limit", "1"}}}},
              {{"request_range",
                {{"key", a},
                 {"range_end", b},
                 {"limit", "1"},
                 {"sort_order", "DESCEND"},
                 {"sort_target", "MOD"}}}}}}}));
}

TEST(EtcdGateway, ReadsAllOfAnOutcome) {
  const Json key = {{"key", to_base64("k")}, {"value", to_base64("v")}, {"create_revision", "1"},
                    {"mod_revision", "2"},   {"version", "3"},          {"lease", "4"}};
  const Json text = {{"header", {{"revision", "12345678901"}}},
                     {"succeeded", true},
                     {"responses",
                      {{{"response_range", {{"kvs", {key, {{"key", to_base64("l")}}}}}}},
                       {{"response_put", {{"prev_kv", key}}}},
                       {{"response_put", Json::object()}},
                       {{"response_range", Json::object()}},
                       {{"response_delete_range", Json::object()}}}}};
  ScriptedServer server({{.body = text.dump()}, kNothing});
  EtcdGateway gateway(at(server));
  const EtcdOutcome outcome = gateway.run({});
  EXPECT_TRUE(outcome.succeeded);
  EXPECT_EQ(outcome.revision, 12345678901);
  ASSERT_EQ(outcome.answers.size(), 5u);
  ASSERT_EQ(outcome.answers[0].size(), 2u);
  ASSERT_EQ(outcome.answers[1].size(), 1u);
  for (const EtcdKeyValue& read : {outcome.answers[0][0], outcome.answers[1][0]}) {
    EXPECT_EQ(read.key, "k");
    EXPECT_EQ(read.value, "v");
    EXPECT_EQ(read.create_revision, 1);
    EXPECT_EQ(read.mod_revision, 2);
    EXPECT_EQ(read.version, 3);
    EXPECT_EQ(read.lease, 4);
  }
  EXPECT_EQ(outcome.answers[0][1].key, "l");
  EXPECT_EQ(outcome.answers[0][1].value, "");
  EXPECT_EQ(outcome.answers[0][1].lease, 0);
  EXPECT_TRUE(outcome.answers[2].empty());
  EXPECT_TRUE(outcome.answers[3].empty());
  EXPECT_TRUE(outcome.answers[4].empty());
  const EtcdOutcome nothing = gateway.run({});  // etcd leaves out what is false, 0 or empty
  EXPECT_FALSE(nothing.succeeded);
  EXPECT_EQ(nothing.revision, 0);
  EXPECT_TRUE(nothing.answers.empty());
}

/// G1.
TEST(EtcdGateway, AsksAgainWhatOnlyReads) {
  ScriptedServer server(
      {{.drop = true}, failure(14), failure(4), {.body = "no JSON", .status = 502}, kNothing});
  EtcdGateway gateway(at(server));
  gateway.read({get({"k"})});
  EXPECT_EQ(gateway.requests(), 5u);
  ASSERT_EQ(server.requests().size(), 5u);
  EXPECT_EQ(server.requests()[4].body, server.requests()[0].body);
}

/// G2.
TEST(EtcdGateway, SendsOnceWhatMayWriteAndSaysThatItMayHaveBeenDone) {
  for (const ScriptedServer::Answer& answer : {ScriptedServer::Answer{.drop = true},
                                               failure(14),
                                               failure(4),
                                               {.body = "[]", .status = 500},
                                               {.body = "{}", .status = 503}}) {
    ScriptedServer server({answer});
    EtcdGateway gateway(at(server));
    try {
      gateway.run({.success = {put("k")}});
      ADD_FAILURE() << "it was answered";
    } catch (const EtcdUnreachable& lost) {
      EXPECT_TRUE(lost.sent);
    }
    EXPECT_EQ(gateway.requests(), 1u);
  }
}

TEST(EtcdGateway, SaysThatNothingWasDoneWhereNobodyListens) {
  ScriptedServer server({kNothing});
  EtcdGateway gateway(at(server, milliseconds(0)));
  gateway.run({});
  server.requests();
  try {
    gateway.run({.success = {put("k")}});
    ADD_FAILURE() << "it was answered";
  } catch (const EtcdUnreachable& lost) {
    EXPECT_FALSE(lost.sent);
  }
  EXPECT_THROW(gateway.read({get({"k"})}), EtcdUnreachable);  // at the end of its patience
}

TEST(EtcdGateway, GoesOnToTheNextEndpointAndStaysThere) {
  for (const ScriptedServer::Answer& answer : {ScriptedServer::Answer{.drop = true}, failure(14)}) {
    ScriptedServer first({answer}), second({kNothing, kNothing});
    EtcdOptions options = at(first);
    options.endpoints.push_back({"127.0.0.1", second.port()});
    EtcdGateway gateway(options);
    EXPECT_THROW(gateway.run({}), EtcdUnreachable);
    gateway.run({});
    gateway.run({});
    EXPECT_EQ(first.requests().size(), 1u);
    EXPECT_EQ(second.requests().size(), 2u);
  }
}

TEST(EtcdGateway, TriesEachEndpointBeforeItComesRoundToTheFirst) {
  for (const ScriptedServer::Answer& answer : {ScriptedServer::Answer{.drop = true}, failure(14)}) {
    ScriptedServer first({answer, kNothing}), second({answer}), third({answer});
    EtcdOptions options = at(first);
    options.endpoints.push_back({"127.0.0.1", second.port()});
    options.endpoints.push_back({"127.0.0.1", third.port()});
    EtcdGateway(options).read({});
    EXPECT_EQ(first.requests().size(), 2u);
    EXPECT_EQ(second.requests().size(), 1u);
    EXPECT_EQ(third.requests().size(), 1u);
  }
}

TEST(EtcdGateway, StaysWithAnEndpointThatRefuses) {
  ScriptedServer first({failure(11), kNothing}), second({kNothing});
  EtcdOptions options = at(first);
  options.endpoints.push_back({"127.0.0.1", second.port()});
  EtcdGateway gateway(options);
  EXPECT_THROW(gateway.run({}), EtcdFailure);
  gateway.run({});
  EXPECT_EQ(first.requests().size(), 2u);
  EtcdGateway({.endpoints = {options.endpoints[1]}}).run({});  // so that its script is over, too
  EXPECT_EQ(second.requests().size(), 1u);
}

/// At least twenty milliseconds lie between two questions, however long these take.
TEST(EtcdGateway, DoesNotHammerAnEtcdThatIsAway) {
  ScriptedServer server({kNothing});
  EtcdGateway gateway(at(server, milliseconds(200)));
  gateway.run({});
  server.requests();
  EXPECT_THROW(gateway.read({get({"k"})}), EtcdUnreachable);
  EXPECT_GT(gateway.requests(), 2u);
  EXPECT_LE(gateway.requests(), 1u + 1u + 200u / 20u);
}

TEST(EtcdGateway, AsksWhereAnEtcdUsuallyListens) {
  EXPECT_EQ(EtcdEndpoint{.host = "10.0.0.1"}.port, 2379);
  const EtcdOptions options;
  ASSERT_EQ(options.endpoints.size(), 1u);
  EXPECT_EQ(options.endpoints[0].host, "127.0.0.1");
  EXPECT_EQ(options.endpoints[0].port, 2379);
  EXPECT_EQ(options.request_timeout, std::chrono::seconds(2));
  EXPECT_EQ(options.patience, std::chrono::seconds(10));
}

TEST(EtcdGateway, ComesRoundToTheFirstEndpointAgain) {
  ScriptedServer first({failure(14), kNothing}), second({failure(14)});
  EtcdOptions options = at(first);
  options.endpoints.push_back({"127.0.0.1", second.port()});
  EtcdGateway gateway(options);
  gateway.read({});
  EXPECT_EQ(first.requests().size(), 2u);
  EXPECT_EQ(second.requests().size(), 1u);
}

TEST(EtcdGateway, PassesOnWhatEtcdRefuses) {
  ScriptedServer server({failure(11), failure(5)});
  EtcdGateway gateway(at(server));
  try {
    gateway.read({get({"k"}, 1)});
    ADD_FAILURE() << "it was answered";
  } catch (const EtcdLeaseGone&) {
    ADD_FAILURE() << "no lease was looked for";
  } catch (const EtcdFailure& refused) {
    EXPECT_NE(std::string(refused.what()).find("why"), std::string::npos);
  }
  EXPECT_THROW(gateway.run({.success = {put("k", "v", 7)}}), EtcdLeaseGone);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST(EtcdGateway, GrantsAndEndsLeases) {
  ScriptedServer server({{.body = R"({"header":{},"ID":"77","TTL":"5"})"},
                         {.body = R"({"result":{"header":{},"ID":"77","TTL":"1"}})"},
                         {.body = R"({"result":{"header":{},"ID":"77"}})"},
                         {.body = R"({"ID":"77","TTL":"3"})"},
                         {.body = R"({"ID":"77"})"},
                         {.body = R"({"ID":"77","TTL":"-1"})"},
                         {.body = "{}"},
                         failure(5)});
  EtcdGateway gateway(at(server));
  const EtcdGateway::Lease lease = gateway.grant(4);
  EXPECT_EQ(lease.id, 77);
  EXPECT_EQ(lease.seconds, 5);
  EXPECT_TRUE(gateway.keep_alive(77));
  EXPECT_FALSE(gateway.keep_alive(77));
  EXPECT_EQ(gateway.time_to_live(77), std::chrono::seconds(3));
  EXPECT_EQ(gateway.time_to_live(77), std::chrono::seconds(0));
  EXPECT_EQ(gateway.time_to_live(77), std::nullopt);
  gateway.revoke(77);
  gateway.revoke(77);  // which is gone, and that is no error
  const auto& requests = server.requests();
  ASSERT_EQ(requests.size(), 8u);
  EXPECT_EQ(Json::parse(requests[0].body), (Json{{"TTL", "4"}}));
  const char* paths[] = {"grant",      "keepalive",  "keepalive", "timetolive",
                         "timetolive", "timetolive", "revoke",    "revoke"};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].path, std::string("/v3/lease/") + paths[i]);
    if (i != 0) {
      EXPECT_EQ(Json::parse(requests[i].body), (Json{{"ID", "77"}}));
    }
  }
}

TEST(EtcdGateway, NeedsAnEndpoint) {
  EXPECT_THROW(EtcdGateway({.endpoints = {}}), EtcdFailure);
}

}  // namespace
}  // namespace touchstone::engine
