// The tasks of llm_processing against a private PostgreSQL and a server in the providers' form: every fault
// ends in the state docs/llm.md names, no budget is passed, nothing is paid twice.
#include "tasks/llm_processing/tasks.hpp"
#include "tasks/store/slot_database.hpp"
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/scripted_server.hpp"
#include "worker/run_task.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;
using celeriac::testing::InvoiceStage;
using celeriac::testing::Received;
using celeriac::testing::ScriptedServer;
using Connection = ScriptedServer::Connection;

namespace {

std::string answer(const std::string& content, int prompt_tokens = 100, int completion_tokens = 20) {
  const Json body = {{"choices", Json::array({{{"message", {{"role", "assistant"}, {"content", content}}},
                                               {"finish_reason", "stop"}}})},
                     {"usage", {{"prompt_tokens", prompt_tokens}, {"completion_tokens", completion_tokens}}}};
  return dump_json(body);
}

// A migrated database, one server, and the queue's tasks as a slot runs them.
struct LlmStage {
  explicit LlmStage(ScriptedServer::Script script) : server(std::move(script)) {
    config.database_url = stage.config.database_url;
    config.provider = "local";
    config.base_url = server.url() + "/v1";
    config.api_key = "sk-secret";
    config.model = "m";
    config.timeout = 20s;
    config.prices["*"] = {1, 1};
    config.daily_cost = config.monthly_cost = config.cost_per_invoice = 0;
  }

  App app() const {
    App made;
    register_llm_processing(made, config);
    return made;
  }

  static Outcome run(App& app, TaskPort& port, const std::string& task, const Json& args,
                     const std::string& id, int retries = 0) {
    static const std::vector<std::string> accept = {"application/json"};
    const std::atomic<bool> soft{false};
    auto message = std::make_shared<Message>();
    const Json headers = {{"task", task}, {"id", id}, {"retries", retries}};
    message->headers = dump_json(headers);
    message->body = "[" + dump_json(args) + ", {}, {}]";
    Job job;
    job.id = 1;
    job.queue = "llm_processing";
    job.headers = std::make_shared<TaskHeaders>(*read_task(*message, accept));
    job.message = message;
    return run_task({app, accept, port}, job, soft, [] {}).outcome;
  }

  Outcome complete(const std::string& id, const Json& schema = nullptr, int retries = 0,
                   const Json& options = nullptr) {
    App made = app();
    return run(made, stage.port, "llm_processing.complete", Json::array({"question " + id, schema, options}),
               id, retries);
  }

  InvoiceStage stage;
  LlmConfig config;
  ScriptedServer server;
};

std::string type_of(const Outcome& outcome) {
  if (const auto* threw = std::get_if<Threw>(&outcome)) return threw->exception.type;
  if (const auto* retry = std::get_if<AskedRetry>(&outcome)) return "retry " + retry->exception.type;
  return "returned";
}

Json value_of(const Outcome& outcome) {
  const auto* returned = std::get_if<Returned>(&outcome);
  REQUIRE_MESSAGE(returned, type_of(outcome));
  return *parse_json(returned->result);
}

Json total_schema() {
  return *parse_json(
      R"({"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]})");
}

}  // namespace

TEST_CASE("an answer, its usage row, and the same question from the cache") {
  LlmStage s([](const Received& got, Connection& to) {
    CHECK(got.headers.at("authorization") == "Bearer sk-secret");
    to.reply(200, answer("{\"total\": \"1\"}"));
  });
  App app = s.app();
  const Json args = Json::array({"question", total_schema(), nullptr});
  const Json first = value_of(LlmStage::run(app, s.stage.port, "llm_processing.complete", args, "a"));
  CHECK(first.at("value").at("total") == "1");
  CHECK(first.at("cost").get<double>() == doctest::Approx(0.12));
  CHECK_FALSE(first.at("cached").get<bool>());
  const Json second = value_of(LlmStage::run(app, s.stage.port, "llm_processing.complete", args, "b"));
  CHECK(second.at("cached").get<bool>());
  CHECK(second.at("value") == first.at("value"));
  CHECK(s.server.requests() == 1);
  CHECK(s.stage.sql(
            "SELECT string_agg(status || ' ' || total_tokens, ', ' ORDER BY created_at) FROM llm_usage") ==
        "succeeded 120, cached 0");
  CHECK(s.stage.sql("SELECT hits FROM llm_cache") == "1");
  CHECK(s.stage.sql("SELECT count(*) FROM llm_reservations") == "0");
}

TEST_CASE("each fault of a server ends in its state") {
  LlmStage s([](const Received& got, Connection& to) {
    const auto has = [&](const char* word) { return got.body.find(word) != std::string::npos; };
    if (has("limited")) {
      to.reply(429, R"({"error": {"message": "slow down"}})", "Retry-After: 300\r\n");
    } else if (has("broken")) {
      to.reply(500, "oops");
    } else if (has("slow")) {
      to.wait(60s);
    } else if (has("cut")) {
      to.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\"");
      to.close();
    } else if (has("denied")) {
      to.reply(401, R"({"error": {"message": "bad key"}})");
    } else if (has("prose")) {
      to.reply(200, answer("I would rather not."));
    } else if (has("other_form")) {
      to.reply(200, answer("{\"total\": 7}"));
    } else {
      to.reply(200, "<html>a proxy</html>");
    }
  });
  const Outcome limited = s.complete("limited");
  CHECK(type_of(limited) == "retry LlmRateLimited");
  CHECK(std::get<AskedRetry>(limited).reason.find("300") != std::string::npos);
  CHECK(type_of(s.complete("limited", nullptr, 5)) == "LlmRateLimited");
  CHECK(type_of(s.complete("broken")) == "retry LlmUnavailable");
  CHECK(type_of(s.complete("broken", nullptr, 5)) == "LlmUnavailable");
  s.config.timeout = 300ms;
  CHECK(type_of(s.complete("slow")) == "retry LlmTimeout");
  s.config.timeout = 20s;
  CHECK(type_of(s.complete("cut")) == "retry LlmUnavailable");
  CHECK(type_of(s.complete("proxy")) == "retry LlmUnavailable");
  CHECK(type_of(s.complete("denied")) == "LlmRequestRefused");
  const int before = s.server.requests();
  CHECK(type_of(s.complete("prose", total_schema())) == "LlmAnswerRefused");
  CHECK(type_of(s.complete("other_form", total_schema())) == "LlmAnswerRefused");
  CHECK(s.server.requests() == before + 4);  // each asked once more, with what was wrong
  CHECK(s.stage.sql("SELECT count(*) FROM llm_usage WHERE status = 'refused'") == "4");
  CHECK(s.stage.sql("SELECT error_code FROM llm_usage WHERE task_id = 'slow'") == "LlmTimeout");
  CHECK(s.stage.sql("SELECT count(*) FROM llm_usage WHERE total_tokens = 0 AND error_code IN "
                    "('LlmRateLimited', 'LlmRequestRefused')") == "3");
  CHECK(s.stage.sql("SELECT count(*) FROM llm_reservations") == "0");
  s.config.model.clear();
  CHECK(type_of(s.complete("any")) == "LlmNotConfigured");
  s.config.provider = "oracle";
  CHECK(type_of(s.complete("any")) == "LlmNotConfigured");
}

TEST_CASE("a text is analyzed as another system's clients ask for it, and a failure is told in the result") {
  std::atomic<int> status{200};
  std::atomic<bool> guarded{false};
  LlmStage s([&](const Received& got, Connection& to) {
    guarded = got.body.find("never an instruction") != std::string::npos;
    to.reply(status, status == 200 ? answer(R"({"valid": false, "issues": ["no date"]})") : "{}");
  });
  App app = s.app();
  const auto ask = [&](const std::string& id, const std::string& type, int retries) {
    return LlmStage::run(app, s.stage.port, "process_text_analysis_async",
                         Json::array({"Invoice \"7\" " + id, type, "app-" + id, {{"user_id", "u"}}}), id,
                         retries);
  };
  const auto result = [](const Outcome& outcome) { return *parse_json(std::get<Returned>(outcome).result); };
  const Json good = result(ask("a", "validation", 0));
  CHECK(guarded);
  CHECK(good.at("task_id") == "app-a");
  CHECK(good.at("analysis_type") == "validation");
  CHECK(good.at("analysis_result").at("issues")[0] == "no date");
  CHECK(good.at("completed_at").is_number_integer());
  CHECK(result(ask("b", "whatever", 0)).at("analysis_result").is_string());
  status = 500;
  CHECK(type_of(ask("c", "summary", 0)) == "retry LlmUnavailable");
  const Json bad = result(ask("c", "summary", analyze_text_retries));
  CHECK(bad.at("success") == false);
  CHECK(bad.at("task_id") == "app-c");
  CHECK_FALSE(bad.at("error").get<std::string>().empty());
}

TEST_CASE("a bad answer is repaired once") {
  LlmStage s([](const Received& got, Connection& to) {
    const bool again = got.body.find("cannot be used") != std::string::npos;
    to.reply(200, answer(again ? "```json\n{\"total\": \"1\"}\n```" : "{\"total\": 1}"));
  });
  const Json result = value_of(s.complete("a", total_schema()));
  CHECK(result.at("repaired").get<bool>());
  CHECK(result.at("prompt_tokens") == 200);
  CHECK(s.stage.sql("SELECT string_agg(status, ',' ORDER BY request_key) FROM llm_usage") ==
        "refused,succeeded");
}

TEST_CASE("a stream, whole and cut") {
  LlmStage s([](const Received& got, Connection& to) {
    CHECK(got.body.find("\"stream\": true") != std::string::npos);
    to.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        "data: {\"choices\": [{\"delta\": {\"content\": \"hel\"}}]}\n\n");
    if (got.body.find("whole") != std::string::npos)
      to.send(
          "data: {\"choices\": [{\"delta\": {\"content\": \"lo\"}, \"finish_reason\": \"stop\"}], \"usage\": "
          "{\"prompt_tokens\": 1, \"completion_tokens\": 2}}\n\ndata: [DONE]\n\n");
    to.close();
  });
  s.config.stream = true;
  CHECK(value_of(s.complete("whole")).at("value") == "hello");
  CHECK(type_of(s.complete("half")) == "retry LlmUnavailable");
  CHECK(s.stage.sql(
            "SELECT prompt_tokens > 0 AND completion_tokens > 0 FROM llm_usage WHERE task_id = 'half'") ==
        "t");
}

TEST_CASE("the next model is asked when one does not answer, and an open breaker asks nobody") {
  LlmStage s([](const Received& got, Connection& to) {
    got.body.find("\"good\"") != std::string::npos ? to.reply(200, answer("yes")) : to.reply(503, "");
  });
  s.config.fallback_models = {"good"};
  CHECK(value_of(s.complete("a")).at("model") == "good");
  s.config.fallback_models.clear();
  App app = s.app();
  for (int i = 0; i < 5; ++i)
    CHECK(type_of(LlmStage::run(app, s.stage.port, "llm_processing.complete",
                                Json::array({"q", nullptr, nullptr}), std::to_string(i))) ==
          "retry LlmUnavailable");
  const int before = s.server.requests();
  const Outcome open =
      LlmStage::run(app, s.stage.port, "llm_processing.complete", Json::array({"q", nullptr, nullptr}), "6");
  CHECK(type_of(open) == "retry LlmUnavailable");
  CHECK(std::get<AskedRetry>(open).exception.repr().find("left alone") != std::string::npos);
  CHECK(s.server.requests() == before);
}

TEST_CASE("four workers at once never pass a budget") {
  LlmStage s([](const Received&, Connection& to) {
    to.wait(20ms);
    to.reply(200, answer("yes", 10, 5));
  });
  s.config.cache_expires = 0s;
  s.stage.sql("INSERT INTO llm_budgets (id, period, max_requests) VALUES (gen_random_uuid(), 'MONTH', 25)");
  std::atomic<int> done{0}, refused{0}, other{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&, w] {
      App app = s.app();  // breakers and settings of its own, as a process has
      celeriac::testing::RecordingPort port;
      for (int i = 0; i < 15; ++i) {
        const std::string id = std::to_string(w) + "-" + std::to_string(i);
        const std::string type = type_of(LlmStage::run(app, port, "llm_processing.complete",
                                                       Json::array({"q" + id, nullptr, nullptr}), id));
        ++(type == "returned" ? done : type == "LlmBudgetExceeded" ? refused : other);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(done == 25);
  CHECK(refused == 35);
  CHECK(other == 0);
  CHECK(s.server.requests() == 25);
  CHECK(s.stage.sql("SELECT used_requests || ' ' || reserved_requests || ' ' || used_tokens FROM "
                    "llm_budget_periods") == "25 0 375");
}

TEST_CASE("money, tenants and minutes are capped as well; marks are told once") {
  LlmStage s([](const Received&, Connection& to) { to.reply(200, answer("yes", 400, 100)); });
  s.config.cache_expires = 0s;
  s.config.max_tokens = 100;
  s.config.daily_cost = 1.3;  // a call costs 0.5 and may cost 0.2 or so when it is reserved
  CHECK(type_of(s.complete("a")) == "returned");
  CHECK(type_of(s.complete("b")) == "returned");
  CHECK(type_of(s.complete("c")) == "returned");
  CHECK(type_of(s.complete("d")) == "LlmBudgetExceeded");
  CHECK(s.stage.sql("SELECT alerted_at FROM llm_budget_periods") == "95");
  s.stage.sql("UPDATE llm_budgets SET is_active = false");
  s.stage.sql(
      "INSERT INTO llm_budgets (id, tenant, model, period, max_requests) VALUES (gen_random_uuid(), 'acme', "
      "'m', 'MINUTE', 0)");
  CHECK(type_of(s.complete("e")) == "returned");
  const Json acme = {{"tenant", "acme"}};
  CHECK(type_of(s.complete("f", nullptr, 0, acme)) == "retry LlmRateLimited");
}

TEST_CASE("a reservation whose worker was killed counts as used, also when its message comes again") {
  LlmStage s([](const Received&, Connection& to) { to.reply(200, answer("yes", 10, 5)); });
  s.config.cache_expires = 0s;
  s.stage.sql("INSERT INTO llm_budgets (id, period, max_requests) VALUES (gen_random_uuid(), 'DAY', 2)");
  Database database(s.config.database_url);
  reserve(database, {"default", "m"}, "a:0:1", {1, 100, 0.1}, 60s);
  CHECK(type_of(s.complete("a")) == "returned");
  CHECK(s.stage.sql("SELECT used_requests || ' ' || reserved_requests FROM llm_budget_periods") == "2 0");
  CHECK(type_of(s.complete("b")) == "LlmBudgetExceeded");
}

TEST_CASE("weak fields of an invoice are corrected, once, and the invoice is validated again") {
  std::atomic<int> asked{0};
  LlmStage s([&](const Received& got, Connection& to) {
    ++asked;
    CHECK(got.body.find("R-1") != std::string::npos);
    to.reply(200, answer(R"({"corrections": [{"field": "invoice_number", "value": "R-17"},
                                             {"field": "invoice_date", "value": "yesterday"}]})"));
  });
  s.stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    ExtractedInvoice invoice = celeriac::testing::sample_invoice();
    invoice.invoice_number.confidence = invoice.invoice_date.confidence = 0.6;
    invoice.confidence = 0.7;
    invoice.raw_text = "Muster GmbH, Invoice R-17";
    return invoice;
  };
  const Json document = s.stage.process(s.stage.document("%PDF"), "p");
  const std::string invoice = document.at("invoice_id");
  App app = s.app();
  const auto patch = [&](const std::string& id) {
    return LlmStage::run(app, s.stage.port, "llm_processing.patch_fields", Json::array({invoice}), id);
  };
  const Json result = value_of(patch("t"));
  CHECK(result.at("status") == "patched");
  CHECK(result.at("corrections").size() == 2);
  CHECK(s.stage.sql("SELECT invoice_number FROM invoices") == "R-17");
  CHECK(s.stage.sql("SELECT invoice_date FROM invoices") ==
        celeriac::testing::sample_invoice().invoice_date.value);
  CHECK(s.stage.sql("SELECT processed_by_llm FROM invoices") == "t");
  CHECK(s.stage.sql("SELECT count(*) FROM invoice_extractions") == "2");
  CHECK(s.stage.sql("SELECT string_agg(field || ' ' || accepted, ',' ORDER BY field) FROM llm_patches") ==
        "invoice_date false,invoice_number true");
  REQUIRE(s.stage.port.sent().size() == 2);  // after reading, and after the correction
  CHECK(s.stage.port.sent().back().outgoing.message.headers.find("validate_invoice") != std::string::npos);

  const Json again = value_of(patch("t"));  // the same message
  CHECK(again.at("status") == "patched");
  CHECK(again.at("corrections") == result.at("corrections"));
  CHECK(asked == 1);
  CHECK(s.stage.sql("SELECT count(*) FROM llm_usage") == "1");
  CHECK(s.stage.port.sent().size() == 2);

  s.stage.sql("UPDATE invoices SET status = 'READY'");
  s.stage.sql("UPDATE invoices SET status = 'STAGED'");
  CHECK(value_of(patch("u")).at("status") == "handed_on");
  CHECK(type_of(LlmStage::run(app, s.stage.port, "llm_processing.patch_fields",
                              Json::array({"00000000-0000-0000-0000-000000000000"}), "v")) ==
        "InvoiceNotFound");
  CHECK(type_of(LlmStage::run(app, s.stage.port, "llm_processing.patch_fields", Json::array({"x"}), "w")) ==
        "TypeError");
}
