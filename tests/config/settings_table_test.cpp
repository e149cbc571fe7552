#include "config/settings_table.hpp"

#include <doctest/doctest.h>
#include <set>

using namespace celeriac;

namespace {

// The fault's text, or "" when the value was taken.
std::string fault_of(const char* name, const char* json) {
  Settings settings;
  std::vector<std::string> warnings;
  auto done = assign_setting(settings, name, *parse_json(json), warnings);
  return done ? "" : done.error().text();
}

Settings with(const char* json) {
  Settings settings;
  auto applied = apply_json(settings, *parse_json(json));
  REQUIRE(applied);
  CHECK(applied->unknown.empty());
  return settings;
}

}  // namespace

TEST_CASE("the table names each setting once, and none of them is called unsupported") {
  std::set<std::string_view> names;
  for (const auto& info : settings_table()) {
    CAPTURE(info.name);
    CHECK(names.insert(info.name).second);
    CHECK(why_unsupported(info.name).empty());
    CHECK_FALSE(info.meaning.empty());
    CHECK(find_setting(info.name) == &info);
  }
  for (const auto& [name, why] : unsupported_settings()) CHECK(names.insert(name).second);
}

TEST_CASE("every default goes through its own reader unchanged") {
  for (const auto& info : settings_table()) {
    CAPTURE(info.name);
    Settings settings;
    std::vector<std::string> warnings;
    auto value = info.get(settings);
    if (info.name == "worker_redirect_stdouts_level") CHECK(value == "WARNING");
    auto done = assign_setting(settings, info.name, value, warnings);
    REQUIRE(done);
    CHECK(info.get(settings) == value);
    CHECK(warnings.empty());
    REQUIRE(assign_setting(settings, info.name, nullptr, warnings));  // Celery's None
  }
}

TEST_CASE("ill-typed values name the key, what is expected and what came") {
  CHECK(fault_of("worker_concurrency", "\"many\"") ==
        "worker_concurrency: expects a whole number, 0 or more, not \"many\"");
  CHECK(fault_of("worker_concurrency", "-1") != "");
  CHECK(fault_of("worker_concurrency", "1.5") != "");
  CHECK(fault_of("worker_concurrency", "99999999999") ==
        "worker_concurrency: expects a smaller whole number, not 99999999999");
  CHECK(fault_of("worker_concurrency", "18446744073709551615") != "");
  CHECK(fault_of("worker_concurrency", "true") != "");
  CHECK(fault_of("worker_concurrency", "4.0") == "");
  CHECK(fault_of("task_time_limit", "NaN") != "");
  CHECK(fault_of("task_time_limit", "\"5\"") == "task_time_limit: expects seconds, 0 or more, not \"5\"");
  CHECK(fault_of("task_acks_late", "1") == "task_acks_late: expects true or false, not 1");
  CHECK(fault_of("accept_content", "\"json\"") == "accept_content: expects a list of texts, not \"json\"");
  CHECK(fault_of("accept_content", "[1]") != "");
  CHECK(fault_of("worker_pool", "\"gevent\"") ==
        "worker_pool: expects one of prefork, threads, solo, async, not \"gevent\"");
  CHECK(fault_of("task_default_priority", "256") != "");
  CHECK(fault_of("broker_url", "7") != "");
  CHECK(fault_of("task_routes", "{\"a\": 1}") == "task_routes.a: expects a queue's name, not 1");
  CHECK(fault_of("database_table_names", "{\"task\": 1}") ==
        "database_table_names.task: expects text, not 1");
}

TEST_CASE("tables inside settings are checked member by member") {
  CHECK(fault_of("broker_transport_options", "{\"visibility_timeout\": \"1h\"}") ==
        "broker_transport_options.visibility_timeout: expects seconds, 0 or more, not \"1h\"");
  CHECK(fault_of("broker_transport_options", "{\"visibilty_timeout\": 1}") ==
        "broker_transport_options.visibilty_timeout: no such setting; did you mean visibility_timeout?");
  CHECK(fault_of("broker_transport_options", "{\"priority_steps\": [3, 0]}") != "");
  CHECK(fault_of("broker_transport_options", "{\"priority_steps\": []}") != "");
  CHECK(fault_of("broker_transport_options", "{\"queue_order_strategy\": \"random\"}") != "");
  CHECK(fault_of("broker_use_ssl", "{\"ssl_cert_reqs\": \"perhaps\"}") != "");
  auto settings =
      with(R"({"broker_transport_options": {"visibility_timeout": 5, "priority_steps": [0, 5], "sep": ":"},
                           "broker_use_ssl": {"ssl_cert_reqs": "CERT_NONE", "ca_certs": "/ca.pem"},
                           "redis_backend_use_ssl": true})");
  CHECK(settings.broker_transport_options.visibility_timeout == 5);
  CHECK(settings.broker_transport_options.priority_steps == std::vector<int>{0, 5});
  CHECK(settings.broker_transport_options.sep == ":");
  CHECK_FALSE(settings.broker_use_ssl.verify);
  CHECK(settings.broker_use_ssl.ca_certs == "/ca.pem");
}

TEST_CASE("Celery's spellings") {
  CHECK(with(R"({"broker_url": ["redis://a", "redis://b"]})").broker_url == "redis://a;redis://b");
  CHECK(with(R"({"result_backend": null})").result_backend.empty());
  CHECK(with(R"({"result_expires": null})").result_expires == 0);
  CHECK(with(R"({"broker_connection_max_retries": null})").broker_connection_max_retries == 0);
  CHECK(with(R"({"worker_concurrency": null})").worker_concurrency == 0);
  CHECK(with(R"({"task_time_limit": 2.5})").task_time_limit == 2.5);
  CHECK_FALSE(with(R"({"task_time_limit": null})").task_time_limit);
  auto routes = with(R"({"task_routes": {"a.*": {"queue": "q"}, "b": "r"}})").task_routes;
  CHECK(routes == std::map<std::string, std::string>{{"a.*", "q"}, {"b", "r"}});
  CHECK(with(R"({"task_routes": [["a.*", {"queue": "q"}]]})").task_routes.at("a.*") == "q");
}

TEST_CASE("a prefetch multiplier that is given is marked as given, even with its default value") {
  CHECK_FALSE(Settings{}.worker_prefetch_multiplier_set);
  CHECK(with(R"({"worker_prefetch_multiplier": 4})").worker_prefetch_multiplier_set);
  CHECK_FALSE(with(R"({"worker_prefetch_multiplier": null})").worker_prefetch_multiplier_set);
}

TEST_CASE("an object of settings: unknown keys are listed, unsupported ones warned of, bad ones an error") {
  Settings settings;
  auto applied =
      apply_json(settings, *parse_json(R"({"task_acks_late": true, "no_such": 1, "task_always_eager": true,
                                                      "broker_transport_options": {"max_connections": 3}})"));
  REQUIRE(applied);
  CHECK(settings.task_acks_late);
  CHECK(applied->unknown == std::vector<std::string>{"no_such"});
  REQUIRE(applied->warnings.size() == 2);
  CHECK(applied->warnings[0].find("task_always_eager") != std::string::npos);
  CHECK(applied->warnings[1] ==
        "broker_transport_options: transport option 'max_connections' has no effect here");
  CHECK_FALSE(apply_json(settings, *parse_json(R"({"task_acks_late": "yes"})")));
  CHECK_FALSE(apply_json(settings, *parse_json(R"({"broker_transport_options": {"nope": 1}})")));
  CHECK_FALSE(apply_json(settings, Json::array()));
}

TEST_CASE("text of variables and options") {
  auto read = [](const char* name, const char* text) {
    auto value = read_setting_text(*find_setting(name), text);
    return value ? dump_json(*value) : "! " + value.error().text();
  };
  CHECK(read("task_acks_late", "Yes") == "true");
  CHECK(read("task_acks_late", "0") == "false");
  CHECK(read("task_acks_late", "maybe").substr(0, 2) == "! ");
  CHECK(read("worker_concurrency", " 8 ") == "8");
  CHECK(read("worker_concurrency", "8x") ==
        "! worker_concurrency: expects a whole number, 0 or more, not \"8x\"");
  CHECK(read("task_time_limit", "0.5") == "0.5");
  CHECK(read("task_time_limit", "none") == "null");
  CHECK(read("accept_content", "json, yaml,") == "[\"json\", \"yaml\"]");
  CHECK(read("accept_content", "[\"json\"]") == "[\"json\"]");
  CHECK(read("accept_content", "[").substr(0, 2) == "! ");
  CHECK(read("broker_transport_options", "visibility_timeout=60,global_keyprefix=p:") ==
        "{\"visibility_timeout\": 60, \"global_keyprefix\": \"p:\"}");
  CHECK(read("broker_transport_options", "{\"lease\": 3}") == "{\"lease\": 3}");
  CHECK(read("broker_transport_options", "oops").substr(0, 2) == "! ");
  CHECK(read("broker_use_ssl", "true") == "true");
}

TEST_CASE("entries of beat_schedule") {
  Settings settings;
  std::vector<std::string> warnings;
  const auto assign = [&](const char* json) {
    return assign_setting(settings, "beat_schedule", parse_json(json).value(), warnings);
  };
  REQUIRE(assign(
      R"({"a": {"task": "t", "schedule": 30, "args": [1], "kwargs": {"x": 1}, "relative": true}, "b": {"task": "u"}})"));
  CHECK(settings.beat_schedule.size() == 2);
  CHECK(settings.beat_schedule.at("a").schedule == "30");
  CHECK(settings.beat_schedule.at("a").args == "[1]");
  CHECK(settings.beat_schedule.at("a").relative);
  CHECK(settings.beat_schedule.at("b").kwargs == "{}");
  const Json shown = find_setting("beat_schedule")->get(settings);
  CHECK(shown["a"]["kwargs"] == Json{{"x", 1}});
  CHECK(shown["b"]["schedule"].is_null());

  CHECK(assign(R"({"a": {"task": "t", "shedule": 30}})").error().text() ==
        "beat_schedule.a.shedule: no such setting; did you mean schedule?");
  CHECK(assign(R"({"a": 5})").error().text().find("beat_schedule.a: expects a table") == 0);
  CHECK(assign(R"({"a": {"task": 5}})").error().text().find("beat_schedule.a.task: expects text") == 0);
  CHECK(assign("[]").error().text().find("beat_schedule: expects a table of entries") == 0);
}

TEST_CASE("task_queues in both of Celery's forms") {
  Settings settings;
  std::vector<std::string> warnings;
  const auto assign = [&](const char* json) {
    return assign_setting(settings, "task_queues", parse_json(json).value(), warnings);
  };
  REQUIRE(assign(R"({"far": {"exchange": "media", "exchange_type": "topic", "routing_key": "media.#",
                             "queue_arguments": {"x-queue-type": "quorum", "x-expires": 1}, "expires": 2.5,
                             "max_priority": 10, "durable": true}, "near": null})"));
  REQUIRE(settings.task_queues.size() == 2);
  const QueueSettings& far = settings.task_queues.at("far");
  CHECK(far.exchange == "media");
  CHECK(far.exchange_type == "topic");
  CHECK(far.routing_key == "media.#");
  CHECK(*parse_json(far.queue_arguments) ==
        Json({{"x-queue-type", "quorum"}, {"x-expires", 2500}, {"x-max-priority", 10}}));
  CHECK(settings.task_queues.at("near").queue_arguments == "{}");
  CHECK(warnings == std::vector<std::string>{"task_queues: 'durable' of far has no effect here"});

  REQUIRE(assign(R"([{"name": "a", "binding_key": "k", "queue_arguments": null}, {"name": "b"}])"));
  CHECK(settings.task_queues.size() == 2);
  CHECK(settings.task_queues.at("a").routing_key == "k");

  CHECK(assign(R"({"a": {"exchnge": "x"}})").error().text() ==
        "task_queues.a.exchnge: no such setting; did you mean exchange?");
  CHECK(assign(R"({"a": {"exchange_type": "direkt"}})").error().text() ==
        "task_queues.a.exchange_type: expects direct, topic, fanout or headers, not \"direkt\"");
  CHECK(assign(R"({"a": {"queue_arguments": 5}})").error().text().find("task_queues.a.queue_arguments: ") ==
        0);
  CHECK(assign(R"({"a": 5})").error().text().find("task_queues.a: expects a table") == 0);
  CHECK(assign(R"(["a"])").error().text().find("task_queues: expects tables with 'name'") == 0);
  CHECK(assign(R"([{"name": "a"}, {"name": "a"}])").error().text().find("each queue once") !=
        std::string::npos);
  CHECK(assign("true").error().text().find("task_queues: expects a table of queues") == 0);
  CHECK(assign(R"([{"name": ""}])").error().text().find("a name of 1 to 255 bytes") != std::string::npos);
  CHECK(settings.task_queues.size() == 2);  // a fault changes nothing
}
