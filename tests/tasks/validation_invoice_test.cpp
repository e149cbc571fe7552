#include "tasks/validation/approvals.hpp"
#include "tasks/validation/exceptions.hpp"
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

namespace {

// An invoice whose total is wrong and whose vendor is inactive.
std::string troubled(InvoiceStage& stage) {
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    auto invoice = sample_invoice();
    invoice.total_amount.value = "118.00";
    return invoice;
  };
  stage.sql(
      "INSERT INTO vendors (id, name, currency, status) VALUES (gen_random_uuid(), 'Muster', 'EUR', "
      "'INACTIVE')");
  return processed(stage);
}

std::string open_exceptions(InvoiceStage& stage) {
  return stage.sql(
      "SELECT string_agg(reason_code || '/' || status, ' ' ORDER BY reason_code) FROM exceptions");
}

template <class Body>
auto with_database(InvoiceStage& stage, Body body) {
  Database database(stage.config.database_url);
  return database.transaction([&] { return body(database); });
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const TaskError& error) {
    return error.info().type;
  }
  return {};
}

}  // namespace

TEST_CASE("each fault is one open exception, however often it is found, and is closed when it is gone") {
  InvoiceStage stage;
  const auto id = troubled(stage);
  stage.validate(id);
  CHECK(open_exceptions(stage) == "INACTIVE_VENDOR/OPEN TOTAL_MISMATCH/OPEN");
  stage.sql("UPDATE invoices SET tax_amount = 17.00");  // judged anew, wrong still
  stage.validate(id);
  CHECK(open_exceptions(stage) == "INACTIVE_VENDOR/OPEN TOTAL_MISMATCH/OPEN");
  CHECK(stage.sql("SELECT details_json->'suggested_actions'->>0 FROM exceptions WHERE category = 'MATH'") ==
        "RECALCULATE");
  stage.sql("UPDATE invoices SET tax_amount = 18.00");
  stage.validate(id);
  CHECK(open_exceptions(stage) == "INACTIVE_VENDOR/OPEN TOTAL_MISMATCH/RESOLVED");
  CHECK(stage.sql("SELECT resolved_by || ': ' || resolution_notes FROM exceptions WHERE category = 'MATH'") ==
        "system: no longer found");
}

TEST_CASE("a breach of vendor policy asks for approval once; two people approve, and the invoice is ready") {
  InvoiceStage stage;
  const auto id = troubled(stage);
  stage.validate(id);
  stage.sql("UPDATE invoices SET tax_amount = 17.00");
  stage.validate(id);
  CHECK(stage.sql("SELECT count(*) || ' ' || min(status) FROM approval_requests") == "1 PENDING");
  const std::string request = stage.sql("SELECT id FROM approval_requests");
  const auto decide = [&](const std::string& by, const std::string& decision) {
    return with_database(stage, [&](Database& db) {
      return decide_approval(db, {request, decision, by, ""});
    });
  };
  CHECK(decide("anna", "APPROVE").at("status") == "IN_REVIEW");
  CHECK(decide("anna", "APPROVE").at("status") == "IN_REVIEW");  // the message came twice: one voice
  CHECK(decide("bert", "APPROVE").at("status") == "APPROVED");
  CHECK(decide("bert", "APPROVE").at("status") == "APPROVED");
  CHECK(refusal([&] { decide("carl", "REJECT"); }) == "ApprovalClosed");
  CHECK(refusal([&] { decide("carl", "MAYBE"); }) == "ValueError");
  CHECK(stage.sql("SELECT status FROM invoices") == "READY");
  CHECK(open_exceptions(stage) == "INACTIVE_VENDOR/RESOLVED TOTAL_MISMATCH/RESOLVED");
  stage.validate(id);  // a message delivered again does not undo it
  CHECK(stage.sql("SELECT status FROM invoices") == "READY");
}

TEST_CASE("a step is for those who bear its role, or who were assigned to it") {
  InvoiceStage stage;
  stage.validate(troubled(stage));
  const std::string request = stage.sql("SELECT id FROM approval_requests");
  const auto decide = [&](const std::string& by) {
    return with_database(stage, [&](Database& db) {
      return decide_approval(db, {request, "APPROVE", by, ""});
    });
  };
  const std::string anna = "00000000-0000-4000-8000-00000000000a",
                    bert = "00000000-0000-4000-8000-00000000000b";
  stage.sql("INSERT INTO users (id, email) VALUES ('" + anna + "', 'anna@x.example'), ('" + bert +
            "', 'bert@x.example')");
  stage.sql("INSERT INTO approver_roles (user_id, role) VALUES ('" + anna + "', 'ap_manager')");
  CHECK(refusal([&] { decide(bert); }) == "NotAnApprover");
  CHECK(stage.sql("SELECT count(*) FROM approval_decisions") == "0");
  CHECK(decide("anna@x.example").at("current_step") == 2);
  stage.sql(
      "INSERT INTO approver_assignments (id, request_id, step_id, user_id) SELECT gen_random_uuid(), '" +
      request + "', id, '" + bert + "' FROM approval_steps WHERE approval_role = 'controller'");
  CHECK(refusal([&] { decide("carl"); }) == "NotAnApprover");
  CHECK(decide(bert).at("status") == "APPROVED");
  CHECK(stage.sql("SELECT count(*) > 0 FROM audit_log WHERE table_name = 'approver_roles'") == "t");
}

TEST_CASE("a rejected invoice stays an exception") {
  InvoiceStage stage;
  stage.validate(troubled(stage));
  const std::string request = stage.sql("SELECT id FROM approval_requests");
  with_database(stage, [&](Database& db) {
    return decide_approval(db, {request, "REJECT", "anna", "not ours"});
  });
  CHECK(stage.sql("SELECT status || ' ' || workflow_state FROM invoices") == "EXCEPTION rejected");
}

TEST_CASE("people resolve what the category allows, and the last one may release the invoice") {
  InvoiceStage stage;
  stage.validate(troubled(stage));
  const auto resolve = [&](const std::string& code, const std::string& action, const Json& data,
                           bool approve) {
    const Resolution resolution{stage.sql("SELECT id FROM exceptions WHERE reason_code = '" + code + "'"),
                                action,
                                "seen",
                                "anna",
                                data,
                                approve};
    return with_database(stage, [&](Database& db) { return resolve_exception(db, resolution); });
  };
  CHECK(refusal([&] { resolve("INACTIVE_VENDOR", "AUTO_APPROVE", Json::object(), false); }) ==
        "ResolutionRefused");
  CHECK(refusal([&] {
          resolve("TOTAL_MISMATCH", "DATA_CORRECTION", {{"field", "id"}, {"value", "1"}}, false);
        }) == "ResolutionRefused");
  CHECK(refusal([&] {
          resolve("TOTAL_MISMATCH", "DATA_CORRECTION", {{"field", "total_amount"}, {"value", "1e3"}}, false);
        }) == "ResolutionRefused");
  CHECK(resolve("TOTAL_MISMATCH", "DATA_CORRECTION", {{"field", "total_amount"}, {"value", "119.00"}}, true)
            .at("open_exceptions") == 1);
  CHECK(stage.sql("SELECT status || ' ' || total_amount FROM invoices") == "EXCEPTION 119.00");
  const Json done = resolve("INACTIVE_VENDOR", "MANUAL_APPROVAL", Json::object(), true);
  CHECK(done.at("invoice_status") == "READY");
  CHECK(resolve("INACTIVE_VENDOR", "MANUAL_APPROVAL", Json::object(), true) == done);
}

TEST_CASE("order and receipts are matched, and the invoice knows its vendor and order from then on") {
  InvoiceStage stage;
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    auto invoice = sample_invoice();
    invoice.po_number = invoice.invoice_number;
    invoice.po_number.value = "po 7";
    return invoice;
  };
  stage.sql(
      "INSERT INTO vendors (id, name, currency) VALUES ('00000000-0000-4000-8000-000000000011', 'MUSTER', "
      "'EUR')");
  stage.sql(
      "INSERT INTO purchase_orders (id, po_no, vendor_id, lines_json, total_amount, currency, status, "
      "order_date) VALUES"
      " ('00000000-0000-4000-8000-000000000021', 'PO-7', '00000000-0000-4000-8000-000000000011',"
      " '[{\"description\": \"Bolts\", \"quantity\": \"3\"}]', 119, 'EUR', 'SENT', '2024-02-01')");
  stage.sql(
      "INSERT INTO goods_receipt_notes (id, grn_no, po_id, lines_json, received_at) VALUES "
      "(gen_random_uuid(), 'G-1',"
      " '00000000-0000-4000-8000-000000000021', '[{\"description\": \"bolts\", \"quantity\": 2}]', now())");
  const auto id = processed(stage);
  const Json verdict = stage.validate(id);
  CHECK(verdict.at("validation_passed") == true);
  CHECK(stage.sql(
            "SELECT string_agg(rule_code || ' ' || expected || ' ' || actual, ',') FROM invoice_validations"
            " WHERE NOT passed AND category = 'MATCHING'") == "GRN_QUANTITY_MISMATCH 2.00 3.00");
  CHECK(stage.sql("SELECT right(vendor_id::text, 2) || right(purchase_order_id::text, 2) FROM invoices") ==
        "1121");
}

TEST_CASE(
    "of two invoices that are the same only the later one is a duplicate, however often both are judged") {
  InvoiceStage stage;
  const auto first = processed(stage, "%PDF first"), second = processed(stage, "%PDF second");
  for (int round = 0; round < 2; ++round) {
    CHECK(stage.validate(first).at("validation_passed") == true);
    CHECK(stage.validate(second).at("validation_passed") == false);
  }
  CHECK(
      stage.sql("SELECT count(*) || ' ' || min(strategy) || ' ' || min(confidence) FROM duplicate_records") ==
      "1 VENDOR_NUMBER 1.000");
  CHECK(open_exceptions(stage) == "DUPLICATE_INVOICE/OPEN");
}

TEST_CASE("a subtotal that everything else disproves is put right and recorded") {
  InvoiceStage stage;
  stage.config.extract = [](std::string_view, const ExtractOptions&) -> Extracted<ExtractedInvoice> {
    auto invoice = sample_invoice();
    invoice.subtotal.value = "90.00";
    return invoice;
  };
  CHECK(stage.validate(processed(stage)).at("validation_passed") == true);
  CHECK(stage.sql("SELECT subtotal FROM invoices") == "100.00");
  CHECK(stage.sql("SELECT old_values->>'subtotal' FROM audit_log WHERE reason LIKE 'corrected%'") == "90.00");
}
