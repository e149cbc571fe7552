#include "tests/queues/redis_server.hpp"
#include "tests/queues/tick_conformance.hpp"

#include "queues/connect.hpp"
#include "queues/file_ticks.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>

using namespace celeriac;
using testing::RedisServer;

namespace {

Settings settings_of(const RedisServer& server) {
  Settings settings;
  settings.broker_url = server.url();
  return settings;
}

std::unique_ptr<TickLedger> file_ledger(boost::asio::io_context& io, const RedisServer& server,
                                        const std::string& path) {
  auto broker = make_broker(io, settings_of(server));
  REQUIRE(broker);
  return make_file_ticks(io, std::move(*broker), path);
}

Expected<TickRecords> read(boost::asio::io_context& io, TickLedger& ledger) {
  std::optional<Expected<TickRecords>> answer;
  ledger.read([&](Expected<TickRecords> records) { answer = std::move(records); });
  io.restart();
  while (!answer) REQUIRE(io.run_one_for(std::chrono::seconds(20)) > 0);
  return *answer;
}

}  // namespace

TEST_CASE("records are read as they are written, and nothing else is") {
  const TickRecord record{1763721076.123456, 18446744073709551615u, "beat@host/12"};
  CHECK(record.text() == "1763721076.123456 18446744073709551615 beat@host/12");
  CHECK(TickRecord::read(record.text())->text() == record.text());
  CHECK(TickRecord::read("1 2 ")->by.empty());
  for (const char* bad : {"", " ", "x", "1", "1 ", "1 2", "1 x y", "nan 1 y", "inf 1 y", "1 -2 y", "1  2 y"})
    CHECK_FALSE(TickRecord::read(bad));
}

TEST_CASE("the ledger in Redis") {
  RedisServer server;
  TickSubject subject;
  subject.open = [&](boost::asio::io_context& io) {
    auto ledger = make_tick_ledger(io, settings_of(server));
    REQUIRE(ledger);
    return std::move(*ledger);
  };
  subject.sent = [&](const std::string& queue) {
    return static_cast<std::size_t>(server.number({"LLEN", queue}));
  };
  check_tick_conformance(subject);
}

TEST_CASE("the ledger in a file") {
  RedisServer server;
  TickSubject subject;
  subject.shared = false;
  subject.open = [&](boost::asio::io_context& io) {
    return file_ledger(io, server, server.directory() + "/schedule");
  };
  subject.sent = [&](const std::string& queue) {
    return static_cast<std::size_t>(server.number({"LLEN", queue}));
  };
  check_tick_conformance(subject);
}

TEST_CASE("a broken record in Redis is named, with what to do") {
  RedisServer server;
  server.run({"HSET", "celeriac.beat.celerybeat-schedule", "nightly", "garbage"});
  boost::asio::io_context io{1};
  auto ledger = make_tick_ledger(io, settings_of(server));
  REQUIRE(ledger);
  (*ledger)->start([](BrokerState, const std::string&) {});
  const auto records = read(io, **ledger);
  REQUIRE_FALSE(records);
  CHECK(records.error().what.find("field nightly") != std::string::npos);
  CHECK(records.error().what.find("HDEL") != std::string::npos);
}

TEST_CASE("a file that is not ours, or cannot be written, stays as it is") {
  RedisServer server;
  const std::string path = server.directory() + "/schedule";
  for (const char* text :
       {"", "\x00\x06\x15\x61 a shelve", "{}", R"({"format": 2, "entries": {}})",
        R"({"format": 1, "entries": {"a": 5}})", R"({"format": 1, "entries": {"a": "x"}})"}) {
    std::ofstream(path, std::ios::binary) << text;
    boost::asio::io_context io{1};
    const auto ledger = file_ledger(io, server, path);
    ledger->start([](BrokerState, const std::string&) {});
    const auto records = read(io, *ledger);
    REQUIRE_FALSE(records);
    CHECK(records.error().what.find(path) != std::string::npos);
    std::string kept;
    std::getline(std::ifstream(path, std::ios::binary), kept, '\0');
    CHECK(kept == text);
  }
  boost::asio::io_context io{1};
  const auto nowhere = file_ledger(io, server, server.directory() + "/no/such/folder");
  std::string failure;
  nowhere->start([&](BrokerState state, const std::string& what) {
    if (state == BrokerState::failed) failure = what;
  });
  while (failure.empty()) REQUIRE(io.run_one_for(std::chrono::seconds(20)) > 0);
  CHECK(failure.find("No such file") != std::string::npos);
}

TEST_CASE("Redis away in the middle of a commit: it is sent once, after") {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  boost::asio::io_context io{1};
  auto ledger = make_tick_ledger(io, settings_of(server));
  REQUIRE(ledger);
  const TickRecord fresh{1000, 0, "us"}, next{1060, 1, "us"};
  (*ledger)->start([](BrokerState, const std::string&) {});
  bool enrolled = false;
  (*ledger)->enroll({"a"}, fresh,
                    [&](const Expected<TickRecords>& records) { enrolled = records.has_value(); });
  while (!enrolled) REQUIRE(io.run_one_for(std::chrono::seconds(20)) > 0);
  server.freeze();
  std::optional<Expected<bool>> answer;
  Message message;
  message.properties.routing_key = "ticks";
  (*ledger)->commit("a", fresh, next, message, [&](const Expected<bool>& done) { answer = done; });
  io.run_for(std::chrono::milliseconds(100));
  server.kill();
  server.start();
  io.restart();
  while (!answer) REQUIRE(io.run_one_for(std::chrono::seconds(20)) > 0);
  CHECK(answer->value_or(false));
  CHECK(server.number({"LLEN", "ticks"}) == 1);
}
