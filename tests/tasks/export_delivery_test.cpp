// Exports handed to another system: at least one request, one delivery, whatever is killed or lost in
// between.
#include "tasks/export/delivery.hpp"
#include "tasks/export/export_job.hpp"
#include "tasks/maintenance/maintenance.hpp"
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/scripted_server.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <thread>

using namespace celeriac;
using testing::InvoiceStage;
using testing::Received;
using testing::ScriptedServer;
using Connection = ScriptedServer::Connection;

namespace {

constexpr const char* job_id = "00000000-0000-4000-8000-0000000000d1";

// The other system: it keeps what it is given under the request's key and answers as it is told.
class Receiver {
 public:
  Receiver() : server_([this](const Received& got, Connection& to) { take(got, to); }) {}

  std::string url() const { return server_.url(); }
  int requests() const { return server_.requests(); }

  std::function<void(const Received&, Connection&)>
      before;  // may answer itself, and then returns `to` closed
  std::atomic<int> status{201};
  std::atomic<bool> lose_answer{false};

  std::set<std::string> keys() {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  Received last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  void take(const Received& got, Connection& to) {
    {
      const std::lock_guard lock(mutex_);
      last_ = got;
      if (status < 300) keys_.insert(got.method == "PUT" ? got.target : got.headers.at("idempotency-key"));
    }
    if (before) before(got, to);
    if (lose_answer.exchange(false)) return to.close();
    to.reply(status, "{}");
  }

  std::mutex mutex_;
  std::set<std::string> keys_;
  Received last_;
  ScriptedServer server_;  // last: its threads use the others
};

struct Desk {
  InvoiceStage stage;
  Receiver receiver;
  ExportEndpoints endpoints{{"erp", "http://clerk:pass@127.0.0.1" + receiver.url().substr(16) + "/inbox"}};

  Desk() {
    const std::string id = stage.process(stage.document("%PDF one"), "t1").at("invoice_id");
    stage.sql("UPDATE invoices SET status = 'VALIDATED' WHERE id = '" + id + "'");
  }
  void order(const std::string& method = "POST") {
    Database database(stage.config.database_url);
    ExportOrder order;
    order.id = job_id;
    order.destination = "api_endpoint";
    order.destination_config = {{"endpoint", "erp"}, {"method", method}};
    create_export_job(database, order, endpoints);
  }
  Json run() {
    Database database(stage.config.database_url);
    const auto storage = make_storage(stage.config.storage_root);
    return stage.in_context(job_id, [&](Context& context) {
      return run_export_job(context, database, *storage, endpoints, job_id);
    });
  }
  std::string failure() {
    try {
      run();
    } catch (const TaskError& error) {
      return error.info().type;
    }
    return {};
  }
  std::string outbox(const std::string& column) {
    return stage.sql("SELECT " + column + " FROM outbox WHERE kind = 'delivery'");
  }
  std::string delivered() {
    return stage.sql("SELECT count(*) FROM export_audit_logs WHERE event_type = 'delivered'");
  }
};

// A slot of its own, killed by whatever the receiver does with its id.
bool killed_while_running(Desk& desk, std::atomic<pid_t>& slot) {
  slot = 0;
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::thread([&] { desk.failure(); }).join();
    ::_exit(1);
  }
  slot = pid;
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace

// The first: a process that has sent a request has a thread that a fork would not take along.
TEST_CASE("killed before the request, and after it arrived: one delivery") {
  Desk desk;
  desk.order();
  std::atomic<pid_t> slot{0};
  int kills = 0;
  desk.receiver.before = [&](const Received&, Connection& to) {
    if (kills == 3) return;
    ++kills;
    while (slot == 0) std::this_thread::yield();
    ::kill(slot, SIGKILL);
    to.wait(std::chrono::milliseconds(1));
  };
  for (int i = 0; i < 3; ++i) REQUIRE(killed_while_running(desk, slot));
  CHECK(desk.outbox("state") == "waiting");
  CHECK(desk.stage.sql("SELECT status FROM export_jobs") == "COMPLETED");
  desk.run();
  CHECK(desk.receiver.requests() == 4);
  CHECK(desk.receiver.keys().size() == 1);
  CHECK(desk.delivered() == "1");
  desk.run();
  CHECK(desk.receiver.requests() == 4);
}

TEST_CASE("an endpoint is a URL whose secrets travel safely") {
  CHECK(read_endpoint("https://u:p%40x@host/a?b=c")->url == "https://host/a?b=c");
  CHECK(read_endpoint("https://u:p%40x@host/a")->password == "p@x");
  CHECK(read_endpoint("https://:tok@host/a")->bearer == "tok");
  CHECK(read_endpoint("http://erp.internal/in").has_value());
  CHECK(read_endpoint("http://u:p@127.0.0.1:8080/in").has_value());
  for (const char* wrong :
       {"http://u:secret@erp.internal/in", "ftp://host/", "host/path", "https:///x", ""}) {
    CAPTURE(wrong);
    const auto endpoint = read_endpoint(wrong);
    REQUIRE_FALSE(endpoint);
    CHECK(endpoint.error().what.find("secret") == std::string::npos);
  }
}

TEST_CASE("an order names an endpoint that exists, and no URL of its own") {
  Desk desk;
  Database database(desk.stage.config.database_url);
  ExportOrder order;
  order.id = job_id;
  order.destination = "api_endpoint";
  for (const Json& config : {Json::object(), Json{{"endpoint", "http://evil/"}}, Json{{"endpoint", 7}},
                             Json{{"endpoint", "erp"}, {"method", "DELETE"}}}) {
    order.destination_config = config;
    CAPTURE(config.dump());
    CHECK_THROWS_AS(create_export_job(database, order, desk.endpoints), TaskError);
  }
}

TEST_CASE("a file is delivered once, whole, with its name, digest and key") {
  Desk desk;
  desk.order();
  const Json result = desk.run();
  CHECK(result.at("delivered_at").is_string());
  const Received got = desk.receiver.last();
  CHECK(got.method == "POST");
  CHECK(got.target == "/inbox");
  CHECK(got.headers.at("authorization") == "Basic Y2xlcms6cGFzcw==");
  CHECK(got.headers.at("content-type").starts_with("text/csv"));
  CHECK(got.headers.at("content-disposition") ==
        "attachment; filename=\"" + result.at("file_name").get<std::string>() + "\"");
  CHECK(got.headers.at("x-content-sha256") == result.at("file_hash"));
  CHECK(got.headers.at("idempotency-key") == "\"" + result.at("delivery_id").get<std::string>() + "\"");
  const auto storage = make_storage(desk.stage.config.storage_root);
  CHECK(got.body == storage->get(result.at("file_path").get<std::string>(), 1 << 20));

  CHECK(desk.run() == result);  // the message again
  CHECK(desk.receiver.requests() == 1);
  CHECK(desk.delivered() == "1");
}

TEST_CASE("a receiver that is busy is asked again, one that refuses is not, until somebody says so") {
  Desk desk;
  desk.order();
  for (const int busy : {500, 503, 429, 408}) {
    desk.receiver.status = busy;
    CHECK(desk.failure() == "DeliveryFailed");
    CHECK(desk.outbox("state") == "waiting");
  }
  for (const int no : {302, 400, 401, 403, 404, 409, 422}) {
    desk.receiver.status = no;
    CHECK(desk.failure() == "DeliveryRefused");
    CHECK(desk.outbox("state") == "failed");
    CHECK(desk.outbox("last_error").find(std::to_string(no)) != std::string::npos);
    CHECK(desk.outbox("last_error").find("pass") == std::string::npos);
  }
  CHECK(desk.stage.sql("SELECT status FROM export_jobs") == "COMPLETED");
  CHECK(desk.delivered() == "0");
  desk.receiver.status = 200;
  CHECK(desk.failure().empty());
  CHECK(desk.delivered() == "1");
}

TEST_CASE("an answer that was lost does not make a second delivery") {
  for (const std::string method : {"POST", "PUT"}) {
    Desk desk;
    desk.order(method);
    desk.receiver.lose_answer = true;
    CHECK(desk.failure() == "DeliveryFailed");
    CHECK(desk.failure().empty());
    CHECK(desk.receiver.requests() == 2);
    CHECK(desk.receiver.keys().size() == 1);
    CHECK(desk.delivered() == "1");
  }
}

TEST_CASE("several runs at once deliver once") {
  Desk desk;
  desk.order();
  std::vector<std::thread> runs;
  for (int i = 0; i < 4; ++i) runs.emplace_back([&] { CHECK(desk.failure().empty()); });
  for (auto& run : runs) run.join();
  CHECK(desk.receiver.requests() == 1);
}

TEST_CASE("maintenance sends for a delivery that nobody carried out") {
  Desk desk;
  desk.order();
  desk.receiver.status = 503;
  CHECK(desk.failure() == "DeliveryFailed");
  const auto relay = [&] {
    Database database(desk.stage.config.database_url);
    desk.stage.in_context("relay", [&](Context& context) { return relay_outbox(context, database, 10); });
  };
  const auto before = desk.stage.port.sent().size();
  desk.stage.sql("UPDATE outbox SET available_at = now() WHERE kind = 'delivery' RETURNING 1");
  relay();
  relay();  // not twice
  const auto sent = desk.stage.port.sent();
  REQUIRE(sent.size() == before + 1);
  CHECK(sent.back().outgoing.message.headers.find("export.run_job") != std::string::npos);
  CHECK(desk.outbox("state") == "waiting");
}

TEST_CASE("a stored file that was changed is not delivered") {
  Desk desk;
  desk.order();
  desk.receiver.status = 503;
  CHECK(desk.failure() == "DeliveryFailed");
  const auto storage = make_storage(desk.stage.config.storage_root);
  const std::string uri = desk.stage.sql("SELECT file_path FROM export_jobs");
  storage->put_as(*read_memory("other"), uri.substr(10), 100);
  CHECK(desk.failure() == "StorageUnavailable");
  CHECK(desk.receiver.requests() == 1);
}
