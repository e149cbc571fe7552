#include "tasks/export/quickbooks.hpp"

#include "protocol/uuid.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/export/quickbooks_connection.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <chrono>

namespace celeriac {
namespace {

constexpr std::string_view version = "minorversion=63";

TaskError unavailable(const std::string& why) { return invoice_error("QuickBooksUnavailable", why); }
TaskError refused(const std::string& why) { return invoice_error("QuickBooksRefused", why); }

class Company {
 public:
  Company(Context& context, Database& database, const ExportEndpoints& endpoints,
          QuickBooksConnection connection)
      : context_(context), database_(database), endpoints_(endpoints), connection_(std::move(connection)) {
    if (connection_.ended) renew_tokens(context_, database_, endpoints_, connection_);
  }
  const QuickBooksConnection& connection() const { return connection_; }

  // The first of what a query finds; null when there is none.
  Json find(const std::string& entity, const std::string& condition) {
    const Json answer =
        ask("GET",
            "/query?" + std::string(version) +
                "&query=" + url_encode("select * from " + entity + " where " + condition + " maxresults 1"),
            "");
    const Json list = answer.value("QueryResponse", Json::object()).value(entity, Json::array());
    return list.is_array() && !list.empty() ? list.front() : Json(nullptr);
  }

  Json create(const std::string& entity, const std::string& document, const std::string& request_id) {
    std::string path = entity;
    path[0] = static_cast<char>(path[0] - 'A' + 'a');
    const Json answer = ask(
        "POST", "/" + path + "?" + std::string(version) + "&requestid=" + url_encode(request_id), document);
    return answer.value(entity, Json::object());
  }

 private:
  Json ask(const std::string& method, const std::string& path, const std::string& body) {
    for (bool renewed = false;; renewed = true) {
      HttpRequest request;
      request.method = method;
      request.url = connection_.api + "/v3/company/" + connection_.realm + path;
      request.headers = {{"Authorization", "Bearer " + connection_.token},
                         {"Accept", "application/json"},
                         {"Content-Type", "application/json"}};
      request.body = body;
      request.max_body = 4 << 20;
      const std::string shown = shown_url(request.url);
      const HttpResult answer =
          http_fetch(std::move(request), [&] { return context_.soft_limit_exceeded(); });
      if (!answer) throw unavailable(answer.error().message);
      if (answer->status == 401 && !renewed) {
        renew_tokens(context_, database_, endpoints_, connection_);
        continue;
      }
      const std::string why = shown + " answered " + std::to_string(answer->status);
      if (answer->status == 429 || answer->status >= 500) throw unavailable(why);
      if (answer->status < 200 || answer->status > 299)
        throw refused(why + ": " + clean_text(answer->body, 300));
      auto json = parse_json(answer->body);
      if (!json || !json->is_object()) throw unavailable(why + " with something that is no JSON object");
      return std::move(*json);
    }
  }

  Context& context_;
  Database& database_;
  const ExportEndpoints& endpoints_;
  QuickBooksConnection connection_;
};

// QuickBooks' query language quotes with a backslash.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string id_of(const Json& entity, const std::string& what) {
  if (!entity.is_object() || !entity.contains("Id") || !entity.at("Id").is_string())
    throw refused("QuickBooks gave no id for the " + what);
  return entity.at("Id").get<std::string>();
}

std::string vendor_id(Company& company, const std::string& name, const std::string& request_id) {
  const Json known = company.find("Vendor", "DisplayName = " + quoted(name));
  if (!known.is_null()) return id_of(known, "vendor");
  return id_of(company.create("Vendor", dump_json({{"DisplayName", name}}), request_id), "vendor");
}

std::string account_id(Company& company, Database& database) {
  if (!company.connection().account.empty()) return company.connection().account;
  const Json found = company.find("Account", "AccountType = 'Expense'");
  if (found.is_null())
    throw refused("the company has no expense account; set quickbooks_connections.expense_account");
  const std::string id = id_of(found, "account");
  database.run("UPDATE quickbooks_connections SET expense_account = $2, updated_at = now() WHERE id = $1",
               {company.connection().id, id});
  return id;
}

// The stored digits, as JSON that PostgreSQL makes; tax and freight are lines of their own.
std::string bill(Database& database, const std::string& invoice, const std::string& vendor,
                 const std::string& account) {
  return database
      .run(
          "WITH line AS (SELECT line_number AS n, description AS d, line_total AS a FROM invoice_line_items "
          "WHERE "
          "invoice_id = $1 AND line_total IS NOT NULL UNION ALL SELECT 1000001, 'Tax', tax_amount FROM "
          "invoices WHERE id "
          "= $1 AND tax_amount <> 0 UNION ALL SELECT 1000002, 'Freight', freight FROM invoices WHERE id = $1 "
          "AND freight "
          "<> 0) SELECT json_build_object('VendorRef', json_build_object('value', $2::text), 'DocNumber', "
          "left(i.invoice_number, 21), 'TxnDate', i.invoice_date, 'DueDate', i.due_date, 'PrivateNote', "
          "'Invoice ' || "
          "i.invoice_number, 'CurrencyRef', json_build_object('value', i.currency), 'Line', (SELECT "
          "json_agg(json_build_object('Amount', a, 'Description', d, 'DetailType', "
          "'AccountBasedExpenseLineDetail', "
          "'AccountBasedExpenseLineDetail', json_build_object('AccountRef', json_build_object('value', "
          "$3::text), "
          "'BillableStatus', 'NotBillable')) ORDER BY n) FROM line)) FROM invoices i WHERE i.id = $1",
          {invoice, vendor, account})
      .str(0, 0);
}

// The vendor's name; throws when no bill can be made of the invoice.
std::string check_invoice(Database& database, const std::string& invoice_id) {
  if (!is_uuid(invoice_id)) throw BadArguments("invoice_id is not a UUID");
  const Rows row = database.run(
      "SELECT status, coalesce(vendor_name, ''), coalesce(total_amount > 0, false), EXISTS (SELECT FROM "
      "invoice_line_items WHERE invoice_id = i.id AND line_total IS NOT NULL), total_amount FROM invoices i "
      "WHERE id = $1",
      {invoice_id});
  if (row.empty()) throw invoice_error("InvoiceNotFound", "there is no invoice " + invoice_id);
  const std::string status = row.str(0, 0);
  if (status != "VALIDATED" && status != "READY" && status != "STAGED" && status != "DONE")
    throw invoice_error("InvoiceNotReady",
                        "invoice " + invoice_id + " is " + status + "; validate or approve it first");
  if (row.str(0, 1).empty() || !row.truth(0, 2) || !row.truth(0, 3))
    invalid_export("a bill needs a vendor, a line with an amount, and a total above zero");
  return row.str(0, 1);
}

}  // namespace

Json export_to_quickbooks(Context& context, Database& database, const ExportEndpoints& endpoints,
                          const std::string& invoice_id, const QuickBooksOrder& order) {
  const auto began = std::chrono::steady_clock::now();
  Json result = {{"task_id", context.task_id()}, {"invoice_id", invoice_id}, {"export_id", nullptr},
                 {"bill_id", nullptr},           {"status", "validated"},    {"dry_run", order.dry_run}};
  const std::string vendor = check_invoice(database, invoice_id);
  QuickBooksConnection connection = find_connection(database, endpoints, order.user_id, order.connection_id);
  if (order.dry_run) return result;
  // Whoever comes first chooses the request's id; all others repeat that request.
  database.run(
      "INSERT INTO quickbooks_exports (id, connection_id, invoice_id, request_id, task_id) VALUES ($1, $2, "
      "$3, $4, $5) ON "
      "CONFLICT (connection_id, invoice_id) DO UPDATE SET status = 'processing', error_message = NULL, "
      "updated_at = "
      "now() WHERE quickbooks_exports.status = 'failed'",
      {uuid4(), connection.id, invoice_id, uuid4(), clean_text(context.task_id(), 255)});
  const Rows row = database.run(
      "SELECT id, status, request_id, bill_id FROM quickbooks_exports WHERE connection_id = $1 AND "
      "invoice_id = $2",
      {connection.id, invoice_id});
  const std::string export_id = row.str(0, 0), request_id = row.str(0, 2);
  std::string bill_id = row.str(0, 3);
  if (row.str(0, 1) != "success") {
    try {
      Company company(context, database, endpoints, std::move(connection));
      const std::string vendor_ref = vendor_id(company, vendor, "v" + request_id);
      const std::string account = account_id(company, database);
      bill_id =
          id_of(company.create("Bill", bill(database, invoice_id, vendor_ref, account), request_id), "bill");
    } catch (const TaskError& error) {
      database.run(
          "UPDATE quickbooks_exports SET status = 'failed', error_message = $2, updated_at = now() WHERE id "
          "= $1 AND "
          "status <> 'success'",
          {export_id, clean_text(error.what(), 2000)});
      throw;
    }
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began)
            .count();
    database.run(
        "UPDATE quickbooks_exports SET status = 'success', bill_id = $2, processing_time_ms = $3, "
        "error_message = NULL, "
        "updated_at = now() WHERE id = $1",
        {export_id, bill_id, std::to_string(took)});
  }
  result["export_id"] = export_id, result["bill_id"] = bill_id, result["status"] = "success";
  return result;
}

Json export_batch_to_quickbooks(Context& context, Database& database, const ExportEndpoints& endpoints,
                                const std::vector<std::string>& invoice_ids, const QuickBooksOrder& order) {
  const auto began = std::chrono::steady_clock::now();
  Json errors = Json::array(), bills = Json::array();
  int valid = 0, good = 0;
  for (const auto& id : invoice_ids) {
    context.checkpoint();
    try {
      const Json one = export_to_quickbooks(context, database, endpoints, id, order);
      ++valid, ++good;
      if (!order.dry_run) bills.push_back({{"invoice_id", id}, {"bill_id", one.at("bill_id")}});
    } catch (const TaskError& error) {
      const auto& type = error.info().type;
      if (type == "QuickBooksUnavailable") throw;  // the next attempt finds what was made already
      if (type == "QuickBooksRefused") ++valid;
      errors.push_back({{"invoice_id", clean_text(id, 100)}, {"error", error.what()}});
    }
  }
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
  return {{"task_id", context.task_id()},
          {"total_invoices", invoice_ids.size()},
          {"valid_invoices", valid},
          {"result",
           {{"total", invoice_ids.size()},
            {"success", good},
            {"failed", errors.size()},
            {"errors", errors},
            {"created_bills", bills}}},
          {"processing_time_ms", took}};
}

Json refresh_quickbooks_tokens(Context& context, Database& database, const ExportEndpoints& endpoints) {
  const Rows ending = database.run(
      "SELECT id, user_id FROM quickbooks_connections WHERE status = 'CONNECTED' AND "
      "coalesce(token_expires_at < now() + "
      "interval '1 hour', true) ORDER BY token_expires_at");
  int refreshed = 0, failed = 0;
  for (int i = 0; i < ending.size(); ++i) {
    try {
      QuickBooksConnection connection =
          find_connection(database, endpoints, ending.str(i, 1), ending.str(i, 0));
      renew_tokens(context, database, endpoints, connection);
      ++refreshed;
    } catch (const TaskError& error) {
      ++failed;
      context.log(log_warning, std::string("a token of QuickBooks was not renewed: ") + error.what());
    }
  }
  return {{"refreshed", refreshed}, {"failed", failed}, {"total_processed", ending.size()}};
}

}  // namespace celeriac
