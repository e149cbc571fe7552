#include "config/load.hpp"
#include "tests/config/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <filesystem>

using namespace celeriac;

namespace {

struct Files {
  TemporaryFolder folder;
  SettingSources sources;

  explicit Files(const std::string& toml) { sources.file = folder.write("c.toml", toml); }
  LoadedSettings load() {
    auto loaded = load_settings(sources);
    if (!loaded) FAIL(loaded.error().what);
    return *loaded;
  }
  // The error without the folder's name.
  std::string error() {
    auto loaded = load_settings(sources);
    if (loaded) return "";
    auto text = loaded.error().what;
    auto at = text.find(folder.path() + "/");
    return at == std::string::npos ? text : text.erase(at, folder.path().size() + 1);
  }
};

}  // namespace

TEST_CASE("a later source wins: defaults, file, environment, command line") {
  Files files("worker_concurrency = 2\ntask_acks_late = true\n");
  CHECK(files.load().settings.worker_concurrency == 2);
  CHECK(files.load().settings.task_acks_late);
  CHECK(files.load().settings.task_default_queue == "celery");
  files.sources.environment["CELERY_WORKER_CONCURRENCY"] = "3";
  CHECK(files.load().settings.worker_concurrency == 3);
  files.sources.command_line.push_back({"worker_concurrency", "4", "--concurrency"});
  CHECK(files.load().settings.worker_concurrency == 4);
  CHECK(files.load().settings.task_acks_late);
}

TEST_CASE("a TOML file may hold every kind of value") {
  Files files(R"(
broker_url = "redis://h/1"
accept_content = ["json", "yaml"]
task_time_limit = 30
task_soft_time_limit = 2.5

[broker_transport_options]
visibility_timeout = 60

[task_routes]
"billing.*" = "billing"
)");
  auto settings = files.load().settings;
  CHECK(settings.broker_url == "redis://h/1");
  CHECK(settings.accept_content == std::vector<std::string>{"json", "yaml"});
  CHECK(settings.task_time_limit == 30);
  CHECK(settings.task_soft_time_limit == 2.5);
  CHECK(settings.broker_transport_options.visibility_timeout == 60);
  CHECK(settings.task_routes.at("billing.*") == "billing");
}

TEST_CASE("errors of a file name its line, the key, and the nearest known key") {
  struct Case {
    const char *toml, *error;
  };
  for (const Case& c : {
           Case{"\nworker_concurency = 2",
                "c.toml:2: worker_concurency: no such setting; did you mean worker_concurrency?"},
           Case{"worker_concurrency = \"2\"",
                "c.toml:1: worker_concurrency: expects a whole number, 0 or more, not \"2\""},
           Case{"[broker_transport_options]\n\nlease = true",
                "c.toml:3: broker_transport_options.lease: expects seconds, 0 or more, not true"},
           Case{"[broker_transport_options]\nleese = 1",
                "c.toml:2: broker_transport_options.leese: no such setting; did you mean lease?"},
           Case{"zzzzzzzz = 1", "c.toml:1: zzzzzzzz: no such setting"},
           Case{"timezone = 2020-01-01", "c.toml:1: timezone: dates and times have no meaning here"},
       }) {
    Files files(c.toml);
    CHECK(files.error() == c.error);
  }
  Files broken("a = [1,\n");
  CHECK(broken.error().rfind("c.toml:", 0) == 0);
  Files none("");
  none.sources.file = none.folder.path() + "/absent.toml";
  CHECK(none.error() == "settings file absent.toml: no such file");
}

TEST_CASE("errors of the other sources name them") {
  Files files("");
  files.sources.environment["CELERY_TASK_ACKS_LATE"] = "perhaps";
  CHECK(files.error() ==
        "environment variable CELERY_TASK_ACKS_LATE: task_acks_late: expects true or false, not \"perhaps\"");
  files.sources.environment.clear();
  files.sources.command_line.push_back({"worker_pool", "gevent", "--pool"});
  CHECK(files.error() == "--pool: worker_pool: expects one of prefork, threads, solo, async, not \"gevent\"");
  files.sources.command_line = {{"worker_pol", "solo", "argument worker_pol"}};
  CHECK(files.error() == "argument worker_pol: worker_pol: no such setting; did you mean worker_pool?");
}

TEST_CASE("the environment: Celery's second names, empty variables, mistyped ones") {
  Files files("broker_url = \"redis://file/0\"");
  auto& environment = files.sources.environment;
  environment["CELERY_BROKER_URL"] = "";
  CHECK(files.load().settings.broker_url == "redis://file/0");
  environment.erase("CELERY_BROKER_URL");
  environment["BROKER_URL"] = "redis://second/0";
  CHECK(files.load().settings.broker_url == "redis://second/0");
  environment["CELERY_BROKER_URL"] = "redis://first/0";
  CHECK(files.load().settings.broker_url == "redis://first/0");
  environment["CELERY_WORKER_CONCURENCY"] = "3";
  environment["CELERY_APP"] = "proj";
  environment["CELERY_WORKER_LOGLEVEL"] = "INFO";
  auto warnings = files.load().warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(
      warnings[0] ==
      "environment variable CELERY_WORKER_CONCURENCY is no setting; did you mean CELERY_WORKER_CONCURRENCY?");
}

TEST_CASE("a setting of Celery without effect is a warning with its place") {
  Files files("\ntask_always_eager = true");
  auto warnings = files.load().warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("c.toml:2: setting 'task_always_eager' has no effect") != std::string::npos);
}

TEST_CASE("where the file comes from") {
  TemporaryFolder folder;
  auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  SettingSources sources;
  CHECK(load_settings(sources)->file.empty());
  folder.write("celeriac.toml", "worker_concurrency = 1");
  CHECK(load_settings(sources)->file == "celeriac.toml");
  folder.write("other.toml", "worker_concurrency = 2");
  sources.environment["CELERIAC_CONFIG"] = "other.toml";
  CHECK(load_settings(sources)->settings.worker_concurrency == 2);
  folder.write("third.toml", "worker_concurrency = 3");
  sources.file = "third.toml";
  CHECK(load_settings(sources)->settings.worker_concurrency == 3);
  std::filesystem::current_path(before);
}

TEST_CASE("assignments in Celery's spellings") {
  CHECK(read_assignment("worker_concurrency=3")->name == "worker_concurrency");
  CHECK(read_assignment("worker.concurrency=3")->name == "worker_concurrency");
  CHECK(read_assignment("_concurrency=3")->name == "worker_concurrency");
  CHECK(read_assignment("Broker.URL=redis://h/0?a=b")->text == "redis://h/0?a=b");
  CHECK_FALSE(read_assignment("proj"));
  CHECK_FALSE(read_assignment("=1"));
}
