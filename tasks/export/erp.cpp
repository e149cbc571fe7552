#include "tasks/export/erp.hpp"

#include "protocol/uuid.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/outbox.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/validation/status.hpp"

#include <algorithm>
#include <array>

namespace celeriac {
namespace {

constexpr std::uint64_t max_file = 64u << 20;

// PostgreSQL makes the documents, so amounts are the digits that are stored. `lines` and `i` are given.
constexpr std::string_view plain_form =
    "json_build_object('invoice', json_build_object('vendor_name', i.vendor_name, 'invoice_number', "
    "i.invoice_number, 'invoice_date', i.invoice_date, 'due_date', i.due_date, 'po_number', i.po_number, "
    "'currency', "
    "i.currency, 'subtotal', i.subtotal, 'tax_amount', i.tax_amount, 'total_amount', i.total_amount), "
    "'line_items', "
    "(SELECT coalesce(json_agg(json_build_object('line_number', l.line_number, 'description', l.description, "
    "'quantity', l.quantity, 'unit_price', l.unit_price, 'amount', l.line_total) ORDER BY l.line_number), "
    "'[]') FROM "
    "lines l), 'metadata', json_build_object('invoice_id', i.id, 'vendor_id', i.vendor_id, 'document_type', "
    "i.document_type))";

struct Form {
  std::string_view system, sql;
};
constexpr std::array<Form, 7> forms = {{
    {"generic", plain_form},
    {"sap", plain_form},
    {"sage", plain_form},
    {"oracle", plain_form},
    {"netsuite",
     "json_build_object('vendorName', i.vendor_name, 'tranId', i.invoice_number, 'tranDate', i.invoice_date, "
     "'dueDate', "
     "i.due_date, 'currency', i.currency, 'memo', 'Invoice ' || i.invoice_number, 'expenseList', (SELECT "
     "coalesce(json_agg(json_build_object('account', 'Accounts Payable', 'amount', l.line_total, 'memo', "
     "l.description) "
     "ORDER BY l.line_number), '[]') FROM lines l))"},
    {"quickbooks",
     "json_build_object('VendorRef', json_build_object('name', i.vendor_name), 'DocNumber', "
     "i.invoice_number, 'TxnDate', "
     "i.invoice_date, 'DueDate', i.due_date, 'CurrencyRef', json_build_object('value', i.currency), "
     "'PrivateNote', "
     "'Invoice ' || i.invoice_number, 'Line', (SELECT coalesce(json_agg(json_build_object('Amount', "
     "l.line_total, "
     "'Description', l.description, 'DetailType', 'AccountBasedExpenseLineDetail', "
     "'AccountBasedExpenseLineDetail', "
     "json_build_object('AccountRef', json_build_object('value', '1'), 'BillableStatus', 'NotBillable')) "
     "ORDER BY "
     "l.line_number), '[]') FROM lines l))"},
    {"xero",
     "json_build_object('Type', 'ACCPAY', 'Contact', json_build_object('Name', i.vendor_name), 'Date', "
     "i.invoice_date, "
     "'DueDate', i.due_date, 'CurrencyCode', i.currency, 'InvoiceNumber', i.invoice_number, 'Reference', "
     "i.po_number, "
     "'LineItems', (SELECT coalesce(json_agg(json_build_object('Description', l.description, 'Quantity', "
     "l.quantity, "
     "'UnitAmount', l.unit_price, 'LineAmount', l.line_total, 'AccountCode', '200', 'TaxType', 'NONE') ORDER "
     "BY "
     "l.line_number), '[]') FROM lines l))"},
}};

std::string endpoint_for(const ExportEndpoints& endpoints, const std::string& system,
                         const std::string& environment) {
  for (const auto& name : {system + "_" + environment, system})
    if (endpoints.contains(name)) return name;
  invalid_export("export_endpoints has neither '" + system + "_" + environment + "' nor '" + system + "'");
}

}  // namespace

Json export_to_erp(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                   const std::string& invoice_id, const std::string& system, const std::string& environment) {
  if (!is_uuid(invoice_id)) throw BadArguments("export_to_erp_system: invoice_id is not a UUID");
  const auto form = std::ranges::find(forms, std::string_view(system), &Form::system);
  if (form == forms.end()) invalid_export("no form is known for the system '" + clean_text(system, 50) + "'");
  if (environment != "sandbox" && environment != "production" && environment != "development")
    invalid_export("the environment is sandbox, production or development");
  const std::string endpoint = endpoint_for(endpoints, system, environment);
  const std::string destination = "erp:" + system + ":" + environment;
  std::string export_id;
  Effect delivery;
  database.transaction([&] {
    audit_as(database, {context.task(), "export to " + system, context.task_id(), ""});
    const Rows row = database.run(
        "WITH lines AS (SELECT * FROM invoice_line_items WHERE invoice_id = $1) SELECT " +
            std::string(form->sql) + ", i.status FROM invoices i WHERE i.id = $1 FOR UPDATE OF i",
        {invoice_id});
    if (row.empty()) throw invoice_error("InvoiceNotFound", "there is no invoice " + invoice_id);
    const auto from = parse_invoice_status(row.text(0, 1)).value();
    if (!may_become(from, InvoiceStatus::staged) && from != InvoiceStatus::done)
      throw invoice_error("InvoiceNotReady", "invoice " + invoice_id + " is " + row.str(0, 1) +
                                                 "; validate or approve it first");
    const std::string document = row.str(0, 0), digest = sha256_hex(document);
    const std::string name = "invoice_" + invoice_id + "_" + system + "_" + digest.substr(0, 12) + ".json";
    const auto reader = read_memory(document);
    StoredObject stored;
    try {
      stored = storage.put_as(*reader, "exports/" + name, max_file);
    } catch (const StorageError& error) {
      throw invoice_error("StorageUnavailable", error.what());
    }
    database.run(
        "INSERT INTO staged_exports (id, invoice_id, payload_json, payload_digest, format, destination, "
        "file_name, "
        "file_size, storage_url) VALUES ($1, $2, $3, $4, 'JSON', $5, $6, $7, $8) ON CONFLICT (invoice_id, "
        "format, "
        "destination, payload_digest) DO NOTHING",
        {uuid4(), invoice_id, document, digest, destination, name, std::to_string(stored.size), stored.uri});
    export_id = database
                    .run(
                        "SELECT id FROM staged_exports WHERE invoice_id = $1 AND format = 'JSON' AND "
                        "destination = $2 "
                        "AND payload_digest = $3",
                        {invoice_id, destination, digest})
                    .str(0, 0);
    if (from != InvoiceStatus::done)
      database.run(
          "UPDATE invoices SET status = 'STAGED', workflow_state = 'export_staged', updated_at = now() WHERE "
          "id = $1",
          {invoice_id});
    delivery = {"staged:" + export_id,
                "task",
                "export.deliver_staged",
                {{"args", Json::array({export_id, endpoint})}, {"queue", "export"}}};
    add_effect(database, delivery);
  });
  const std::string task = send_once(context, database, delivery);
  const Rows now = database.run("SELECT lower(status::text) FROM staged_exports WHERE id = $1", {export_id});
  return {{"invoice_id", invoice_id}, {"erp_system_type", system}, {"environment", environment},
          {"export_id", export_id},   {"status", now.str(0, 0)},   {"delivery_task_id", task}};
}

Json deliver_staged(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& export_id, const std::string& endpoint) {
  if (!is_uuid(export_id)) throw BadArguments("deliver_staged: export_id is not a UUID");
  const Json result = {{"export_id", export_id}, {"status", "sent"}, {"endpoint", endpoint}};
  try {
    // The row stays locked until the receiver has answered: of any number of runs one sends.
    database.transaction([&] {
      audit_as(database, {context.task(), "delivery", context.task_id(), ""});
      const Rows row = database.run(
          "SELECT status, storage_url, payload_digest FROM staged_exports WHERE id = $1 FOR UPDATE",
          {export_id});
      if (row.empty()) throw invoice_error("ExportJobNotFound", "there is no staged export " + export_id);
      if (row.str(0, 0) == "SENT") return;
      const auto named = endpoints.find(endpoint);
      if (named == endpoints.end())
        throw invoice_error("DeliveryRefused", "export_endpoints has no '" + clean_text(endpoint, 100) + "'");
      const auto to = read_endpoint(named->second);
      if (!to)
        throw invoice_error("DeliveryRefused", "export_endpoints." + named->first + ": " + to.error().what);
      HttpRequest request;
      request.method = "POST";
      request.url = to->url;
      request.headers = {{"Content-Type", "application/json"},
                         {"Idempotency-Key", "\"" + export_id + "\""},
                         {"X-Content-SHA256", row.str(0, 2)}};
      if (!to->bearer.empty()) request.headers.emplace_back("Authorization", "Bearer " + to->bearer);
      request.user = to->user, request.password = to->password;
      request.body = storage.get(row.str(0, 1), max_file);
      request.max_body = 1 << 20;
      const HttpResult answer = http_fetch(std::move(request), [&] { return context.soft_limit_exceeded(); });
      if (!answer) throw invoice_error("DeliveryFailed", answer.error().message);
      const int status = answer->status;
      if (status < 200 || status > 299) {
        const bool passing = status == 408 || status == 425 || status == 429 || status >= 500;
        throw invoice_error(passing ? "DeliveryFailed" : "DeliveryRefused",
                            shown_url(to->url) + " answered " + std::to_string(status) + ": " +
                                clean_text(answer->body, 300));
      }
      database.run(
          "UPDATE staged_exports SET status = 'SENT', error_message = NULL, updated_at = now() WHERE id = $1",
          {export_id});
    });
  } catch (const TaskError& error) {
    database.run(
        "UPDATE staged_exports SET status = $2, error_message = $3, updated_at = now() WHERE id = $1 AND "
        "status <> "
        "'SENT'",
        {export_id, error.info().type == "DeliveryRefused" ? "FAILED" : "PREPARED",
         clean_text(error.what(), 2000)});
    throw;
  }
  return result;
}

Json export_approved(Context& context, Database& database, Storage& storage, const std::string& request_id) {
  if (!is_uuid(request_id))
    throw BadArguments("process_staged_export_approval: approval_request_id is not a UUID");
  return database.transaction([&]() -> Json {
    audit_as(database, {context.task(), "approved export", context.task_id(), ""});
    const Rows request = database.run(
        "SELECT entity_type, entity_id, status FROM approval_requests WHERE id = $1", {request_id});
    if (request.empty())
      throw invoice_error("ApprovalNotFound", "there is no approval request " + request_id);
    if (request.str(0, 0) != "staged_export")
      invalid_export("the request is for a " + request.str(0, 0) + ", not for a staged export");
    if (request.str(0, 2) != "APPROVED")
      throw invoice_error("ApprovalNotGiven",
                          "the request is " + request.str(0, 2) + "; it must be approved first");
    const Rows row = database.run(
        "SELECT id, lower(format::text), storage_url, status FROM staged_exports WHERE id = $1 FOR UPDATE",
        {request.str(0, 1)});
    if (row.empty())
      throw invoice_error("ExportJobNotFound", "there is no staged export " + request.str(0, 1));
    const std::string document = storage.get(row.str(0, 2), max_file);
    const auto reader = read_memory(document);
    const auto stored = storage.put_as(
        *reader, "exports/approved/approved_export_" + row.str(0, 0) + "." + row.str(0, 1), max_file);
    database.run(
        "UPDATE staged_exports SET status = 'SENT', error_message = NULL, updated_at = now() WHERE id = $1 "
        "AND "
        "status <> 'SENT'",
        {row.str(0, 0)});
    return {{"status", "exported"},
            {"export_id", row.str(0, 0)},
            {"approval_request_id", request_id},
            {"file_path", stored.uri},
            {"file_size", stored.size}};
  });
}

}  // namespace celeriac
