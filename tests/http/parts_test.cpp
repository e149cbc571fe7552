// What the front end decides without sockets.
#include "http/callbacks.hpp"
#include "http/exchange.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/html.hpp"
#include "http/queue_trend.hpp"
#include "http/rate_limit.hpp"
#include "http/read_submission.hpp"
#include "http/rooms.hpp"
#include "http/router.hpp"

#include <doctest/doctest.h>

namespace celeriac::http {

TEST_CASE("forms are read as browsers write them") {
  const auto form = FormValues::read("name=odd+%26+%3Cname%3E&letter=1&letter=2&empty=&note=%C3%A9");
  REQUIRE(form);
  CHECK((*form)["name"] == "odd & <name>");
  CHECK(form->all("letter") == std::vector<std::string>{"1", "2"});
  CHECK((*form)["empty"].empty());
  CHECK((*form)["nothing"].empty());
  CHECK((*form)["note"] == "\xC3\xA9");
  CHECK(FormValues::read(""));
  for (const char* bad : {"a=%", "a=%zz", "a=\x01", "a=b c", "a=\xff"}) CHECK_FALSE(FormValues::read(bad));
  std::string many;
  for (int i = 0; i < 2001; ++i) many += "a=b&";
  CHECK_FALSE(FormValues::read(many));
}

TEST_CASE("only our own pages' forms act") {
  Request request;
  request.form_token = form_token("ck_secret");
  request.headers["host"] = "example.com:8000";
  CHECK(request.form_token.size() == 64);
  CHECK(form_token("ck_other") != request.form_token);
  CHECK(from_our_page(request, request.form_token));
  CHECK_FALSE(from_our_page(request, ""));
  CHECK_FALSE(from_our_page(request, form_token("ck_other")));
  request.headers["origin"] = "null";
  CHECK(from_our_page(request, request.form_token));
  request.headers["origin"] = "http://example.com:8000";
  CHECK(from_our_page(request, request.form_token));
  request.headers["origin"] = "http://example.com";
  CHECK_FALSE(from_our_page(request, request.form_token));
  request.headers.erase("origin");
  request.headers["sec-fetch-site"] = "same-site";
  CHECK_FALSE(from_our_page(request, request.form_token));
  request.headers["sec-fetch-site"] = "same-origin";
  CHECK(from_our_page(request, request.form_token));
  request.form_token.clear();
  CHECK_FALSE(from_our_page(request, ""));
}

TEST_CASE("queries") {
  Request request;
  request.query = "words=vendor+known&state=&words=second&x=%2B";
  auto values = request.query_values();
  CHECK(values["words"] == "vendor known");
  CHECK(values["x"] == "+");
  CHECK(values.contains("state"));
  request.query = "a=%zz";
  CHECK(request.query_values().empty());
  CHECK(percent_decoded("/a%20b") == "/a b");
  CHECK_FALSE(percent_decoded("/%00"));
  CHECK_FALSE(percent_decoded("/%4"));
}

TEST_CASE("Prefer") {
  struct Case {
    const char* text;
    double wanted;
  };
  for (const auto& [text, wanted] :
       {Case{"wait=10", 10}, Case{"respond-async, wait=5", 5}, Case{"wait=7;x=1", 7}, Case{"", 0},
        Case{"nowait=5", 0}, Case{"wait=-3", 0}, Case{"wait=", 0}, Case{"wait=1000", 60},
        Case{"wait=99999999999999999999", 60}, Case{"wait=x", 0}})
    CHECK_MESSAGE(wanted_wait(text) == wanted, text);
}

TEST_CASE("routes") {
  Router router;
  const auto add = [&](const char* method, const char* path) {
    router.add({method, path, Access::user, path, nullptr});
  };
  add("GET", "/api/tasks/{id}");
  add("DELETE", "/api/tasks/{id}");
  add("GET", "/");
  CHECK(router.find("GET", "/api/tasks/7/").params.at("id") == "7");
  CHECK(router.find("HEAD", "/api/tasks/7").route != nullptr);
  CHECK(router.find("POST", "/api/tasks/7").allowed == "GET, DELETE");
  CHECK(router.find("GET", "/").route != nullptr);
  for (const char* nothing : {"", "api", "/api/tasks", "/api/tasks/7/8", "/api//7", "//"})
    CHECK_MESSAGE((router.find("GET", nothing).route == nullptr || std::string_view(nothing) == "//"),
                  nothing);
}

TEST_CASE("limits count for an hour") {
  LocalRates rates;
  CHECK(rates.count("a", 2, 1000).left == 1);
  CHECK(rates.count("a", 2, 1001).allowed);
  const auto refused = rates.count("a", 2, 1002);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.reset == 3599);
  CHECK(rates.count("b", 2, 1002).allowed);
  CHECK(rates.count("a", 2, 1000 + 3600).allowed);
}

TEST_CASE("how queues move") {
  QueueTrend trend;
  CHECK_FALSE(trend.growth("q"));
  trend.note("q", 10, "one", 100);
  CHECK_FALSE(trend.growth("q"));  // one look says nothing
  trend.note("q", 40, "one", 130);
  CHECK(*trend.growth("q") == doctest::Approx(60));
  CHECK(*trend.waited("q", 131) == doctest::Approx(31));
  trend.note("q", 40, "two", 140);
  CHECK(*trend.waited("q", 141) == doctest::Approx(1));
  trend.note("q", 0, "", 400);  // what was seen long ago does not count
  CHECK_FALSE(trend.growth("q"));
  CHECK_FALSE(trend.waited("q", 401));
}

TEST_CASE("what is to be unique") {
  const TaskEntry task{"t", "q", {"a", "b"}};
  const auto read = [&](const char* text, std::size_t faults) {
    Faults found;
    auto s = read_submission(*parse_json(text), task, {"hooks.example"}, found);
    CHECK_MESSAGE(found.list.size() == faults, text << dump_json(found.list));
    return s;
  };
  CHECK(read(R"({"unique_for": "2h"})", 0).unique_for == 7200);
  CHECK(read(R"({"unique_for": 1.5})", 0).unique_for == 1.5);
  for (const char* bad : {R"({"unique_for": "2 h"})", R"({"unique_for": -1})", R"({"unique_for": "31d"})",
                          R"({"unique_for": null})", R"({"unique_for": "nan"})", R"({"dedupe_key": "k"})",
                          R"({"on_conflict": true})"})
    read(bad, 1);
  const auto a = read(R"({"args": [1], "unique_for": 1})", 0),
             b = read(R"({"args": [2], "unique_for": 1})", 0);
  CHECK(a.unique_key != b.unique_key);
  CHECK(a.unique_key == read(R"({"args": [1], "unique_for": 9})", 0).unique_key);
  CHECK(read(R"({"args": [1], "unique_for": 1, "dedupe_key": "k"})", 0).unique_key ==
        read(R"({"args": [2], "unique_for": 1, "dedupe_key": "k"})", 0).unique_key);
}

TEST_CASE("who may be called back") {
  const auto faults = [](const char* url, const std::vector<std::string>& hosts) {
    Faults found;
    const auto s = read_submission(Json{{"callback_url", url}}, {"t", "q"}, hosts, found);
    CHECK(s.callback_url == (found.list.empty() ? url : ""));
    return found.list.size();
  };
  CHECK(faults("https://hooks.example/a?b=c", {"hooks.example"}) == 0);
  CHECK(faults("http://hooks.example:8080/", {"other", "hooks.example"}) == 0);
  CHECK(faults("https://any.where/", {"*"}) == 0);
  for (const char* bad :
       {"", "hooks.example", "/path", "ftp://hooks.example/", "file:///etc/passwd", "https://evil.example/",
        "https://hooks.example.evil.example/", "https://me:pw@hooks.example/",
        "https://hooks.example@evil.example/", "https://evil.example#hooks.example",
        "http://169.254.169.254/", "https:///x", "https://hooks.example/\n"})
    CHECK_MESSAGE(faults(bad, {"hooks.example"}) == 1, bad);
  CHECK(faults("https://hooks.example/", {}) == 1);
}

TEST_CASE("a callback is signed as Standard Webhooks says") {
  // Computed with Python's hmac.
  const auto headers =
      callback_signature("a key that is long enough for a callback", "msg_1", 1700000000, "{\"a\": 1}");
  REQUIRE(headers.size() == 3);
  CHECK(headers[0] == std::pair<std::string, std::string>("webhook-id", "msg_1"));
  CHECK(headers[1] == std::pair<std::string, std::string>("webhook-timestamp", "1700000000"));
  CHECK(headers[2] == std::pair<std::string, std::string>("webhook-signature",
                                                          "v1,cpFyHzFebpjU1cscuXkKqFxNomDYWizjPwNyAgpJlYA="));
}

TEST_CASE("durations and text for people") {
  struct Case {
    double seconds;
    const char* text;
  };
  for (const auto& [seconds, text] :
       {Case{0, "0 ms"}, Case{0.85, "850 ms"}, Case{1.29, "1.2 s"}, Case{12, "12 s"}, Case{185, "3 min 5 s"},
        Case{7380, "2 h 3 min"}, Case{90000, "1 d 1 h"}})
    CHECK(duration_text(seconds) == text);
  CHECK(escaped("<a b='c'>&\"") == "&lt;a b=&#39;c&#39;&gt;&amp;&quot;");
}

TEST_CASE("a room tells everybody in order, and who comes back what followed") {
  boost::asio::io_context io;
  Rooms rooms(io);
  std::function<void(std::optional<Json>, bool)> pending;
  int asked = 0;
  const Rooms::Source source = [&](auto tell) {
    ++asked;
    pending = tell;
  };
  std::vector<std::string> first, second, ids;
  auto one = rooms.join("r", source, "", [&](const auto& event) {
    first.push_back(event->kind + event->data);
    ids.push_back(event->id);
  });
  CHECK(first.empty());  // never from join()
  io.poll();
  REQUIRE(asked == 1);
  pending(Json{{"state", "A"}}, false);
  pending(Json{{"state", "A"}}, false);  // nothing new
  pending(std::nullopt, false);
  pending(Json{{"state", "A"}, {"n", 1}}, false);
  CHECK(first == std::vector<std::string>{R"(state{"state": "A"})", R"(progress{"state": "A", "n": 1})"});

  auto two = rooms.join("r", source, ids[0], [&](const auto& event) { second.push_back(event->id); });
  io.restart();
  io.poll();
  CHECK(second == std::vector<std::string>{ids[1]});
  CHECK(asked == 1);  // the same room
  two.reset();
  pending(Json{{"state", "B"}}, true);
  CHECK(first.size() == 3);
  CHECK(second.size() == 1);  // it has left

  // The final event is told even to who has seen it, so that everybody ends.
  std::vector<bool> ends;
  auto three = rooms.join("r", source, ids[2], [&](const auto& event) { ends.push_back(event->final); });
  auto four = rooms.join("r", source, "unknown", [&](const auto& event) { ends.push_back(event->final); });
  io.restart();
  io.poll();
  CHECK(ends == std::vector<bool>{true, true});
}

}  // namespace celeriac::http
