// The AMQP session against a scripted server: every transition, no sockets.
#include "queues/amqp/session.hpp"

#include "queues/amqp/field_table.hpp"
#include "tests/queues/amqp_peer.hpp"

#include <doctest/doctest.h>

namespace celeriac::testing {
namespace {

using namespace celeriac::amqp;
using std::chrono::seconds;

struct Recorder : ChannelEvents {
  std::vector<Incoming> deliveries;
  std::vector<Returned> returns;
  std::vector<std::string> log;
  void on_delivery(Incoming&& incoming) override { deliveries.push_back(std::move(incoming)); }
  void on_returned(Returned&& returned) override { returns.push_back(std::move(returned)); }
  void on_confirmed(std::uint64_t tag, bool multiple, bool taken) override {
    log.push_back((taken ? "ack " : "nack ") + std::to_string(tag) + (multiple ? "+" : ""));
  }
  void on_consumer_cancelled(const std::string& tag) override { log.push_back("cancelled " + tag); }
  void on_channel_closed(int code, const std::string& text) override {
    log.push_back("closed " + std::to_string(code) + " " + text);
  }
};

// A session and the server it talks to.
struct Talk {
  explicit Talk(SessionOptions options = {}) : session(std::move(options), events()) {}

  Session::Events events() {
    Session::Events out;
    out.on_open = [this] { ++opened; };
    out.on_closed = [this](const Session::Closed& how) { closed.push_back(how); };
    out.on_blocked = [this](const std::string& why) { blocked.push_back(why); };
    return out;
  }
  // Our bytes to the server, which notes the methods; then its answers to us.
  void exchange() {
    server.read(session.take_output());
    deliver();
  }
  void deliver() { session.received(server.take(), {}); }
  void open() {
    session.start({});
    server.read_greeting(session.take_output());
    server.start();
    deliver();
    exchange();
    server.tune(2047, 131072, 60);
    deliver();
    exchange();
    server.open_ok();
    deliver();
    server.methods.clear();
  }
  ChannelId channel(Recorder& events) {
    const auto id = session.open_channel(events);
    REQUIRE(id);
    server.read(session.take_output());
    server.channel_open_ok(*id);
    deliver();
    server.methods.clear();
    return *id;
  }

  Peer server;
  int opened = 0;
  std::vector<Session::Closed> closed;
  std::vector<std::string> blocked;
  Session session;
};

TEST_CASE("logging in") {
  Talk talk;
  talk.session.start({});
  CHECK(talk.server.read_greeting(talk.session.take_output()));
  SUBCASE("greeting, tune, open") {
    talk.server.start("3.10.8");
    talk.deliver();
    talk.exchange();
    CHECK(talk.server.methods == std::vector<std::string>{"start-ok PLAIN \\0guest\\0guest"});
    CHECK(talk.session.server_version() == "3.10.8");
    CHECK(talk.session.server_major() == 3);
    talk.server.tune(100, 4096, 20);
    talk.deliver();
    talk.exchange();
    CHECK(talk.server.methods ==
          std::vector<std::string>{"start-ok PLAIN \\0guest\\0guest", "tune-ok 100 4096 20", "open /"});
    CHECK_FALSE(talk.session.is_open());
    talk.server.open_ok();
    talk.deliver();
    CHECK(talk.session.is_open());
    CHECK(talk.opened == 1);
    CHECK(talk.session.heartbeat_interval() == seconds(10));
  }
  SUBCASE("refused: the server's words and code") {
    talk.server.start();
    talk.deliver();
    talk.server.connection_close(403, "ACCESS_REFUSED - Login was refused");
    talk.deliver();
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].code == 403);
    CHECK(talk.closed[0].text == "ACCESS_REFUSED - Login was refused");
    talk.exchange();
    CHECK(talk.server.methods.back() == "close-ok");
  }
  SUBCASE("no login method in common") {
    talk.server.start("3.10.8", "EXTERNAL");
    talk.deliver();
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text.find("does not offer the login method PLAIN") != std::string::npos);
  }
  SUBCASE("another protocol") {
    talk.session.received(std::string_view("AMQP\x00\x01\x00\x00", 8), {});
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text.find("does not speak AMQP 0-9-1") != std::string::npos);
  }
  SUBCASE("no AMQP at all") {
    talk.session.received("HTTP/1.1 400 Bad Request\r\n\r\n", {});
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text.find("protocol error") != std::string::npos);
  }
  SUBCASE("methods out of turn") {
    talk.server.tune(1, 131072, 1);
    talk.deliver();
    CHECK(talk.closed.size() == 1);
  }
  SUBCASE("a frame size below AMQP's own") {
    talk.server.start();
    talk.deliver();
    talk.server.tune(100, 100, 20);
    talk.deliver();
    CHECK(talk.closed.size() == 1);
  }
  SUBCASE("a byte at a time") {
    talk.server.start();
    talk.server.tune(100, 131072, 20);
    talk.server.open_ok();
    for (const char byte : talk.server.take()) talk.session.received({&byte, 1}, {});
    CHECK(talk.session.is_open());
  }
}

TEST_CASE("AMQPLAIN and EXTERNAL") {
  SessionOptions options;
  options.login_method = "EXTERNAL";
  Talk talk(options);
  talk.session.start({});
  talk.server.read_greeting(talk.session.take_output());
  talk.server.start("4.0.1", "PLAIN EXTERNAL");
  talk.deliver();
  talk.exchange();
  CHECK(talk.server.methods == std::vector<std::string>{"start-ok EXTERNAL "});
}

TEST_CASE("channels") {
  Talk talk;
  talk.open();
  Recorder one, two;
  const auto a = talk.channel(one), b = talk.channel(two);
  CHECK(a != b);
  SUBCASE("each answer finds its question, in whatever order the kinds are answered") {
    std::vector<int> answers;
    amqp_channel_flow_t flow{1};
    amqp_basic_qos_t qos{};
    talk.session.call(a, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD,
                      [&](const amqp_method_t&) { answers.push_back(1); });
    talk.session.call(a, AMQP_CHANNEL_FLOW_METHOD, &flow, AMQP_CHANNEL_FLOW_OK_METHOD,
                      [&](const amqp_method_t&) { answers.push_back(2); });
    talk.exchange();
    talk.server.flow_ok(a);
    talk.server.qos_ok(a);
    talk.deliver();
    CHECK(answers == std::vector<int>{2, 1});
    talk.server.flow_ok(a);  // answers nothing
    talk.deliver();
    CHECK(talk.closed.size() == 1);
  }
  SUBCASE("closed by the server: only this one ends") {
    talk.server.channel_close(a, 404, "NOT_FOUND - no queue 'x'");
    talk.deliver();
    CHECK(one.log == std::vector<std::string>{"closed 404 NOT_FOUND - no queue 'x'"});
    CHECK_FALSE(talk.session.has_channel(a));
    CHECK(talk.session.has_channel(b));
    CHECK(talk.closed.empty());
    talk.exchange();
    CHECK(talk.server.methods == std::vector<std::string>{"channel.close-ok"});
  }
  SUBCASE("closed by us: what was on its way is dropped, the number is free after close-ok") {
    talk.session.close_channel(a);
    CHECK_FALSE(talk.session.has_channel(a));
    talk.server.deliver(a, "c", 1, "late");
    talk.deliver();
    CHECK(one.deliveries.empty());
    talk.server.channel_close_ok(a);
    talk.deliver();
    CHECK(talk.closed.empty());
    talk.server.deliver(a, "c", 2, "too late");
    talk.deliver();
    CHECK(talk.closed.size() == 1);
  }
  SUBCASE("both close at once") {
    talk.session.close_channel(a);
    talk.server.channel_close(a, 406, "PRECONDITION_FAILED");
    talk.server.channel_close_ok(a);
    talk.deliver();
    CHECK(one.log.empty());
    CHECK(talk.closed.empty());
  }
  SUBCASE("messages of two channels, interleaved") {
    talk.server.deliver_head(a, "c", 7, 6);
    talk.server.deliver_head(b, "d", 1, 4);
    talk.server.body(a, "abc");
    talk.server.body(b, "wxyz");
    talk.server.body(a, "def");
    talk.deliver();
    REQUIRE(one.deliveries.size() == 1);
    REQUIRE(two.deliveries.size() == 1);
    CHECK(one.deliveries[0].message.body == "abcdef");
    CHECK(one.deliveries[0].tag == 7);
    CHECK(one.deliveries[0].consumer_tag == "c");
    CHECK(two.deliveries[0].message.body == "wxyz");
  }
  SUBCASE("an empty message") {
    talk.server.deliver(a, "c", 1, "");
    talk.deliver();
    REQUIRE(one.deliveries.size() == 1);
    CHECK(one.deliveries[0].message.body.empty());
  }
  SUBCASE("bodies out of turn end the connection") {
    SUBCASE("without a method") { talk.server.body(a, "x"); }
    SUBCASE("longer than announced") {
      talk.server.deliver_head(a, "c", 1, 2);
      talk.server.body(a, "xyz");
    }
    SUBCASE("a method in between") {
      talk.server.deliver_head(a, "c", 1, 2);
      talk.server.qos_ok(a);
    }
    SUBCASE("on a channel that is not open") { talk.server.deliver(99, "c", 1, "x"); }
    SUBCASE("more than any server may send") { talk.server.deliver_head(a, "c", 1, std::uint64_t{1} << 40); }
    talk.deliver();
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text.find("protocol error") == 0);
    CHECK(one.deliveries.empty());
  }
  SUBCASE("confirms and returns") {
    talk.server.confirm(a, 3, true, true);
    talk.server.confirm(a, 4, false, false);
    talk.server.returned(a, 312, "NO_ROUTE", "nowhere", "lost");
    talk.deliver();
    CHECK(one.log == std::vector<std::string>{"ack 3+", "nack 4"});
    REQUIRE(one.returns.size() == 1);
    CHECK(one.returns[0].code == 312);
    CHECK(one.returns[0].routing_key == "nowhere");
    CHECK(one.returns[0].message.body == "lost");
  }
  SUBCASE("the server cancels a consumer") {
    talk.server.cancel(a, "c1");
    talk.deliver();
    CHECK(one.log == std::vector<std::string>{"cancelled c1"});
  }
  SUBCASE("every number in use") {
    SessionOptions few;
    few.channel_max = 2;
    Talk other(few);
    other.open();
    Recorder events;
    CHECK(other.session.open_channel(events));
    CHECK(other.session.open_channel(events));
    CHECK_FALSE(other.session.open_channel(events));
  }
}

TEST_CASE("blocked and unblocked") {
  Talk talk;
  talk.open();
  talk.server.blocked("low on memory");
  talk.deliver();
  CHECK(talk.session.blocked());
  talk.server.unblocked();
  talk.deliver();
  CHECK_FALSE(talk.session.blocked());
  CHECK(talk.blocked == std::vector<std::string>{"low on memory", ""});
}

TEST_CASE("heartbeats") {
  Talk talk;
  talk.open();
  talk.session.take_output();
  SUBCASE("sent when nothing else was") {
    talk.session.tick({});
    CHECK(talk.session.take_output().size() == 0);  // the login spoke
    talk.session.tick({});
    CHECK(talk.session.take_output() == std::string("\x08\0\0\0\0\0\0\xce", 8));
  }
  SUBCASE("a silent peer is given up after two heartbeats, one that speaks is not") {
    for (int i = 0; i < 4; ++i) talk.session.tick({});
    CHECK(talk.closed.empty());
    talk.server.heartbeat();
    talk.deliver();
    for (int i = 0; i < 4; ++i) talk.session.tick({});
    CHECK(talk.closed.empty());
    talk.session.tick({});
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text == "nothing heard for 120 s");
  }
}

TEST_CASE("the end of a connection") {
  Talk talk;
  talk.open();
  Recorder events;
  const auto id = talk.channel(events);
  SUBCASE("by the server") {
    talk.server.connection_close(320, "CONNECTION_FORCED - shutdown");
    talk.deliver();
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].code == 320);
    CHECK_FALSE(talk.session.has_channel(id));
    talk.deliver();
    talk.session.lost("later");
    CHECK(talk.closed.size() == 1);
  }
  SUBCASE("by us") {
    talk.session.close();
    talk.server.deliver(id, "c", 1, "late");
    talk.deliver();
    CHECK(talk.closed.empty());
    talk.server.connection_close_ok();
    talk.deliver();
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].by_us);
    CHECK(events.deliveries.empty());
  }
  SUBCASE("by the network") {
    talk.session.lost("Connection reset by peer");
    REQUIRE(talk.closed.size() == 1);
    CHECK(talk.closed[0].text == "Connection reset by peer");
    CHECK_FALSE(talk.session.open_channel(events));
    talk.session.send(id, AMQP_BASIC_ACK_METHOD, nullptr);  // nothing happens
  }
}

TEST_CASE("a message goes out and comes in as it was") {
  Talk talk;
  talk.open();
  Recorder events;
  const auto id = talk.channel(events);
  Message message;
  message.headers =
      R"({"task": "t", "id": "1", "eta": null, "timelimit": [30, null], "ratio": 0.5, "big": 5000000000, "on": true, "stamps": {}})";
  message.body = std::string(300000, 'x');
  message.properties.correlation_id = "1";
  message.properties.reply_to = "r";
  message.properties.priority = 7;
  message.properties.expiration = "5000";
  REQUIRE(talk.session.publish(id, "e", "k", true, message));
  // What we publish is what a server delivers, but for the method in front.
  talk.server.read(talk.session.take_output());
  CHECK(talk.server.methods == std::vector<std::string>{"publish e k mandatory"});
  talk.server.deliver_again(id, "c", 1);
  talk.deliver();
  REQUIRE(events.deliveries.size() == 1);
  const Message& got = events.deliveries[0].message;
  CHECK(got.headers == message.headers);
  CHECK(got.body == message.body);
  CHECK(got.properties.priority == 7);
  CHECK(got.properties.expiration == "5000");
  CHECK(got.properties.reply_to == "r");
  CHECK(got.content_type == "application/json");
  SUBCASE("what cannot be expressed is refused and nothing is sent") {
    message.headers = R"({")" + std::string(300, 'k') + R"(": 1})";
    CHECK_FALSE(talk.session.publish(id, "e", "k", true, message));
    message.headers = R"({"k": ")" + std::string(200000, 'v') + R"("})";
    CHECK_FALSE(talk.session.publish(id, "e", "k", true, message));
    message.headers = "no json";
    CHECK_FALSE(talk.session.publish(id, "e", "k", true, message));
    CHECK(talk.session.output_size() == 0);
  }
}

}  // namespace
}  // namespace celeriac::testing
