#include "worker/request.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

TEST_CASE("arguments are found in a body without reading it") {
  const auto texts = argument_texts(R"( [ [1, "a]\"[", {"k": [2]}] , {"x": "}"} , {"chain": null}])");
  REQUIRE(texts);
  CHECK(texts->args == R"([1, "a]\"[", {"k": [2]}])");
  CHECK(texts->kwargs == R"({"x": "}"})");
  CHECK(texts->embed == R"({"chain": null})");
  CHECK(argument_texts("[[],{}]")->embed.empty());
  CHECK(argument_texts("[[],{},{}]")->kwargs == "{}");
  for (const char* bad : {"", "[", "[[1,2", "[[1],", "[[1] {}]", "{}", "[1,{}]", "[[\"", "[[],[],{}]"}) {
    CAPTURE(bad);
    CHECK_FALSE(argument_texts(bad));
  }
}

TEST_CASE("settings fill what a task leaves open") {
  App::Task task{"t", {}, {}};
  Settings settings;
  settings.task_acks_late = true;
  settings.task_time_limit = 9;
  settings.task_default_rate_limit = "60/m";
  auto policy = resolve_policy(task, settings);
  REQUIRE(policy);
  CHECK(policy->acks_late);
  CHECK(policy->hard_limit == 9);
  CHECK(policy->rate == 1);

  task.options.acks_late = false;
  task.options.time_limit = 3;
  task.options.rate_limit = "0";
  policy = resolve_policy(task, settings);
  REQUIRE(policy);
  CHECK_FALSE(policy->acks_late);
  CHECK(policy->hard_limit == 3);
  CHECK(policy->rate == 0);

  task.options.rate_limit = "often";
  CHECK_FALSE(resolve_policy(task, settings));
}

TEST_CASE("the message's own words come before the task's") {
  TaskPolicy policy;
  policy.ignore_result = true;
  policy.hard_limit = 10;
  TaskHeaders headers;
  headers.ignore_result = false;
  headers.time_limit = 2;
  const Request request = make_request(1, Delivery{}, std::move(headers), policy);
  CHECK_FALSE(request.ignore_result);
  CHECK(request.hard_limit == 2);
  CHECK(request.soft_limit == 0);
}

TEST_CASE("an extended row carries name and arguments") {
  TaskPolicy policy;
  Delivery delivery;
  delivery.queue = "q";
  delivery.message.body = "[[1, 2], {\"z\": 3}, null]";
  TaskHeaders headers;
  headers.id = "id1";
  headers.task = "t.add";
  headers.group = "g";
  const Request request = make_request(1, std::move(delivery), std::move(headers), policy);
  const TaskResult row = result_row(request, true, "w@h", {"application/json"});
  CHECK(row.name == "t.add");
  CHECK(row.args == "[1, 2]");
  CHECK(row.kwargs == "{\"z\": 3}");
  CHECK(row.queue == "q");
  CHECK(row.worker == "w@h");
  const TaskResult plain = result_row(request, false, "w@h", {});
  CHECK(plain.group_id == "g");
  CHECK(plain.name.empty());
}
