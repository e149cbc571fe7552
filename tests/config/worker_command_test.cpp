#include "config/worker_command.hpp"

#include <doctest/doctest.h>
#include <cstdlib>

using namespace celeriac;

namespace {

tl::expected<WorkerCommand, CommandLineExit> parse(std::vector<std::string> words) {
  words.insert(words.begin(), "celeriac");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return parse_worker_command(static_cast<int>(words.size()), argv.data());
}

std::string error_of(std::vector<std::string> words) {
  auto parsed = parse(std::move(words));
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == 2);
  CHECK(parsed.error().to_stderr);
  return parsed.error().text;
}

}  // namespace

TEST_CASE("Celery's options in Celery's spellings") {
  auto parsed = parse({"-b",
                       "redis://h/1",
                       "--result-backend=redis://h/2",
                       "-q",
                       "-C",
                       "-n",
                       "w1@%h",
                       "-Q",
                       "a,b",
                       "--queues=c",
                       "-X",
                       "b",
                       "-linfo",
                       "-f",
                       "w.log",
                       "--pidfile",
                       "w.pid",
                       "-Ofair",
                       "-c4",
                       "-P",
                       "threads",
                       "-E",
                       "--prefetch-multiplier",
                       "2",
                       "--disable-prefetch",
                       "--time-limit",
                       "10",
                       "--soft-time-limit=2.5",
                       "--max-tasks-per-child",
                       "7",
                       "--max-memory-per-child",
                       "1000",
                       "--purge",
                       "--without-gossip",
                       "--without-mingle",
                       "--without-heartbeat",
                       "--heartbeat-interval",
                       "5",
                       "--autoscale",
                       "10,3",
                       "-S",
                       "state.db",
                       "--task-memory-limit",
                       "2000",
                       "task_default_queue=q",
                       "worker.log_json=true"});
  if (!parsed) FAIL(parsed.error().text);
  const auto& s = parsed->settings;
  const auto& o = parsed->options;
  CHECK(s.broker_url == "redis://h/1");
  CHECK(s.result_backend == "redis://h/2");
  CHECK(o.quiet);
  CHECK(o.no_color);
  CHECK(o.hostname == "w1@%h");
  CHECK(o.queues == std::vector<std::string>{"a", "b", "c"});
  CHECK(o.exclude_queues == std::vector<std::string>{"b"});
  CHECK(o.loglevel == "INFO");
  CHECK(o.logfile == "w.log");
  CHECK(o.pidfile == "w.pid");
  CHECK(o.optimization == "fair");
  CHECK(s.worker_concurrency == 4);
  CHECK(s.worker_pool == "threads");
  CHECK(s.worker_send_task_events);
  CHECK(s.worker_prefetch_multiplier == 2);
  CHECK(s.worker_prefetch_multiplier_set);
  CHECK(s.worker_disable_prefetch);
  CHECK(s.task_time_limit == 10);
  CHECK(s.task_soft_time_limit == 2.5);
  CHECK(s.worker_max_tasks_per_child == 7);
  CHECK(s.worker_max_memory_per_child == 1000);
  CHECK(s.worker_task_memory_limit == 2000);
  CHECK(o.purge);
  CHECK(o.without_gossip);
  CHECK(o.without_mingle);
  CHECK(o.without_heartbeat);
  CHECK(o.heartbeat_interval == 5);
  CHECK(o.autoscale_max == 10);
  CHECK(o.autoscale_min == 3);
  CHECK(s.worker_state_db == "state.db");
  CHECK(s.task_default_queue == "q");
  CHECK(s.worker_log_json);
  CHECK(parsed->warnings.empty());
}

TEST_CASE("defaults are Celery's") {
  auto parsed = parse({});
  REQUIRE(parsed);
  CHECK(parsed->options.hostname == "celery@%h");
  CHECK(parsed->options.loglevel == "WARNING");
  CHECK(parsed->options.queues.empty());
  CHECK(parsed->settings.worker_pool == "prefork");
  CHECK_FALSE(parsed->settings.worker_prefetch_multiplier_set);
}

TEST_CASE("variables stand for options, and options win") {
  setenv("CELERY_WORKER_LOGLEVEL", "debug", 1);
  setenv("CELERY_WORKER_QUEUES", "x,y", 1);
  setenv("CELERY_WORKER_TIME_LIMIT", "9", 1);
  auto parsed = parse({"--time-limit", "8"});
  unsetenv("CELERY_WORKER_LOGLEVEL");
  unsetenv("CELERY_WORKER_QUEUES");
  unsetenv("CELERY_WORKER_TIME_LIMIT");
  if (!parsed) FAIL(parsed.error().text);
  CHECK(parsed->options.loglevel == "DEBUG");
  CHECK(parsed->options.queues == std::vector<std::string>{"x", "y"});
  CHECK(parsed->settings.task_time_limit == 8);
}

TEST_CASE("mistakes are explained") {
  auto says = [](std::vector<std::string> words, const char* part) {
    auto text = error_of(words);
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  says({"--concurency", "3"}, "no such option: --concurency; did you mean --concurrency?");
  says({"-c", "many"}, "--concurrency: worker_concurrency: expects a whole number, 0 or more, not \"many\"");
  says({"-c"}, "concurrency");
  says({"-l", "LOUD"}, "LOUD");
  says({"-P", "gevent"}, "prefork, threads, solo");
  says({"--autoscale", "0,0"}, "MAX,MIN");
  says({"--autoscale", "3,x"}, "MAX,MIN");
  says({"proj"}, "name=value");
  says({"task_acks_lat=1"}, "did you mean task_acks_late?");
  says({"-D"}, "foreground");
  says({"--uid", "1"}, "--uid is not supported");
  says({"--config", "/nonexistent/c.toml"}, "no such file");
}

TEST_CASE("--autoscale takes its bounds in either order") {
  for (const char* text : {"10,3", "3,10"}) {
    auto parsed = parse({"--autoscale", text});
    REQUIRE(parsed);
    CHECK(parsed->options.autoscale_max == 10);
    CHECK(parsed->options.autoscale_min == 3);
  }
  CHECK(parse({"--autoscale", "4"}).value().options.autoscale_min == 0);
}

TEST_CASE("-B and its schedule") {
  auto parsed = parse({"-B", "-s", "/var/lib/schedule"});
  REQUIRE(parsed);
  CHECK(parsed->options.beat);
  CHECK(parsed->settings.beat_schedule_filename == "/var/lib/schedule");
  CHECK_FALSE(parse({}).value().options.beat);
}

TEST_CASE("options that only mean something in Python are accepted with a warning") {
  auto parsed = parse({"-A", "proj", "-I", "proj.tasks"});
  REQUIRE(parsed);
  REQUIRE(parsed->warnings.size() == 2);
  CHECK(parsed->warnings[0].find("--app has no effect") != std::string::npos);
}

TEST_CASE("help and version are no errors") {
  auto help = parse({"--help"});
  REQUIRE_FALSE(help);
  CHECK(help.error().code == 0);
  CHECK_FALSE(help.error().to_stderr);
  CHECK(help.error().text.find("--prefetch-multiplier") != std::string::npos);
  auto version = parse({"--version"});
  REQUIRE_FALSE(version);
  CHECK(version.error().code == 0);
  CHECK(version.error().text.rfind("celeriac ", 0) == 0);
}
