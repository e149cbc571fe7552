// Requests and replies of remote control as bytes, and who is meant.
#include "worker/control/mailbox.hpp"
#include "worker/control/state_file.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>

using namespace celeriac;

namespace {

Message request_message(const std::string& body,
                        const std::string& headers = "{\"clock\": 7, \"expires\": 0}") {
  Message message;
  message.headers = headers;
  message.body = body;
  return message;
}

}  // namespace

TEST_CASE("a request of Celery's is read, and its reply goes where it says") {
  const auto request = read_control_request(request_message(
      R"({"method":"ping","arguments":{},"destination":null,"pattern":null,"matcher":null,"ticket":"T",)"
      R"("reply_to":{"exchange":"reply.celery.pidbox","routing_key":"K"}})"));
  REQUIRE(request);
  CHECK(request->method == "ping");
  CHECK(request->clock == 7);
  CHECK(is_for(*request, "anybody@host"));

  ControlReply reply;
  reply.node = "w1@host";
  reply.value = {{"ok", "pong"}};
  reply.ticket = request->ticket;
  reply.clock = 9;
  const Message message = write_control_reply(reply, *request);
  CHECK(message.body == "{\"w1@host\": {\"ok\": \"pong\"}}");
  CHECK(message.headers == "{\"ticket\": \"T\", \"clock\": 9}");
  CHECK(message.properties.exchange == "reply.celery.pidbox");
  CHECK(message.properties.routing_key == "K");
  const auto again = read_control_reply(message);
  REQUIRE(again);
  CHECK(again->node == "w1@host");
  CHECK(again->ticket == "T");
  CHECK(again->clock == 9);
}

TEST_CASE("what we ask is what Celery asks") {
  ControlRequest request;
  request.method = "ping";
  request.destination = {"w1@h"};
  request.clock = 1;
  CHECK(write_control_request(request, 0).body ==
        "{\"method\": \"ping\", \"arguments\": {}, \"destination\": [\"w1@h\"], \"pattern\": null, "
        "\"matcher\": null}");
  request.ticket = "T";
  request.reply_to_exchange = "E";
  request.reply_to_key = "K";
  const Message message = write_control_request(request, 12.5);
  CHECK(message.headers == "{\"clock\": 1, \"expires\": 12.5}");
  const auto read = read_control_request(message);
  REQUIRE(read);
  CHECK(read->reply_to_key == "K");
  CHECK(read->destination == std::vector<std::string>{"w1@h"});
}

TEST_CASE("destination wins over pattern; a pattern needs its matcher") {
  ControlRequest request;
  request.destination = {"w2@host"};
  request.pattern = "w1*";
  request.matcher = "glob";
  CHECK(is_for(request, "w2@host"));
  CHECK_FALSE(is_for(request, "w1@host"));
  request.destination.clear();
  CHECK(is_for(request, "w1@host"));
  CHECK_FALSE(is_for(request, "w2@host"));
  request.pattern = "w[0-9]+@";
  request.matcher = "pcre";
  CHECK(is_for(request, "w12@host"));
  CHECK_FALSE(is_for(request, "x@host"));
  request.pattern = "(";
  CHECK_FALSE(is_for(request, "w1@host"));
  request.pattern = std::string(5000, 'a');
  CHECK_FALSE(is_for(request, "w1@host"));
  request.matcher.clear();
  CHECK(is_for(request, "w1@host"));
}

TEST_CASE("what is no request is refused, and harms nobody") {
  CHECK_FALSE(read_control_request(request_message("[]")));
  CHECK_FALSE(read_control_request(request_message("{}")));
  CHECK_FALSE(read_control_request(request_message("{\"method\": 5}")));
  CHECK_FALSE(read_control_request(request_message("nonsense")));
  CHECK(read_control_request(request_message("{\"method\": \"ping\"}", "nonsense"))->clock == 0);
  CHECK(read_control_request(request_message("{\"method\": \"ping\"}", "{\"clock\": -4}"))->clock == 0);
  Message pickled = request_message("{\"method\": \"ping\"}");
  pickled.content_type = "application/x-python-serialize";
  CHECK_FALSE(read_control_request(pickled));
  CHECK_FALSE(read_control_reply(request_message("{\"a\": 1, \"b\": 2}")));
}

TEST_CASE("the state file keeps revoked ids and the clock") {
  const std::string path = "/tmp/celeriac-state-" + std::to_string(::getpid());
  RevokedSet revoked;
  LamportClock clock;
  REQUIRE(load_state(path, revoked, clock, 1000));  // not there yet
  revoked.add("a", 900);
  revoked.add("b", 950);
  clock.adjust(41);
  REQUIRE(save_state(path, revoked, clock, 1000));

  RevokedSet later;
  LamportClock ours;
  REQUIRE(load_state(path, later, ours, 1000));
  CHECK(later.size() == 2);
  CHECK(later.entries().at("a") == 900);
  CHECK(ours.value() == 43);

  RevokedSet too_late;
  REQUIRE(load_state(path, too_late, ours, 900 + 20000));
  CHECK_FALSE(too_late.contains("a", 900 + 20000));

  std::ofstream(path) << "\x80\x04 a pickle";
  RevokedSet none;
  const auto refused = load_state(path, none, ours, 1000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find(path) != std::string::npos);
  std::remove(path.c_str());
}
