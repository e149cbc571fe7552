// Every command against a node without servers: what it replies, and what it does.
#include "control_fixture.hpp"

#include <csignal>

using namespace celeriac;
using namespace celeriac::control_test;

TEST_CASE("commands that only look reply in Celery's shapes") {
  Node node;
  CHECK(dump_json(node.ask("ping")) == "{\"ok\": \"pong\"}");
  node.clock.adjust(4);
  CHECK(dump_json(node.ask("clock")) == "{\"clock\": 5}");
  CHECK(dump_json(node.ask("registered")) == "[\"t.add\", \"t.slow [rate_limit=10/m]\"]");
  CHECK(node.ask("dump_tasks", {{"taskinfoitems", {"max_retries"}}})[1] == "t.slow [max_retries=5]");
  const Json queues = node.ask("active_queues");
  REQUIRE(queues.size() == 1);
  CHECK(queues[0]["name"] == "celery");
  CHECK(queues[0]["exchange"]["type"] == "direct");
  for (const char* key : {"exclusive", "durable", "routing_key", "no_ack", "alias", "queue_arguments",
                          "binding_arguments", "auto_delete"}) {
    CHECK(queues[0].contains(key));
  }
  const Json stats = node.ask("stats");
  CHECK(stats["total"].is_object());
  CHECK(stats["clock"] == "5");
  CHECK(stats["broker"]["transport"] == "redis");
  CHECK(stats["pool"]["processes"] == Json({100, 101}));
  CHECK(stats["pool"]["max-concurrency"] == 2);
  CHECK(stats["prefetch_count"] == 8);
  CHECK(stats["rusage"].contains("maxrss"));
  CHECK(node.ask("report")["ok"].get<std::string>().find("software -> celeriac") != std::string::npos);
  CHECK(node.ask("memdump").get<std::string>().find("no samples") != std::string::npos);
  CHECK(node.ask("memsample").get<std::string>().find("MB") != std::string::npos);
  CHECK(node.ask("memdump", {{"samples", "3"}}).get<std::string>().find("- rss (end)") != std::string::npos);
  CHECK(node.ask("objgraph")["error"] == "ImportError('Requires the objgraph library')");
}

TEST_CASE("settings are shown without their secrets") {
  Node node;
  node.settings.broker_url = "redis://user:geheim@host:7/1";
  node.settings.result_backend = "redis://:geheim@host/2,db+postgresql://u:geheim@pg/x";
  node.settings.database_url = "postgresql://u:geheim@pg/invoices";
  node.settings.broker_transport_options.global_keyprefix = "geheim";
  node.settings.storage_root = "s3+https://id:geheim@store/bucket";
  node.settings.export_endpoints = {{"erp", "https://:geheim@erp/invoices"}};
  node.settings.email_accounts = {
      {"g", "gmail://ap@x.example?client_id=1&client_secret=geheim&refresh_token=geheim"},
      {"i", "imaps://ap:geheim@mail/INBOX"}};
  node.settings.ledger_url = "postgresql://u:geheim@pg/runs";
  node.settings.email_quota_url = "redis://:geheim@host/3";
  const Json conf = node.ask("conf");
  CHECK(dump_json(conf).find("geheim") == std::string::npos);
  CHECK(conf["broker_url"] == "redis://user:********@host:7/1");
  CHECK(conf["database_url"] == "********");
  CHECK_FALSE(conf.contains("task_acks_late"));
  CHECK(conf["accept_content"] == Json::array({"json"}));
  CHECK(conf.contains("deprecated_settings"));
  CHECK(node.ask("conf", {{"with_defaults", true}}).contains("task_acks_late"));
  CHECK(dump_json(node.ask("report")).find("geheim") == std::string::npos);
}

TEST_CASE("tasks are shown where they are: reserved, active, gone") {
  Node node;
  node.deliver("a");
  node.deliver("b");
  node.begin(0);
  const Json active = node.ask("active");
  REQUIRE(active.size() == 1);
  CHECK(dump_json(active[0]) ==
        "{\"id\": \"a\", \"name\": \"t.add\", \"args\": [1, 2], \"kwargs\": {}, \"type\": \"t.add\", "
        "\"hostname\": \"w1@host\", \"time_start\": 1795172805.5, \"acknowledged\": true, \"delivery_info\": "
        "{\"exchange\": \"\", \"routing_key\": \"celery\", \"priority\": 0, \"redelivered\": false}, "
        "\"worker_pid\": 100}");
  CHECK(node.ask("active", {{"safe", true}})[0]["args"] == "(1, 2)");
  const Json reserved = node.ask("reserved");
  REQUIRE(reserved.size() == 1);
  CHECK(reserved[0]["id"] == "b");
  CHECK(reserved[0]["time_start"].is_null());
  const Json asked = node.ask("query_task", {{"ids", {"a", "b", "c"}}});
  CHECK(asked["a"][0] == "active");
  CHECK(asked["b"][0] == "reserved");
  CHECK(asked.size() == 2);
  CHECK(node.ask("query_task", {{"ids", "a"}}).size() == 1);
  node.finish(0, Returned{});
  CHECK(node.ask("active").empty());
  CHECK(node.ask("stats")["total"] == Json{{"t.add", 1}});
}

TEST_CASE("tasks that wait for their ETA are scheduled, not reserved") {
  Node node;
  node.deliver("later", "t.add", [](TaskHeaders& h) {
    h.eta = 1e10;
    h.eta_text = "2286-11-20T17:46:40+00:00";
  });
  REQUIRE(node.broker.deferred.size() == 1);
  const Json scheduled = node.ask("scheduled");
  REQUIRE(scheduled.size() == 1);
  CHECK(scheduled[0]["eta"] == "2286-11-20T17:46:40+00:00");
  CHECK(scheduled[0]["priority"] == 6);
  CHECK(scheduled[0]["request"]["id"] == "later");
  CHECK(scheduled[0]["request"]["args"] == Json({1, 2}));
  CHECK(node.ask("reserved").empty());
  CHECK(node.ask("stats")["prefetch_count"] == 9);
}

TEST_CASE("a revoked task does not run, and its result says so at once") {
  Node node(true);
  node.deliver("a");
  node.deliver("b");
  CHECK(node.pool.jobs.size() == 2);
  CHECK(node.ask("revoke", {{"task_id", "b"}})["ok"] == "tasks {'b'} flagged as revoked");
  CHECK(node.pool.jobs.size() == 1);  // taken back from the pool
  CHECK(node.broker.acked == std::vector<Tag>{2});
  REQUIRE(node.rows.size() == 2);
  CHECK(node.rows[0].status == "REVOKED");
  CHECK(node.rows[0].task_id == "b");
  CHECK(node.told() == std::vector<std::string>{"task-received a", "task-received b", "task-revoked b"});
  CHECK(dump_json(node.ask("revoked")) == "[\"b\"]");
  CHECK(node.ask("revoke", {{"task_id", {"c", "d", "c"}}})["ok"] == "tasks {'c', 'd'} flagged as revoked");
  node.deliver("c");
  CHECK(node.pool.jobs.size() == 1);
  CHECK(node.ask("revoke", {{"task_id", Json::array()}})["ok"] == "tasks set() flagged as revoked");
}

TEST_CASE("a revoked task that waits for a slot or a token does not wait for its turn") {
  Node node(true);
  for (const char* id : {"a", "b", "c", "d"}) node.deliver(id);
  node.begin(0);
  node.begin(1);
  CHECK(node.pool.jobs.size() == 2);
  node.deliver("e", "t.slow");
  node.deliver("f", "t.slow");
  node.ask("revoke", {{"task_id", {"c", "e", "f"}}});
  CHECK(node.broker.acked == std::vector<Tag>{1, 2, 3, 5, 6});
  node.finish(0, Returned{});
  CHECK(node.pool.jobs.back().headers->id == "d");
  CHECK(node.consumer->requests().size() == 2);
}

TEST_CASE("terminate ends what runs") {
  Node node(true);
  node.deliver("a");
  node.begin(0);
  CHECK(node.ask("revoke", {{"task_id", "a"}, {"terminate", true}, {"signal", "KILL"}})["ok"] ==
        "terminate: a");
  CHECK(node.pool.terminated.at(node.pool.jobs[0].id) == SIGKILL);
  Lost lost;
  lost.terminated = true;
  lost.signal = SIGKILL;
  node.finish(0, lost);
  CHECK(node.told().back() == "task-revoked a");
  CHECK(node.rows.back().status == "REVOKED");
  CHECK(node.ask("terminate", {{"signal", "SIGTERM"}, {"task_id", {"zz"}}})["ok"] ==
        "terminate: tasks unknown");
  CHECK(node.ask("terminate", {{"signal", "SIGNONE"}, {"task_id", "a"}})["error"] ==
        "ValueError('no such signal: SIGNONE')");
}

TEST_CASE("stamps revoke as ids do") {
  Node node;
  const auto stamped = [](TaskHeaders& h) {
    h.stamps = "{\"order\": [\"17\", \"18\"]}";
    h.stamped_headers = "[\"order\"]";
  };
  node.deliver("a", "t.add", stamped);
  node.begin(0);
  CHECK(node.ask("revoke_by_stamped_headers", {{"headers", {{"order", "99"}}}, {"terminate", true}})["ok"] ==
        "headers {'order': '99'} were not terminated");
  CHECK(
      node.ask("revoke_by_stamped_headers", {{"headers", {{"order", {"18"}}}}, {"terminate", true}})["ok"] ==
      "headers {'order': ['18']} revoked");
  CHECK(node.pool.terminated.size() == 1);
  CHECK(node.ask("revoke_by_stamped_headers", {{"headers", {"run=r1"}}})["ok"] ==
        "headers {'run': 'r1'} flagged as revoked, but not terminated");
  node.deliver("b", "t.add", stamped);
  node.deliver("c", "t.add", [](TaskHeaders& h) { h.stamps = "{\"run\": \"r1\"}"; });
  node.deliver("d");
  CHECK(node.pool.jobs.size() == 2);
  CHECK(node.pool.jobs.back().headers->id == "d");
}

TEST_CASE("limits change while the node runs") {
  Node node;
  CHECK(node.ask("rate_limit", {{"task_name", "t.add"}, {"rate_limit", "1/h"}})["ok"] ==
        "new rate limit set successfully");
  node.deliver("a");
  node.deliver("b");
  CHECK(node.pool.jobs.size() == 1);
  CHECK(node.ask("rate_limit", {{"task_name", "t.add"}, {"rate_limit", ""}})["ok"] ==
        "rate limit disabled successfully");
  CHECK(node.pool.jobs.size() == 2);
  CHECK(node.ask("rate_limit", {{"task_name", "nope"}, {"rate_limit", 5}})["error"] == "unknown task");
  CHECK(node.ask("rate_limit", {{"task_name", "t.add"}, {"rate_limit", "5/x"}})["error"]
            .get<std::string>()
            .rfind("Invalid rate limit string: ValueError(", 0) == 0);

  CHECK(node.ask("time_limit", {{"task_name", "t.slow"}, {"soft", 1.5}, {"hard", 3}})["ok"] ==
        "time limits set successfully");
  CHECK(node.ask("time_limit", {{"task_name", "nope"}})["error"] == "unknown task");
  CHECK(node.ask("rate_limit", {{"task_name", "t.slow"}, {"rate_limit", "0"}})["ok"] ==
        "new rate limit set successfully");
  node.begin(0);
  node.finish(0, Returned{});
  node.deliver("c", "t.slow");
  CHECK(node.pool.jobs.back().soft_limit == 1.5);
  CHECK(node.pool.jobs.back().hard_limit == 3);
}

TEST_CASE("queues, slots and events change while the node runs") {
  Node node;
  CHECK(node.ask("add_consumer", {{"queue", "q2"}, {"exchange", nullptr}})["ok"] == "add consumer q2");
  CHECK(node.broker.consumed == std::vector<std::string>{"celery", "q2"});
  CHECK(node.ask("active_queues").size() == 2);
  CHECK(node.ask("cancel_consumer", {{"queue", "celery"}})["ok"] == "no longer consuming from celery");
  CHECK(node.broker.consumed == std::vector<std::string>{"q2"});

  CHECK(node.ask("pool_grow", {{"n", 1}})["ok"] == "pool will grow");
  CHECK(node.pool.slot_count == 3);
  CHECK(node.broker.window == 12);
  CHECK(node.ask("pool_shrink")["ok"] == "pool will shrink");
  CHECK(node.broker.window == 8);
  CHECK(node.ask("pool_grow", {{"n", -1}}).contains("error"));
  CHECK(node.ask("autoscale", {{"max", 3}})["error"] == "ValueError('Autoscale not enabled')");
  CHECK(node.ask("pool_restart")["error"] == "ValueError('Pool restarts not enabled')");

  CHECK(node.ask("enable_events")["ok"] == "task events enabled");
  CHECK(node.ask("enable_events")["ok"] == "task events already enabled");
  CHECK(node.ask("disable_events")["ok"] == "task events disabled");
  CHECK(node.ask("disable_events")["ok"] == "task events already disabled");
  CHECK(node.ask("heartbeat").is_null());
  CHECK(node.heartbeats == 1);
  CHECK(node.ask("election", {{"id", "1"}, {"topic", "task"}, {"action", nullptr}}).is_null());
  CHECK_FALSE(run_control_command(*node.panel, "shutdown", Json::object()));
  CHECK(node.shutdowns == 1);
}

TEST_CASE("with autoscale the bounds are changed, not the slots") {
  Node node(false, Autoscaler(4, 1, 30));
  CHECK(node.ask("pool_grow")["error"] ==
        "pool_grow is not supported with autoscale. Adjust autoscale range instead.");
  CHECK(node.ask("stats")["autoscaler"] == Json{{"max", 4}, {"min", 1}, {"current", 2}, {"qty", 0}});
  CHECK(node.ask("autoscale", {{"max", 6}, {"min", 3}})["ok"] == "autoscale now max=6 min=3");
  CHECK(node.pool.slot_count == 3);
  CHECK(node.broker.window == 24);
  CHECK(node.ask("autoscale", {{"max", 2}, {"min", 1}})["ok"] == "autoscale now max=2 min=1");
  CHECK(node.pool.slot_count == 2);
  CHECK(node.ask("autoscale", {{"max", 1}, {"min", 2}}).contains("error"));
  CHECK(node.ask("autoscale", {{"max", 0}, {"min", 0}}).contains("error"));
}

TEST_CASE("nodes tell each other what is revoked") {
  Node node;
  node.ask("revoke", {{"task_id", "mine"}});
  const Json answer =
      node.ask("hello", {{"from_node", "w2@host"}, {"revoked", {{"theirs", {12.5, "theirs"}}}}});
  CHECK(answer["revoked"]["mine"][0].is_number_float());
  CHECK(answer["revoked"]["mine"][1] == "mine");
  CHECK(answer["clock"].is_number());
  CHECK(node.consumer->revoked().contains("theirs", unix_now()));
  CHECK(node.ask("hello", {{"from_node", "w1@host"}}).is_null());
}

TEST_CASE("what cannot be done is answered in Python's words") {
  Node node;
  CHECK(node.ask("nosuch")["error"] == "KeyError('nosuch')");
  CHECK(node.ask("revoke")["error"] ==
        "TypeError(\"revoke() missing 1 required positional argument: 'task_id'\")");
  CHECK(node.ask("rate_limit")["error"] ==
        "TypeError(\"rate_limit() missing 2 required positional arguments: 'task_name' and 'rate_limit'\")");
  CHECK(node.ask("enable_events", {{"x", 1}})["error"] ==
        "TypeError(\"enable_events() got an unexpected keyword argument 'x'\")");
  CHECK(node.ask("ping", Json::array({1})).contains("error"));
}

TEST_CASE("a run is told from beginning to end, in order") {
  Node node(true);
  node.deliver("a");
  node.begin(0);
  node.finish(0, Returned{"3", "", "[]"});
  node.deliver("x", "t.unknown");
  CHECK(node.told() ==
        std::vector<std::string>{"task-received a", "task-started a", "task-succeeded a", "task-failed x"});
  Node quiet;
  quiet.deliver("a");
  quiet.begin(0);
  quiet.finish(0, Returned{"3", "", "[]"});
  CHECK(quiet.told().empty());
}
