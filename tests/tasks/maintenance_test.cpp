// What beat calls, and the outbox behind it.
#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/outbox.hpp"
#include "tests/tasks/process_fixture.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace celeriac;
using testing::InvoiceStage;

namespace {

struct Desk {
  InvoiceStage stage;
  Database database{stage.config.database_url};
  std::unique_ptr<Storage> storage = make_storage(stage.config.storage_root);

  Json relay(const std::string& worker = "w") {
    return stage.in_context(worker, [&](Context& context) { return relay_outbox(context, database, 100); });
  }
  std::string add(const std::string& key) {
    return database.transaction([&] {
      return add_effect(database, {key, "task", "export.run_job", {{"args", {"x"}}, {"queue", "export"}}});
    });
  }
};

}  // namespace

TEST_CASE("an effect is known by its key, sent once, and its id is the task's") {
  Desk desk;
  const auto id = desk.add("k");
  CHECK(desk.add("k") == id);
  CHECK(desk.relay() == Json{{"sent", 1}, {"failed", 0}, {"waiting", 0}});
  CHECK(desk.relay().at("sent") == 0);
  REQUIRE(desk.stage.port.sent().size() == 1);
  CHECK(desk.stage.port.sent()[0].task_id == id);
  CHECK(desk.stage.port.sent()[0].outgoing.queue == "export");
}

TEST_CASE("an effect decided in a transaction that fails never happens") {
  Desk desk;
  CHECK_THROWS(desk.database.transaction([&] {
    add_effect(desk.database, {"k", "task", "t", Json::object()});
    throw std::runtime_error("no");
  }));
  CHECK(desk.relay().at("sent") == 0);
}

TEST_CASE("a claim that its process took to the grave is due again after its lease") {
  Desk desk;
  const auto id = desk.add("k");
  REQUIRE(claim_effect(desk.database, "killed", id, 60).has_value());
  CHECK(desk.relay().at("waiting") == 1);  // leased
  desk.stage.sql("UPDATE outbox SET available_at = now()");
  CHECK(desk.relay().at("sent") == 1);
  CHECK(desk.stage.sql("SELECT attempts || ' ' || state FROM outbox") == "2 sent");
}

TEST_CASE("a broker that is away costs time and no effect; a hopeless effect ends as failed") {
  Desk desk;
  desk.add("k");
  desk.stage.port.on_send = [](const SendRequest&) { return std::string("away"); };
  CHECK(desk.relay().at("failed") == 1);
  CHECK(desk.stage.sql("SELECT state || ' ' || last_error FROM outbox").starts_with("waiting "));
  CHECK(desk.stage.sql("SELECT available_at > now() FROM outbox") == "t");
  desk.stage.sql("UPDATE outbox SET attempts = max_attempts - 1, available_at = now()");
  desk.relay();
  CHECK(desk.stage.sql("SELECT state FROM outbox WHERE effect_key = 'k'") == "failed");
}

TEST_CASE("a mail is left to those who know a mail server") {
  Desk desk;
  add_effect(desk.database, {"m", "mail", "a@b.example", Json::object()});
  CHECK(desk.relay().at("waiting") == 1);
  CHECK(desk.stage.sql("SELECT state || attempts FROM outbox") == "waiting0");
  CHECK(claim_mails(desk.database, "w", 10, 60).size() == 1);
}

TEST_CASE("what was accepted over HTTP is left to the front ends") {
  Desk desk;
  desk.database.run(
      "INSERT INTO outbox (id, effect_key, kind, target, payload) VALUES (gen_random_uuid(), 'http:x', "
      "'http', "
      "'t', '{\"args\": \"[]\"}')");
  CHECK(desk.relay().at("sent") == 0);
  CHECK(desk.stage.sql("SELECT attempts || ' ' || state FROM outbox") == "0 waiting");
}

TEST_CASE("several relays at once send each effect once") {
  Desk desk;
  for (int i = 0; i < 60; ++i) desk.add("k" + std::to_string(i));
  std::vector<std::thread> relays;
  for (int i = 0; i < 4; ++i) {
    relays.emplace_back([&] {
      Database database(desk.stage.config.database_url);
      desk.stage.in_context("w", [&](Context& context) { return relay_outbox(context, database, 100); });
    });
  }
  for (auto& relay : relays) relay.join();
  CHECK(desk.stage.port.sent().size() == 60);
}

TEST_CASE("jobs whose process vanished are failed, by maintenance or by the next document") {
  Desk desk;
  const std::string lost =
      "INSERT INTO processing_jobs (id, task_id, status, attempts, started_at, updated_at) VALUES"
      " (gen_random_uuid(), gen_random_uuid(), 'running', 1, now(), now() - interval '10 minutes')";
  desk.stage.sql(lost);
  desk.stage.sql(
      "INSERT INTO processing_jobs (id, task_id, status, attempts, started_at) VALUES"
      " (gen_random_uuid(), 'alive', 'running', 1, now())");
  CHECK(mend(desk.database).at("lost_jobs") == 1);
  CHECK(mend(desk.database).at("lost_jobs") == 0);
  desk.stage.sql(lost);
  desk.stage.process(desk.stage.document("%PDF one"), "t");
  CHECK(desk.stage.sql("SELECT count(*) FROM processing_jobs WHERE status = 'failed' AND error_code = "
                       "'WorkerLostError'") == "2");
  CHECK(desk.stage.sql("SELECT count(*) FROM processing_jobs WHERE status = 'running'") == "1");
}

TEST_CASE("an invoice that waited for its document is completed and keeps its id") {
  Desk desk;
  const auto path = desk.stage.document("%PDF waiting");
  const std::string id = "00000000-0000-4000-8000-0000000000c1";
  desk.stage.sql(
      "INSERT INTO invoices (id, file_hash, file_url, file_name, file_size, status, workflow_state) VALUES "
      "('" +
      id + "', encode(sha256('%PDF waiting'), 'hex'), 'x', 'x.pdf', '1KB', 'RECEIVED', 'uploaded')");
  const Json result = desk.stage.process(path, "t");
  CHECK(result.at("invoice_id") == id);
  CHECK(result.at("duplicate") == false);
  CHECK(desk.stage.sql("SELECT status || ' ' || total_amount FROM invoices") == "PARSED 119.00");
}

TEST_CASE("old exports, keys and temporary files go, young ones stay") {
  Desk desk;
  const std::string_view bytes = "x";
  for (const char* age : {"1 day", "10 days"}) {
    const auto reader = read_memory(bytes);
    const auto stored = desk.storage->put_as(*reader, "exports/" + std::string(age).substr(0, 2), 10);
    desk.stage.sql(
        "INSERT INTO export_jobs (id, format, status, progress, file_path, file_hash, file_size, "
        "completed_at) VALUES"
        " (gen_random_uuid(), 'CSV', 'COMPLETED', 100, '" +
        stored.uri + "', '" + stored.sha256 + "', 1, now() - interval '" + age + "')");
  }
  const Json cleaned = cleanup_old_exports(desk.database, *desk.storage, 7);
  CHECK(cleaned.at("deleted_files") == 1);
  CHECK(cleaned.at("deleted_records") == 1);
  CHECK(desk.storage->exists("storage://exports/1 "));
  desk.add("k");
  desk.relay();
  desk.stage.sql("UPDATE outbox SET sent_at = now() - interval '4 days'");
  CHECK(cleanup_failed_tasks(desk.database, 3).at("by_table").at("outbox") == 1);
  const auto left = std::filesystem::path(desk.stage.config.storage_root) / "temp" / "put.left";
  std::ofstream(left) << "x";
  CHECK(cleanup_temp_files(desk.database, *desk.storage, 24).at("deleted_files") == 0);
  std::filesystem::last_write_time(left,
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
  CHECK(cleanup_temp_files(desk.database, *desk.storage, 24).at("deleted_files") == 1);
  CHECK(cleanup_temp_files(desk.database, *make_storage("/nowhere/at/all"), 24).at("deleted_files") == 0);
}

TEST_CASE("failed exports are sent again later each time, schedules make one job for each time") {
  Desk desk;
  desk.stage.sql(
      "INSERT INTO export_jobs (id, format, status, error_code, completed_at, retry_count) VALUES"
      " (gen_random_uuid(), 'CSV', 'FAILED', 'StorageUnavailable', now(), 1),"
      " (gen_random_uuid(), 'CSV', 'FAILED', 'StorageUnavailable', now(), 3),"
      " (gen_random_uuid(), 'CSV', 'FAILED', 'InvalidExport', now(), 0)");
  const auto in = [&](auto work) {
    return desk.stage.in_context("w", [&](Context& context) { return work(context, desk.database); });
  };
  CHECK(in(retry_failed_exports).at("retried") == 1);
  CHECK(desk.stage.port.sent().size() == 1);
  desk.stage.sql(
      "INSERT INTO export_schedules (id, name, format, period, next_run_at) VALUES"
      " (gen_random_uuid(), 'daily', 'CSV', '1 day', now() - interval '50 hours')");
  CHECK(in(schedule_recurring_exports).at("scheduled") == 1);
  CHECK(in(schedule_recurring_exports).at("scheduled") == 0);
  CHECK(desk.stage.sql(
            "SELECT next_run_at > now() AND next_run_at < now() + interval '1 day' FROM export_schedules") ==
        "t");
  CHECK(desk.stage.port.sent().size() == 2);
}

TEST_CASE("health and report") {
  Desk desk;
  const Json health = health_check(desk.database, *desk.storage, desk.stage.config.storage_root);
  CHECK(health.at("checks").at("database").at("status") == "healthy");
  CHECK(health.at("checks").at("storage").at("status") == "healthy");
  desk.stage.process(desk.stage.document("%PDF one"), "t");
  const Json report = generate_system_report(desk.database);
  CHECK(report.at("metrics").at("invoices").at("total") == 1);
  CHECK(report.at("metrics").at("storage").at("file_count") == 1);
}
