#include "tasks/store/audit.hpp"
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace celeriac;
using testing::InvoiceStage;
using testing::sample_invoice;

TEST_CASE("a document becomes a file, a job, an invoice with lines, and one follow-up") {
  InvoiceStage stage;
  const Json result =
      stage.process(stage.document("%PDF one"), "task-1", {{"file_name", "in/box/rechnung.pdf"}});
  CHECK(result.at("duplicate") == false);
  CHECK(result.at("fields").at("total_amount").at("value") == "119.00");
  CHECK(result.at("confidence") == 0.95);
  const std::string id = result.at("invoice_id");
  CHECK(stage.sql("SELECT total_amount || ' ' || vendor_name || ' ' || status || ' ' || original_filename "
                  "FROM invoices") == "119.00 Muster GmbH PARSED rechnung.pdf");
  CHECK(stage.sql(
            "SELECT string_agg(quantity || 'x' || unit_price || '=' || line_total, ' ' ORDER BY line_number)"
            " FROM invoice_line_items") == "3x20.00=60.00 2.5x16.00=40.00");
  CHECK(stage.sql("SELECT status || ' ' || progress || ' ' || attempts FROM processing_jobs") ==
        "completed 100 1");
  CHECK(stage.sql("SELECT count(*) FROM audit_log WHERE action = 'CREATE'") == "1");
  REQUIRE(stage.port.sent().size() == 1);
  CHECK(stage.port.sent()[0].task_id == result.at("validation_task_id"));
  CHECK(stage.port.sent()[0].outgoing.queue == "validation");
  CHECK(stage.port.sent()[0].outgoing.message.body.find(id) != std::string::npos);
  CHECK_FALSE(stage.port.states().empty());
}

TEST_CASE("the same document under another name and task is the same invoice") {
  InvoiceStage stage;
  const Json first = stage.process(stage.document("%PDF one"), "task-1");
  const Json second = stage.process(stage.document("%PDF one"), "task-2");
  CHECK(second.at("invoice_id") == first.at("invoice_id"));
  CHECK(second.at("file_storage_id") == first.at("file_storage_id"));
  CHECK(second.at("fields") == first.at("fields"));
  CHECK(second.at("duplicate") == true);
  CHECK(stage.extractions == 1);
  CHECK(stage.port.sent().size() == 1);
  CHECK(stage.sql("SELECT count(*) FROM processing_jobs WHERE status = 'completed'") == "2");
  // The stored copy is a source as well.
  CHECK(stage.process(first.at("storage_uri"), "task-3").at("invoice_id") == first.at("invoice_id"));
}

TEST_CASE("a message delivered again answers what the first run answered") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  const Json first = stage.process(path, "task-1");
  // The column is jsonb, which keeps no order of keys.
  CHECK(nlohmann::json(stage.process(path, "task-1")) == nlohmann::json(first));
  CHECK(stage.port.sent().size() == 1);
  CHECK(stage.sql("SELECT count(*) FROM processing_jobs") == "1");
}

TEST_CASE("many runs of one document at once make one invoice and one follow-up") {
  InvoiceStage stage;
  std::vector<std::string> paths;
  for (int i = 0; i < 8; ++i) paths.push_back(stage.document("%PDF one"));
  std::vector<std::thread> runs;
  std::atomic<int> failures{0};
  for (int i = 0; i < 8; ++i) {
    runs.emplace_back([&, i] {
      try {
        stage.process(paths[i], i < 6 ? "task-" + std::to_string(i) : "task-0");
      } catch (const std::exception&) {
        ++failures;
      }
    });
  }
  for (auto& run : runs) run.join();
  CHECK(failures == 0);
  CHECK(stage.sql("SELECT count(*) FROM invoices") == "1");
  CHECK(stage.sql("SELECT count(*) FROM file_storage") == "1");
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items") == "2");
  CHECK(stage.sql("SELECT count(*) FROM processing_jobs WHERE status = 'completed'") == "6");
  CHECK(stage.port.sent().size() == 1);
}

TEST_CASE("what is wrong with a document is told by type, in the job's row too") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  int number = 0;
  for (const auto& [code, type] : std::vector<std::pair<ExtractErrorCode, std::string>>{
           {ExtractErrorCode::unsupported_type, "UnsupportedDocument"},
           {ExtractErrorCode::password_required, "EncryptedDocument"},
           {ExtractErrorCode::corrupt, "CorruptDocument"},
           {ExtractErrorCode::too_many_pages, "TooManyPages"},
           {ExtractErrorCode::empty_file, "EmptyDocument"}}) {
    stage.config.extract = [code = code](std::string_view,
                                         const ExtractOptions&) -> Extracted<ExtractedInvoice> {
      return tl::unexpected(ExtractError{code, "no good\0here"});
    };
    const std::string task = "task-" + std::to_string(++number);
    CAPTURE(type);
    CHECK(stage.failure(path, task) == type);
    CHECK(stage.sql("SELECT status || ' ' || error_code || ' ' || error_message FROM processing_jobs WHERE "
                    "task_id = '" +
                    task + "'") == "failed " + type + " no good");
  }
  CHECK(stage.sql("SELECT count(*) FROM invoices") == "0");
  CHECK(stage.sql("SELECT count(*) FROM file_storage") == "0");
}

TEST_CASE("sources that are no document are refused") {
  InvoiceStage stage;
  stage.config.max_bytes = 100;
  CHECK(stage.failure(stage.document(std::string(101, 'x')), "t1") == "DocumentTooLarge");
  CHECK(stage.failure("/no/such/file", "t2") == "DocumentNotFound");
  CHECK(stage.failure("/dev/zero", "t3") == "SourceRefused");
  CHECK(stage.failure("storage://../../etc/passwd", "t4") == "SourceRefused");
  CHECK(stage.failure("http://127.0.0.1/x", "t5") == "SourceRefused");
  CHECK(stage.failure(stage.document("x"), "t6", {{"colour", "red"}}) == "TypeError");
  CHECK(stage.failure(stage.document("x"), "t7", {{"job_id", "1; DROP"}}) == "TypeError");
  CHECK(stage.failure(stage.document("x"), "t8", Json::array()) == "TypeError");
  CHECK(stage.extractions == 0);
}

TEST_CASE("hostile field values are stored as far as they fit and marked for review") {
  InvoiceStage stage;
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    auto invoice = sample_invoice();
    invoice.seller_name.value = std::string("A\0B\xFF", 4) + std::string(5000, 'n');
    invoice.invoice_date.value = "2024-02-31";
    invoice.total_amount.value = "99999999999999999999999999.99";
    invoice.currency.value = "eu'";
    invoice.line_items[0].quantity.value = "NaN";
    invoice.line_items[0].description.value = "\xED\xA0\x80";
    invoice.line_items[1].tax_rate.value = "12345.0";
    invoice.confidence = 1e9;
    return invoice;
  };
  stage.process(stage.document("%PDF evil"), std::string("task'; DROP TABLE invoices; --"));
  CHECK(stage.sql("SELECT length(vendor_name) FROM invoices") == "200");
  CHECK(stage.sql(
            "SELECT requires_review AND invoice_date IS NULL AND total_amount IS NULL AND currency IS NULL"
            " FROM invoices") == "t");
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items WHERE quantity IS NULL") == "1");
}

TEST_CASE("the soft time limit ends the run and the job") {
  InvoiceStage stage;
  stage.config.extract = [&](std::string_view, const ExtractOptions& options) -> Extracted<ExtractedInvoice> {
    stage.soft_limit = true;
    CHECK(options.cancelled());
    return tl::unexpected(ExtractError{ExtractErrorCode::cancelled, "cancelled"});
  };
  CHECK(stage.failure(stage.document("%PDF slow"), "t1") == "SoftTimeLimitExceeded");
  CHECK(stage.sql("SELECT status || ' ' || error_code FROM processing_jobs") ==
        "failed SoftTimeLimitExceeded");
}

TEST_CASE("a passing failure leaves the job pending until the retries are used up") {
  InvoiceStage stage;
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    return tl::unexpected(ExtractError{ExtractErrorCode::engine_unavailable, "not installed"});
  };
  const auto path = stage.document("%PDF one");
  CHECK(stage.failure(path, "t1") == "EngineUnavailable");
  CHECK(stage.sql("SELECT status FROM processing_jobs") == "pending");
  CHECK(stage.failure(path, "t1", nullptr, 5) == "EngineUnavailable");
  CHECK(stage.sql("SELECT status || ' ' || attempts || ' ' || lost_runs FROM processing_jobs") ==
        "failed 2 0");
}

TEST_CASE("a job announced beforehand is the one that is worked on") {
  InvoiceStage stage;
  const std::string job = "00000000-0000-4000-8000-00000000000a";
  stage.sql("INSERT INTO processing_jobs (id) VALUES ('" + job + "')");
  CHECK(stage.process(stage.document("%PDF one"), "t1", {{"job_id", job}}).at("job_id") == job);
  CHECK(stage.sql("SELECT count(*) || ' ' || min(task_id) FROM processing_jobs") == "1 t1");
}

TEST_CASE("a broker that refuses the follow-up leaves it for the next delivery") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  stage.port.on_send = [](const SendRequest&) { return std::string("broker is away"); };
  CHECK(stage.failure(path, "t1") == "OperationalError");
  CHECK(stage.sql("SELECT validation_sent_at IS NULL FROM invoices") == "t");
  CHECK(stage.sql("SELECT status FROM processing_jobs") == "completed");
  stage.port.on_send = nullptr;
  stage.process(path, "t1");
  CHECK(stage.port.sent().size() == 1);
  CHECK(stage.extractions == 1);
  CHECK(stage.sql("SELECT validation_sent_at IS NULL FROM invoices") == "f");
}

namespace {

const Json again = {{"again", true}};

// Another reading than sample_invoice's: one line less, another total.
Extracted<ExtractedInvoice> better_reading(std::string_view, const ExtractOptions&) {
  auto invoice = sample_invoice();
  invoice.total_amount.value = "71.40";
  invoice.subtotal.value = "60.00";
  invoice.tax_amount.value = "11.40";
  invoice.line_items.pop_back();
  invoice.confidence = 0.99;
  return invoice;
}

void as_a_person(InvoiceStage& stage, const std::string& statement) {
  Database database(stage.config.database_url);
  database.transaction([&] {
    audit_as(database, {"anna", "corrected", "", "", true});
    database.run(statement);
    return 0;
  });
}

}  // namespace

TEST_CASE("a document is read again when asked to, and judged anew") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  const Json first = stage.process(path, "t1");
  stage.validate(first.at("invoice_id"));
  stage.config.extract = better_reading;
  const Json second = stage.process(path, "t2", again);
  CHECK(second.at("invoice_id") == first.at("invoice_id"));
  CHECK(second.at("duplicate") == false);
  CHECK(second.at("fields").at("total_amount").at("value") == "71.40");
  CHECK(second.at("validation_task_id") != first.at("validation_task_id"));
  CHECK(second.at("kept") == Json{{"fields", Json::array()}, {"lines", Json::array()}});
  CHECK(stage.sql("SELECT status || ' ' || total_amount || ' ' || confidence_score FROM invoices") ==
        "PARSED 71.40 0.99");
  CHECK(stage.sql("SELECT string_agg(line_number || '=' || line_total, ' ') FROM invoice_line_items") ==
        "1=60.00");
  CHECK(stage.sql("SELECT count(*) FROM invoice_extractions") == "2");
  CHECK(stage.sql(
            "SELECT count(*) FROM audit_log WHERE table_name = 'invoices' AND reason = 'document read again'"
            " AND task_id = 't2' AND 'total_amount' = ANY (changed_fields)") == "1");
  REQUIRE(stage.port.sent().size() == 2);
  CHECK(stage.port.sent()[1].task_id == second.at("validation_task_id"));

  // The message once more: its answer, and nothing is read.
  stage.config.extract = nullptr;
  CHECK(nlohmann::json(stage.process(path, "t2", again)) == nlohmann::json(second));
  CHECK(stage.port.sent().size() == 2);
  CHECK(stage.failure(path, "t3", {{"again", "yes"}}) == "TypeError");
}

TEST_CASE("read again as what it was, an invoice is what it was") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  const std::string id = stage.process(path, "t1").at("invoice_id");
  const std::string state = stage.validate(id).at("status");
  stage.process(path, "t2", again);
  CHECK(stage.sql("SELECT status FROM invoices") == "PARSED");
  CHECK(stage.validate(id).at("status") == state);
  CHECK(stage.sql("SELECT count(*) FROM validations") == "1");
}

TEST_CASE("what people corrected survives another reading") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  stage.process(path, "t1");
  as_a_person(stage, "UPDATE invoices SET po_number = 'PO-7', total_amount = 118.99");
  as_a_person(stage, "UPDATE invoice_line_items SET quantity = 5 WHERE line_number = 2");
  stage.config.extract = better_reading;
  const Json result = stage.process(path, "t2", again);
  CHECK(result.at("kept") == Json{{"fields", {"po_number", "total_amount"}}, {"lines", {2}}});
  CHECK(stage.sql("SELECT po_number || ' ' || total_amount || ' ' || subtotal FROM invoices") ==
        "PO-7 118.99 60.00");
  CHECK(stage.sql("SELECT string_agg(line_number || '=' || quantity, ' ' ORDER BY line_number) FROM "
                  "invoice_line_items") == "1=3 2=5");
  CHECK(
      stage.sql(
          "SELECT count(*) FROM audit_log WHERE table_name = 'invoice_line_items' AND changed_by = 'anna'") ==
      "1");
  // Our own writers correct nothing in this sense.
  CHECK(stage.sql("SELECT corrected_fields FROM invoices") == "{po_number,total_amount}");
}

TEST_CASE("an approved invoice is not read again") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  stage.process(path, "t1");
  stage.sql("UPDATE invoices SET status = 'READY'");
  stage.config.extract = better_reading;
  CHECK(stage.failure(path, "t2", again) == "InvoiceNotEditable");
  CHECK(stage.sql("SELECT status || ' ' || total_amount FROM invoices") == "READY 119.00");
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items") == "2");
  CHECK(stage.sql("SELECT status || ' ' || error_code FROM processing_jobs WHERE task_id = 't2'") ==
        "failed InvoiceNotEditable");
}

TEST_CASE("many orders to read again at once leave one invoice") {
  InvoiceStage stage;
  const auto path = stage.document("%PDF one");
  stage.process(path, "t0");
  std::vector<std::thread> runs;
  std::atomic<int> failures{0};
  for (int i = 0; i < 6; ++i) {
    runs.emplace_back([&, i] {
      try {
        stage.process(path, "again-" + std::to_string(i), again);
      } catch (const std::exception&) {
        ++failures;
      }
    });
  }
  for (auto& run : runs) run.join();
  CHECK(failures == 0);
  CHECK(stage.sql("SELECT count(*) FROM invoices") == "1");
  CHECK(stage.sql("SELECT count(*) FROM invoice_line_items") == "2");
  CHECK(stage.sql("SELECT count(*) FROM invoices WHERE validation_sent_at IS NULL") == "0");
}

TEST_CASE("a database that is away is a passing failure") {
  InvoiceStage stage;
  stage.config.database_url = "postgresql://postgres@127.0.0.1:1/x";
  CHECK(stage.failure(stage.document("%PDF one"), "t1") == "OperationalError");
}
