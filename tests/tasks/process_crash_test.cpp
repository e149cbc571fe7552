// The process dies at each point where it hurts; the next delivery of the message mends it.
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <thread>

using namespace celeriac;
using testing::InvoiceStage;
using testing::sample_invoice;

namespace {

void die() { ::kill(::getpid(), SIGKILL); }

// A slot: runs `body` in a process of its own, on a thread of its own: a fork inherits the state of this
// thread's random generator, which a slot that was started afresh does not.
pid_t start(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  bool returned = false;
  std::thread([&] {
    try {
      body();
      returned = true;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "slot: %s\n", error.what());
    }
  }).join();
  ::_exit(returned ? 0 : 1);
}

bool was_killed(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void check_one_of_everything(InvoiceStage& stage) {
  CHECK(stage.sql("SELECT count(*) FROM invoices") == "1");
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items") == "2");
  CHECK(stage.sql("SELECT count(*) FROM file_storage") == "1");
  CHECK(stage.sql("SELECT status FROM processing_jobs") == "completed");
  CHECK(stage.sql("SELECT count(*) FROM invoices WHERE validation_sent_at IS NULL") == "0");
}

}  // namespace

TEST_CASE("killed while reading") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  REQUIRE(was_killed(start([&] {
    stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
      die();
      return sample_invoice();
    };
    stage.process(path, "t1");
  })));
  CHECK(stage.sql("SELECT status FROM processing_jobs") == "running");
  stage.process(path, "t1");
  check_one_of_everything(stage);
  CHECK(stage.sql("SELECT lost_runs FROM processing_jobs") == "1");
}

namespace {

// Kills a run of this message while it waits, within its transaction, for the insert of the lines.
void kill_in_transaction(InvoiceStage& stage, const std::string& path, const std::string& task,
                         const Json& options) {
  // The insert of the lines waits for a lock that this test holds.
  Database holder(stage.config.database_url);
  holder.script(
      "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;"
      "CREATE TRIGGER wait_here BEFORE INSERT ON invoice_line_items FOR EACH ROW EXECUTE FUNCTION "
      "wait_here();"
      "SELECT pg_advisory_lock(42)");
  const pid_t slot = start([&] { stage.process(path, task, options); });
  while (holder.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").text(0, 0) ==
         "0") {
    REQUIRE(::waitpid(slot, nullptr, WNOHANG) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(slot, SIGKILL);
  REQUIRE(was_killed(slot));
  holder.script("SELECT pg_advisory_unlock(42); DROP TRIGGER wait_here ON invoice_line_items");
}

}  // namespace

TEST_CASE("killed in the middle of the transaction") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  kill_in_transaction(stage, path, "t1", nullptr);
  stage.process(path, "t1");
  check_one_of_everything(stage);
  CHECK(stage.port.sent().size() == 1);
}

TEST_CASE("killed in the middle of reading again") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  const Json again = {{"again", true}};
  stage.process(path, "t1");
  kill_in_transaction(stage, path, "t2", again);
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items") == "2");  // the first reading, untouched
  stage.process(path, "t2", again);
  CHECK(stage.sql(
            "SELECT count(*) || ' ' || (SELECT count(*) FROM invoice_line_items) FROM invoice_extractions") ==
        "2 2");
  CHECK(stage.sql("SELECT count(*) FROM invoices WHERE validation_sent_at IS NULL") == "0");
  CHECK(stage.port.sent().size() == 2);
}

TEST_CASE("killed between the commit and the follow-up") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  REQUIRE(was_killed(start([&] {
    stage.port.on_send = [](const SendRequest&) {
      die();
      return std::string();
    };
    stage.process(path, "t1");
  })));
  CHECK(stage.sql("SELECT count(*) FROM invoices WHERE validation_sent_at IS NULL") == "1");
  stage.process(path, "t1");
  check_one_of_everything(stage);
  CHECK(stage.port.sent().size() == 1);
  CHECK(stage.extractions == 0);  // nothing was read again
}

TEST_CASE("another message with the same document mends a lost follow-up as well") {
  InvoiceStage stage;
  REQUIRE(was_killed(start([&] {
    stage.port.on_send = [](const SendRequest&) {
      die();
      return std::string();
    };
    stage.process(stage.document("%PDF one"), "t1");
  })));
  stage.process(stage.document("%PDF one"), "t2");
  CHECK(stage.port.sent().size() == 1);
}

TEST_CASE("a document that kills its reader again and again is given up") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF poison");
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    die();
    return sample_invoice();
  };
  for (int i = 0; i < stage.config.max_lost_runs; ++i) {
    REQUIRE(was_killed(start([&] { stage.process(path, "t1"); })));
  }
  CHECK(stage.failure(path, "t1") == "DocumentCrashesReader");
  CHECK(stage.sql("SELECT status || ' ' || error_code FROM processing_jobs") ==
        "failed DocumentCrashesReader");
}
