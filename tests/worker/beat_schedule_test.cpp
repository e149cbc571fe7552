#include "worker/beat/entry.hpp"

#include "protocol/time.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace celeriac;

namespace {

Schedule schedule(const char* json, bool relative = false) {
  return Schedule::read(parse_json(json).value(), relative).value();
}
std::string fault(const char* json) { return Schedule::read(parse_json(json).value(), false).error().what; }
const Zone& utc() {
  static const Zone zone = Zone::find("UTC").value();
  return zone;
}
double at(const char* iso) { return parse_iso8601(iso).value(); }

BeatEntrySettings nightly() {
  BeatEntrySettings entry;
  entry.task = "reports.nightly";
  entry.schedule = "\"0 4 * * *\"";
  return entry;
}
std::string entry_fault(const BeatEntrySettings& entry) {
  return BeatEntry::read("nightly", entry, Settings{}, App{}).error().what;
}

}  // namespace

TEST_CASE("schedule: every way to write one") {
  CHECK(schedule("30").text() == "every 30s");
  CHECK(schedule("0.5").text() == "every 0.5s");
  CHECK(schedule("\"*/5 8-18 * * mon-fri\"").text() == "*/5 8-18 * * mon-fri");
  CHECK(schedule(R"({"hours": 1, "minutes": 30})").text() == "every 5400s");
  CHECK(schedule(R"({"minute": 0, "hour": [8, 12], "day_of_week": "mon"})").text() == "0 8,12 * * mon");
  CHECK(schedule(R"({"event": "sunset", "lat": 52.52, "lon": 13.405})").text() == "sunset at 52.52, 13.405");

  CHECK(fault("0").find("more than 0 seconds") != std::string::npos);
  CHECK(fault("-1").find("more than 0 seconds") != std::string::npos);
  CHECK(fault("true").find("expects seconds") != std::string::npos);
  CHECK(fault("{}").find("expects seconds") != std::string::npos);
  CHECK(fault(R"({"minuet": 5})").find("did you mean minute") != std::string::npos);
  CHECK(fault(R"({"minute": 5, "hours": 1})").find("does not belong here") != std::string::npos);
  CHECK(fault(R"({"minute": [1, "x"]})").find("lists whole numbers") != std::string::npos);
  CHECK(fault(R"({"event": "sunset", "lat": 91, "lon": 0})").find("lat") != std::string::npos);
  CHECK(fault(R"({"event": "teatime", "lat": 1, "lon": 0})").find("known: dawn_astronomical") !=
        std::string::npos);
}

TEST_CASE("schedule: what was missed is made up for once") {
  const double last = at("2026-11-21T00:00:00"), now = at("2026-11-21T10:30:00");
  Due due = schedule("60").look(last, now, utc(), {});
  CHECK(due.now);
  CHECK(due.next == now + 60);
  due = schedule("\"0 * * * *\"").look(last, now, utc(), {});
  CHECK(due.now);
  CHECK(due.next == now + 1800);
  due = schedule("\"0 * * * *\"").look(now, now, utc(), {});
  CHECK_FALSE(due.now);
  CHECK(due.next == now + 1800);
}

TEST_CASE("schedule: beat_cron_starting_deadline lets old crontabs go") {
  const double last = at("2026-11-20T12:00:00"), now = at("2026-11-21T10:30:00");
  const Schedule hourly = schedule("\"0 * * * *\"");
  CHECK(hourly.look(last, now, utc(), 1800).now);  // 10:00 is exactly that old
  const Due late = hourly.look(last, now, utc(), 1799);
  CHECK_FALSE(late.now);
  CHECK(late.next == now + 1800);
  CHECK(schedule("3600").look(last, now, utc(), 1).now);  // intervals have no deadline
}

TEST_CASE("schedule: relative intervals end at full units of the wall clock") {
  const Zone berlin = Zone::find("Europe/Berlin").value();
  const double last = at("2026-11-21T10:17:42");
  CHECK(schedule("90", true).next(last, utc()) == at("2026-11-21T10:19:00"));
  CHECK(schedule("7200", true).next(last, utc()) == at("2026-11-21T12:00:00"));
  CHECK(schedule("86400", true).next(last, berlin) == at("2026-11-21T23:00:00"));
  CHECK(schedule("30", true).next(last, utc()) == last + 30);
}

TEST_CASE("schedule: the sun") {
  const Schedule sunset = schedule(R"({"event": "sunset", "lat": 52.52, "lon": 13.405})");
  // Berlin, midsummer 2026: the almanac says 21:33 CEST.
  CHECK(std::abs(sunset.next(at("2026-06-21T12:00:00"), utc()) - at("2026-06-21T19:33:00")) < 120);
  // Tromso has no sunrise before the middle of January.
  const Schedule polar = schedule(R"({"event": "sunrise", "lat": 69.65, "lon": 18.96})");
  const double next = polar.next(at("2026-12-10T00:00:00"), utc());
  CHECK(next > at("2027-01-12T00:00:00"));
  CHECK(next < at("2027-01-18T00:00:00"));
  double when = at("2026-01-01T00:00:00");
  for (int day = 0; day < 400; ++day) {
    const double after = sunset.next(when, utc());
    REQUIRE(after - when > (day == 0 ? 0 : 80000));
    REQUIRE(after - when < 93000);
    when = after;
  }
}

TEST_CASE("entry: becomes Celery's message") {
  BeatEntrySettings from = nightly();
  from.args = "[1, \"x\"]";
  from.kwargs = "{\"a\": null}";
  from.options = R"({"queue": "reports", "priority": 3, "expires": 60, "headers": {"tenant": "t1"}})";
  const auto entry = BeatEntry::read("nightly", from, Settings{}, App{});
  REQUIRE(entry);
  const double now = at("2026-11-21T04:00:00");
  const Message message = entry->message(now);
  const auto headers = read_task(message, {"application/json"});
  REQUIRE(headers);
  CHECK(headers->task == "reports.nightly");
  CHECK(headers->root_id == headers->id);
  CHECK(headers->parent_id.empty());
  CHECK(headers->argsrepr == "(1, 'x')");
  CHECK(headers->expires == now + 60);
  CHECK(message.properties.routing_key == "reports");
  CHECK(message.properties.priority == 3);
  CHECK(message.properties.expiration == "60000");
  CHECK(parse_json(message.headers)->at("tenant") == "t1");
  CHECK(entry->message(now).properties.correlation_id != headers->id);
}

TEST_CASE("entry: its faults name it") {
  BeatEntrySettings entry = nightly();
  entry.task.clear();
  CHECK(entry_fault(entry) == "beat_schedule.nightly: names no task");
  entry = nightly();
  entry.schedule.clear();
  CHECK(entry_fault(entry) == "beat_schedule.nightly: has no schedule");
  entry = nightly();
  entry.args = "{}";
  CHECK(entry_fault(entry) == "beat_schedule.nightly: args: expects a list");
  for (const auto& [options, part] : {std::pair{R"({"queu": "x"})", "did you mean queue"},
                                      {R"({"priority": 999})", "0 to 255"},
                                      {R"({"expires": -1})", "seconds, 0 or more"},
                                      {R"({"expires": "soon"})", "options.expires"},
                                      {R"({"serializer": "pickle"})", "only json"},
                                      {R"({"exchange": "x"})", "default exchange"},
                                      {R"({"time_limit": 1, "soft_time_limit": 2})", "soft_time_limit"}}) {
    entry = nightly();
    entry.options = options;
    CHECK_MESSAGE(entry_fault(entry).find(part) != std::string::npos, entry_fault(entry));
  }
}
