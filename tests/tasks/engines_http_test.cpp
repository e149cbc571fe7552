// The HTTP engine against a server that does what servers do, and worse.
#include "tasks/engines/http_await.hpp"
#include "tasks/engines/public_address.hpp"
#include "tests/tasks/scripted_server.hpp"

#include <doctest/doctest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

using namespace celeriac;
using namespace std::chrono_literals;
using celeriac::testing::Received;
using celeriac::testing::ScriptedServer;
using Connection = ScriptedServer::Connection;

namespace {

HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  request.deadline = 20s;
  return request;
}

HttpFailure failure(const HttpResult& result) {
  REQUIRE_FALSE(result);
  return result.error().kind;
}

}  // namespace

TEST_CASE("an answer with its status, headers and body; a request with its own") {
  ScriptedServer server([](const Received& got, Connection& to) {
    to.reply(got.headers.at("x-key") == "secret" ? 201 : 400, got.method + " " + got.target + " " + got.body,
             "X-Left: 7\r\nRetry-After: 120\r\n");
  });
  HttpRequest request = get(server.url() + "/path?a=b");
  request.method = "POST";
  request.headers = {{"X-Key", "secret"}};
  request.body = "body";
  const HttpResult result = http_fetch(request);
  REQUIRE(result);
  CHECK(result->status == 201);
  CHECK(result->body == "POST /path?a=b body");
  CHECK(result->header("x-left") == "7");
  CHECK(result->retry_after == 120s);
}

TEST_CASE("Retry-After may be a date") {
  ScriptedServer server([](const Received&, Connection& to) {
    to.reply(429, "{}", "Retry-After: Fri, 31 Dec 2099 23:59:59 GMT\r\n");
  });
  const HttpResult result = http_fetch(get(server.url()));
  REQUIRE(result);
  CHECK(result->status == 429);
  REQUIRE(result->retry_after);
  CHECK(*result->retry_after > 1h);
}

TEST_CASE("what goes wrong has a name, and never shows a secret") {
  ScriptedServer server([](const Received& got, Connection& to) {
    if (got.target.starts_with("/cut")) {
      to.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      to.close();
    } else if (got.target.starts_with("/never")) {
      to.wait(60s);
    } else if (got.target.starts_with("/large")) {
      to.reply(200, std::string(5000, 'x'));
    } else if (got.target.starts_with("/other")) {
      to.reply(302, "", "Location: http://127.0.0.1:1/stolen\r\n");
    } else {
      to.send("what is this\r\n\r\n");
      to.close();
    }
  });
  const HttpResult cut = http_fetch(get(server.url() + "/cut?token=secret"));
  CHECK(failure(cut) == HttpFailure::cut);
  CHECK(cut.error().was_sent);
  CHECK(cut.error().message.find("secret") == std::string::npos);
  CHECK(cut.error().message.find(server.url() + "/cut") != std::string::npos);

  HttpRequest slow = get(server.url() + "/never");
  slow.deadline = 300ms;
  CHECK(failure(http_fetch(slow)) == HttpFailure::timeout);
  slow.deadline = 60s;
  CHECK(failure(http_fetch(slow, [] { return true; })) == HttpFailure::stopped);

  HttpRequest large = get(server.url() + "/large");
  large.max_body = 4999;
  CHECK(failure(http_fetch(large)) == HttpFailure::too_large);
  const HttpResult other = http_fetch(get(server.url() + "/other"));
  REQUIRE(other);
  CHECK(other->status == 302);

  const HttpResult nobody = http_fetch(get("http://127.0.0.1:1/"));
  CHECK(failure(nobody) == HttpFailure::unreachable);
  CHECK_FALSE(nobody.error().was_sent);
  CHECK(failure(http_fetch(get("file:///etc/passwd"))) == HttpFailure::malformed);
  CHECK(failure(http_fetch(get("not a url"))) == HttpFailure::malformed);
  CHECK_FALSE(http_fetch(get(server.url() + "/garbage")).has_value());
}

TEST_CASE("a stream comes piece by piece and can be stopped") {
  ScriptedServer server([](const Received&, Connection& to) {
    to.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
      to.send("3\r\nabc\r\n");
      to.wait(30ms);
    }
    to.send("0\r\n\r\n");
  });
  std::string all;
  HttpRequest request = get(server.url());
  request.on_data = [&](std::string_view piece) {
    all += piece;
    return true;
  };
  const HttpResult result = http_fetch(request);
  REQUIRE(result);
  CHECK(all == "abcabcabc");
  CHECK(result->body.empty());
  request.on_data = [](std::string_view) { return false; };
  CHECK(failure(http_fetch(request)) == HttpFailure::stopped);
}

TEST_CASE("many coroutines wait at once, and a cancelled one leaves") {
  ScriptedServer server([](const Received& got, Connection& to) {
    to.wait(got.target == "/never" ? 60'000ms : 300ms);
    to.reply(200, "late");
  });
  boost::asio::io_context loop;
  int answered = 0, stopped = 0;
  for (int i = 0; i < 100; ++i) {
    auto done = [&](std::exception_ptr, HttpResult result) {
      if (result && result->body == "late") ++answered;
    };
    boost::asio::co_spawn(loop, http_await(get(server.url() + "/" + std::to_string(i))), done);
  }
  boost::asio::cancellation_signal cancel;
  auto ended = [&](std::exception_ptr, HttpResult result) {
    if (!result && result.error().kind == HttpFailure::stopped) ++stopped;
  };
  boost::asio::co_spawn(loop, http_await(get(server.url() + "/never")),
                        boost::asio::bind_cancellation_slot(cancel.slot(), ended));
  while (answered < 100) REQUIRE(loop.run_one_for(20s) == 1);
  CHECK(stopped == 0);
  cancel.emit(boost::asio::cancellation_type::terminal);
  loop.run();
  CHECK(stopped == 1);
}

TEST_CASE("what of a URL is shown") {
  CHECK(shown_url("https://user:password@host:8080/path?token=x#y") == "https://host:8080/path");
  CHECK(shown_url("no url at all") == "(no URL)");
  CHECK(url_encode("a b&c/d@e") == "a%20b%26c%2Fd%40e");
}

TEST_CASE("an address of the public internet is told from one that is not") {
  const auto is_public = [](const char* text) {
    const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(text), 443);
    return is_public_address(endpoint.data());
  };
  for (const char* address :
       {"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.255",
        "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "2002:0808:0808::1"}) {
    CAPTURE(address);
    CHECK(is_public(address));
  }
  for (const char* address : {"127.0.0.1",
                              "127.255.0.1",
                              "0.0.0.0",
                              "10.0.0.1",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "192.0.2.7",
                              "198.18.0.1",
                              "203.0.113.9",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "2001:db8::1",
                              "2002:7f00:0001::1",
                              "64:ff9b::7f00:1",
                              "2001::1"}) {
    CAPTURE(address);
    CHECK_FALSE(is_public(address));
  }
}

TEST_CASE("a stranger's URL does not reach this host, by whatever name") {
  ScriptedServer server([](const Received&, Connection& to) { to.reply(200, "inside"); });
  const auto port = server.url().substr(server.url().rfind(':'));
  REQUIRE(http_fetch(get(server.url())));  // its connection is kept, and must not be used
  for (const std::string host : {"127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"}) {
    CAPTURE(host);
    HttpRequest request = get("http://" + host + port + "/latest?token=secret");
    request.public_only = true;
    const HttpResult result = http_fetch(request);
    CHECK(failure(result) == HttpFailure::refused);
    CHECK(result.error().message.find("secret") == std::string::npos);
  }
  CHECK(server.requests() == 1);
}
