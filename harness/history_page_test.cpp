#include "harness/history_page.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "harness/history_elle.h"
#include "harness/page_in_browser.h"
#include "harness/parsed_history.h"

namespace touchstone::harness {
namespace {

constexpr std::string_view kRefuted =
    "INFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 0 :ok :write 1\n"
    "INFO  jepsen.util - 1 :invoke :write 1\nINFO  jepsen.util - 1 :ok :write 1\n"
    "INFO  jepsen.util - 0 :invoke :write 2\nINFO  jepsen.util - 2 :invoke :cas [7 8]\n"
    "INFO  jepsen.util - 0 :ok :write 2\nINFO  jepsen.util - 2 :info :cas :timed-out\n"
    "INFO  jepsen.util - 1 :invoke :read nil\nINFO  jepsen.util - 1 :ok :read 1\n";

Json data_of(std::string_view text) {
  const model::History history = parsed(text);
  return page_data(history, model::check(history), "a title");
}

std::string page_of(const Json& data) {
  std::ostringstream out;
  write_page(data, out);
  return out.str();
}

TEST(HistoryPage, HasAColumnEntryForEachOperation) {
  const Json data = data_of(kRefuted);
  for (const char* column : {"client", "key", "label", "call", "ret", "outcome", "version"})
    EXPECT_EQ(data.at(column).size(), 5U) << column;
  EXPECT_EQ(data.at("verdict"), "not-linearizable");
  EXPECT_EQ(data.at("labels").at(data.at("label").at(4).get<std::size_t>()), "read = 1");
  EXPECT_EQ(data.at("call").at(0), 0);
  EXPECT_EQ(data.at("ret").at(3), Json());
  EXPECT_EQ(data.at("outcome"), Json::array({0, 0, 0, 2, 0}));
}

TEST(HistoryPage, MarksTheFailingOperationAndTheLongestPartialLinearizationWithItsStates) {
  const Json data = data_of(kRefuted);
  EXPECT_EQ(data.at("failing"), Json::array({4}));
  EXPECT_EQ(data.at("heart"), Json::array({0, 1, 2, 4}));
  EXPECT_EQ(data.at("order"), Json::array({0, 1, 2}));
  ASSERT_EQ(data.at("state").size(), 3U);
  EXPECT_EQ(data.at("states").at(data.at("state").at(2).get<std::size_t>()), "2");
  EXPECT_NE(data.at("explanation").get<std::string>().find("what matters"), std::string::npos);
}

TEST(HistoryPage, ShowsTheLinearizationOfAHistoryThatHasOne) {
  const Json data = data_of(kRefuted.substr(0, kRefuted.find("INFO  jepsen.util - 1 :invoke :read")));
  EXPECT_EQ(data.at("verdict"), "linearizable");
  EXPECT_EQ(data.at("failing"), Json::array());
  EXPECT_EQ(data.at("order"), Json::array({0, 1, 2}));
}

TEST(HistoryPage, ShowsTransactionsAndTheirAnomaly) {
  const auto read = parse_elle_history(
      "{:process 0, :type :invoke, :value [[:append x 1]]}{:process 0, :type :ok, :value [[:append x 1]]}"
      "{:process 1, :type :invoke, :value [[:r x nil]]}{:process 1, :type :ok, :value [[:r x []]]}"
      "{:process 1, :type :invoke, :value [[:r x nil]]}{:process 1, :type :ok, :value [[:r x [1]]]}",
      "text");
  const auto& history = std::get<model::TransactionHistory>(read);
  const Json data =
      page_data(history, judge_isolation(history, model::Level::kStrictSerializable), "a title");
  EXPECT_EQ(data.at("verdict"), "not strict-serializable");
  EXPECT_EQ(data.at("client").size(), 3U);
  EXPECT_EQ(data.at("heart").size(), 2U);
}

// Danger: a value that ends the script, or bytes that are no UTF-8, break the page; a page that loads anything is not self-contained.
TEST(HistoryPage, StaysWellFormedAndLoadsNothingWhateverTheHistoryHolds) {
  model::History history;
  model::Operation it{.invoked = 1,
                      .returned = 2,
                      .client = history.client("<b>\xff"),
                      .key = history.key("</script><script>x")};
  it.function = model::Function::kWrite;
  it.argument = history.value(std::string("<!--</script>\xc3"));
  history.operations.push_back(it);
  const std::string page = page_of(page_data(history, model::check(history), "</title>"));
  const auto count = [&](const std::string& what) {
    std::size_t times = 0;
    for (std::size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(count("</script>"), 2U);
  EXPECT_EQ(count("<!--"), 0U);
  EXPECT_EQ(count("</title>"), 1U);
  EXPECT_EQ(count("http:") + count("https:") + count("src=") + count("@import") + count("url("), 0U);
  EXPECT_EQ(count("/*DATA*/") + count("/*STYLE*/") + count("/*SCRIPT*/"), 0U);
  const std::size_t begin = page.find("application/json\">") + 18;
  EXPECT_EQ(Json::parse(page.substr(begin, page.find("</script>", begin) - begin)).at("client").size(), 1U);
}

class HistoryInABrowser : public PageInABrowser {
 protected:
  std::string saved(const Json& data) const {
    const std::string file = (folder() / "page.html").string();
    EXPECT_TRUE(save_page(data, file));
    return file;
  }
};

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
}

TEST_F(HistoryInABrowser, ShowsTheViolationSearchesFiltersAndZooms) {
  const std::string file = saved(data_of(kRefuted));
  const std::string first = shown(file, "");
  expect_has(first, "data-operations=\"5\" data-shown=\"5\"");
  expect_has(first, "data-failing-in-view=\"1\"");
  expect_has(shown(file, "search=WRITE(1)"), "data-matches=\"2\"");
  expect_has(shown(file, "client=1"), "data-shown=\"2\"");
  const std::string zoomed = shown(file, "axis=real&zoom=8&dark");
  expect_has(zoomed, "data-axis=\"real\"");
  expect_has(zoomed, "data-span-of-all=\"0.1300\"");
  expect_has(zoomed, "data-theme=\"dark\"");
}

TEST_F(HistoryInABrowser, SaysOnHoverWhatTheStateIsAndWhatFails) {
  const std::string file = saved(data_of(kRefuted));
  const auto tip = [&](const std::string& operation) {
    const std::string page = whole(file, "hover=" + operation);
    const std::size_t begin = page.find("<div id=\"hover\"");
    return begin == std::string::npos ? page : page.substr(begin, page.find("</div>", begin) - begin);
  };
  const std::string last = tip("2");
  expect_has(last, "write(2)");
  expect_has(last, "step 3 of 3 of the longest partial linearization");
  expect_has(last, "then the state is 2");
  const std::string failing = tip("4");
  expect_has(failing, "not in the longest partial linearization");
  expect_has(failing, "nothing explains this: nothing explains read");
}

TEST_F(HistoryInABrowser, GoesByTheKeyboard) {
  const std::string file = saved(data_of(kRefuted));
  const std::string all = shown(file, "zoom=1&press=0");
  const auto span = [](const std::string& body) {
    const std::size_t at = body.find("data-span-of-all=\"");
    return at == std::string::npos ? -1.0 : std::atof(body.c_str() + at + 18);
  };
  EXPECT_LT(span(shown(file, "zoom=1&press=0%2B%2B")), span(all) * 0.5);  // + zooms
  EXPECT_GT(span(shown(file, "zoom=8&press=-")), span(shown(file, "zoom=8")));
  expect_has(shown(file, "zoom=1&press=t"), "data-axis=\"real\"");
  const std::string light = shown(file, "zoom=1");
  const bool dark = light.find("data-theme=\"dark\"") != std::string::npos;
  expect_has(shown(file, "zoom=1&press=d"), dark ? "data-theme=\"light\"" : "data-theme=\"dark\"");
  expect_has(shown(file, "zoom=1&press=f"), "data-failing-in-view=\"1\"");
}

TEST_F(HistoryInABrowser, FiltersByKeyAndSortsByVersion) {
  model::History history;
  for (std::int64_t i = 0; i < 6; ++i) {
    model::Operation it{.invoked = i * 10,
                        .returned = i * 10 + 5,
                        .client = history.client("1"),
                        .key = history.key(i % 3 == 0 ? "y" : "x")};
    it.function = model::Function::kWrite;
    it.argument = history.value(i);
    if (i % 3 != 0) it.version = static_cast<std::uint64_t>(i == 1 ? 1 : i == 2 ? 2 : i - 1);
    history.operations.push_back(it);
  }
  const std::string file = saved(page_data(history, model::check(history), "keys"));
  expect_has(shown(file, "key=y"), "data-shown=\"2\"");
  const std::string sorted = shown(file, "axis=version");
  expect_has(sorted, "data-axis=\"version\"");
  expect_has(sorted, "data-shown=\"4\"");  // those that have a version
}

TEST_F(HistoryInABrowser, DrawsOfAHundredThousandOperationsOnlyWhatIsVisible) {
  model::History history;
  for (std::int64_t i = 0; i < 100'000; ++i) {
    model::Operation it{.invoked = i * 10,
                        .returned = i * 10 + 25,
                        .client = history.client(std::to_string(i % 4)),
                        .key = history.key("x")};
    it.function = model::Function::kWrite;
    it.argument = history.value(i % 50);
    history.operations.push_back(it);
  }
  const std::string file = saved(page_data(history, model::check(history), "many"));
  const auto drawn = [](const std::string& body) {
    const std::size_t at = body.find("data-drawn=\"");
    return at == std::string::npos ? -1 : std::atoi(body.c_str() + at + 12);
  };
  const int all = drawn(shown(file, "axis=real"));
  EXPECT_GT(all, 0);
  EXPECT_LT(all, 4 * 1400 * 2);  // two boxes a pixel
  const int few = drawn(shown(file, "axis=real&zoom=2000"));
  EXPECT_GT(few, 0);
  EXPECT_LT(few, 100);
}

}  // namespace
}  // namespace touchstone::harness
