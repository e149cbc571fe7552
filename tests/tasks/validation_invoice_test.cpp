#include "tests/tasks/process_fixture.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace celeriac;
using testing::InvoiceStage;
using testing::sample_invoice;

namespace {

std::string processed(InvoiceStage& stage, const std::string& bytes = "%PDF one") {
  return stage.process(stage.document(bytes), "task " + bytes).at("invoice_id");
}

std::string failure(InvoiceStage& stage, const std::string& invoice_id) {
  try {
    stage.validate(invoice_id);
  } catch (const TaskError& error) {
    return error.info().type;
  }
  return {};
}

}  // namespace

TEST_CASE("an invoice that adds up is validated, rule by rule") {
  InvoiceStage stage;
  const auto id = processed(stage);
  const Json verdict = stage.validate(id);
  CHECK(verdict.at("validation_passed") == true);
  CHECK(verdict.at("errors_count") == 0);
  CHECK(verdict.at("status") == "VALIDATED");
  CHECK(stage.sql("SELECT status || ' ' || workflow_state FROM invoices") == "VALIDATED validation_passed");
  CHECK(stage.sql("SELECT bool_and(passed) FROM invoice_validations") == "t");
  CHECK(stage.sql("SELECT count(*) FROM invoice_validations") == std::to_string(verdict.at("checks").size()));
  CHECK(stage.sql("SELECT concat_ws(' ', old_values->>'status', new_values->>'status', changed_by, reason)"
                  " FROM audit_log WHERE action = 'UPDATE'") == "PARSED VALIDATED test validation");
}

TEST_CASE("one that does not becomes an exception with the rule's code, expected and actual") {
  InvoiceStage stage;
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    auto invoice = sample_invoice();
    invoice.total_amount.value = "118.00";
    return invoice;
  };
  const Json verdict = stage.validate(processed(stage));
  CHECK(verdict.at("validation_passed") == false);
  CHECK(verdict.at("errors_count") == 1);
  CHECK(stage.sql("SELECT status || ' ' || workflow_state || ' ' || requires_review FROM invoices") ==
        "EXCEPTION validation_failed true");
  CHECK(stage.sql(
            "SELECT rule_code || ' ' || severity || ' ' || expected || ' ' || actual FROM invoice_validations"
            " WHERE NOT passed") == "TOTAL_MISMATCH error 119.00 118.00");
}

TEST_CASE("the same data is judged once, however often and by however many at once") {
  InvoiceStage stage;
  const auto id = processed(stage);
  std::vector<std::thread> runs;
  std::atomic<int> failures{0};
  for (int i = 0; i < 6; ++i) {
    runs.emplace_back([&] {
      try {
        stage.validate(id);
      } catch (const std::exception&) {
        ++failures;
      }
    });
  }
  for (auto& run : runs) run.join();
  CHECK(failures == 0);
  CHECK(stage.sql("SELECT count(*) FROM validations") == "1");
  CHECK(stage.sql("SELECT count(*) FROM audit_log WHERE action = 'UPDATE'") == "1");
  const Json first = stage.validate(id);
  CHECK(stage.validate(id) == first);
}

TEST_CASE("a verdict delivered again does not undo what people decided since; changed data is judged anew") {
  InvoiceStage stage;
  const auto id = processed(stage);
  stage.validate(id);
  stage.sql("UPDATE invoices SET status = 'READY'");
  stage.validate(id);
  CHECK(stage.sql("SELECT status FROM invoices") == "READY");
  stage.sql("UPDATE invoices SET total_amount = 1");
  stage.validate(id);
  CHECK(stage.sql("SELECT status FROM invoices") == "EXCEPTION");
  CHECK(stage.sql("SELECT count(*) FROM validations") == "2");
}

TEST_CASE("an invoice that was handed on keeps its state") {
  InvoiceStage stage;
  for (const std::string status : {"STAGED", "DONE"}) {
    const auto id = processed(stage, "%PDF " + status);
    for (const std::string step : {"VALIDATED", "STAGED", "DONE"}) {
      stage.sql("UPDATE invoices SET status = '" + step + "', total_amount = 1 WHERE id = '" + id + "'");
      if (step == status) break;
    }
    CHECK(stage.validate(id).at("validation_passed") == false);
    CHECK(stage.sql("SELECT status FROM invoices WHERE id = '" + id + "'") == status);
  }
}

TEST_CASE("an invoice that does not exist is a failure, and so is what is no id") {
  InvoiceStage stage;
  CHECK(failure(stage, "00000000-0000-4000-8000-000000000000") == "InvoiceNotFound");
  CHECK(failure(stage, "'; DROP TABLE invoices; --") == "TypeError");
}
