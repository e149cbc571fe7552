#include "tests/queues/tick_conformance.hpp"

#include <doctest/doctest.h>

#include <optional>

namespace celeriac {
namespace {

// One ledger on a loop of its own.
struct Opened {
  explicit Opened(const TickSubject& subject) : ledger(subject.open(io)) {
    ledger->start([this](BrokerState now, const std::string& why) { state = now, what = why; });
  }
  ~Opened() {
    bool stopped = false;
    ledger->stop([&] { stopped = true; });
    until([&] { return stopped; });
  }
  void until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    io.restart();
    while (!done()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      io.run_one_until(end);
      if (io.stopped()) io.restart();
    }
  }
  void connect() {
    until([&] { return state == BrokerState::connected; });
  }
  TickRecords enroll(std::vector<std::string> names, double at) {
    std::optional<Expected<TickRecords>> answer;
    ledger->enroll(std::move(names), TickRecord{at, 0, "us"},
                   [&](Expected<TickRecords> records) { answer = records; });
    until([&] { return answer.has_value(); });
    REQUIRE(*answer);
    return **answer;
  }
  TickRecords read() {
    std::optional<Expected<TickRecords>> answer;
    ledger->read([&](Expected<TickRecords> records) { answer = records; });
    until([&] { return answer.has_value(); });
    REQUIRE(*answer);
    return **answer;
  }
  bool commit(const TickRecord& seen, const TickRecord& next, const std::string& body = "[[], {}, {}]") {
    Message message;
    message.body = body;
    message.properties.routing_key = "ticks";
    std::optional<Expected<bool>> answer;
    ledger->commit("a", seen, next, message, [&](Expected<bool> done) { answer = done; });
    until([&] { return answer.has_value(); });
    REQUIRE(*answer);
    return **answer;
  }

  boost::asio::io_context io{1};
  std::optional<BrokerState> state;
  std::string what;
  std::unique_ptr<TickLedger> ledger;
};

}  // namespace

void check_tick_conformance(const TickSubject& subject) {
  const TickRecord fresh{1000.25, 0, "us"}, first{1060.5, 1, "us"}, second{1120.125, 2, "us"};
  {
    Opened one(subject);
    one.connect();
    CHECK(one.read().empty());
    TickRecords records = one.enroll({"a", "b"}, fresh.last_run_at);
    CHECK(records.size() == 2);
    CHECK(records.at("a").text() == fresh.text());
    // Who has a record keeps it.
    records = one.enroll({"a", "c"}, 5000);
    CHECK(records.at("a").text() == fresh.text());
    CHECK(records.at("c").last_run_at == 5000);
    CHECK(records.size() == 3);

    CHECK(one.commit(fresh, first));
    CHECK(subject.sent("ticks") == 1);
    CHECK_FALSE(one.commit(fresh, second));  // seen is old by now
    CHECK(subject.sent("ticks") == 1);
    CHECK(one.commit(first, second));
    CHECK(subject.sent("ticks") == 2);
    CHECK_FALSE(one.commit(TickRecord{1, 1, "nobody"}, TickRecord{2, 2, "nobody"}));
  }
  {
    Opened again(subject);
    again.connect();
    CHECK(again.read().at("a").text() == second.text());

    Opened other(subject);
    if (!subject.shared) {
      other.until([&] { return !other.what.empty(); });
      CHECK(other.state == BrokerState::connecting);
      CHECK(other.what.find("standing by") != std::string::npos);
      CHECK(other.read().at("a").text() == second.text());  // looking is free
    } else {
      other.connect();
      const TickRecord ours{1180, 3, "again"}, theirs{1180, 3, "other"};
      const bool we = again.commit(second, ours), they = other.commit(second, theirs);
      CHECK((we && !they));
      CHECK(subject.sent("ticks") == 3);
      CHECK(other.read().at("a").text() == ours.text());
    }
  }
}

}  // namespace celeriac
