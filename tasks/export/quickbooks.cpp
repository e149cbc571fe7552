#include "tasks/export/quickbooks.hpp"

#include "protocol/uuid.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <chrono>

namespace celeriac {
namespace {

constexpr std::string_view version = "minorversion=63";

struct Connection {
  std::string id, realm, api, token, refresh_token, account;
  bool ended = false;  // the token, or soon
};

TaskError unavailable(const std::string& why) { return invoice_error("QuickBooksUnavailable", why); }
TaskError refused(const std::string& why) { return invoice_error("QuickBooksRefused", why); }

Connection connection_of(Database& database, const ExportEndpoints& endpoints, const QuickBooksOrder& order) {
  if (!order.connection_id.empty() && !is_uuid(order.connection_id))
    throw BadArguments("connection_id is not a UUID");
  const Rows row = database.run(
      "SELECT id, realm_id, environment, coalesce(access_token, ''), refresh_token, "
      "coalesce(expense_account, ''), "
      "access_token IS NULL OR coalesce(token_expires_at < now() + interval '1 minute', true) FROM "
      "quickbooks_connections WHERE status = 'CONNECTED' AND user_id = $1 AND ($2::uuid IS NULL OR id = $2) "
      "ORDER BY "
      "created_at DESC LIMIT 1",
      {order.user_id, order.connection_id.empty() ? SqlValue() : SqlValue(order.connection_id)});
  if (row.empty())
    throw invoice_error("QuickBooksNotConnected",
                        "this user has no connected company: quickbooks_connections");
  Connection out{row.str(0, 0), row.str(0, 1),  "", row.str(0, 3), row.str(0, 4),
                 row.str(0, 5), row.truth(0, 6)};
  out.api = row.str(0, 2) == "production" ? "https://quickbooks.api.intuit.com"
                                          : "https://sandbox-quickbooks.api.intuit.com";
  if (const auto other = endpoints.find("quickbooks"); other != endpoints.end()) {
    const auto endpoint = read_endpoint(other->second);
    if (!endpoint)
      throw invoice_error("InvalidExport", "export_endpoints.quickbooks: " + endpoint.error().what);
    out.api = endpoint->url;
  }
  while (out.api.ends_with('/')) out.api.pop_back();
  return out;
}

void renew(Context& context, Database& database, const ExportEndpoints& endpoints, Connection& connection) {
  const auto named = endpoints.find("quickbooks_oauth");
  if (named == endpoints.end())
    throw invoice_error("QuickBooksNotConnected",
                        "the token has ended, and export_endpoints has no 'quickbooks_oauth' to renew it");
  const auto endpoint = read_endpoint(named->second);
  if (!endpoint)
    throw invoice_error("InvalidExport", "export_endpoints.quickbooks_oauth: " + endpoint.error().what);
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint->url;
  request.user = endpoint->user, request.password = endpoint->password;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
  request.body = "grant_type=refresh_token&refresh_token=" + url_encode(connection.refresh_token);
  request.max_body = 64 << 10;
  const HttpResult answer = http_fetch(std::move(request), [&] { return context.soft_limit_exceeded(); });
  if (!answer) throw unavailable(answer.error().message);
  if (answer->status >= 500 || answer->status == 429)
    throw unavailable(shown_url(endpoint->url) + " answered " + std::to_string(answer->status));
  const auto body = parse_json(answer->body);
  const auto text = [&](const char* name) {
    return body && body->is_object() && body->contains(name) && body->at(name).is_string()
               ? body->at(name).get<std::string>()
               : std::string();
  };
  if (answer->status != 200 || text("access_token").empty()) {
    const std::string why = "the refresh token is not accepted: " + std::to_string(answer->status);
    database.run(
        "UPDATE quickbooks_connections SET status = 'EXPIRED', error_message = $2, updated_at = now() WHERE "
        "id = $1",
        {connection.id, why});
    throw invoice_error("QuickBooksNotConnected", why + "; the company must be connected again");
  }
  const auto seconds = body->find("expires_in");
  const bool timed = seconds != body->end() && seconds->is_number();
  connection.token = text("access_token");
  // Intuit gives a new refresh token now and then; the old one ends.
  if (!text("refresh_token").empty()) connection.refresh_token = text("refresh_token");
  connection.ended = false;
  database.run(
      "UPDATE quickbooks_connections SET access_token = $2, refresh_token = $3, token_expires_at = now() + "
      "make_interval(secs => $4::double precision), error_message = NULL, updated_at = now() WHERE id = $1",
      {connection.id, connection.token, connection.refresh_token,
       timed ? dump_json(*seconds) : std::string("3600")});
}

class Company {
 public:
  Company(Context& context, Database& database, const ExportEndpoints& endpoints, Connection connection)
      : context_(context), database_(database), endpoints_(endpoints), connection_(std::move(connection)) {
    if (connection_.ended) renew(context_, database_, endpoints_, connection_);
  }
  const Connection& connection() const { return connection_; }

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
        renew(context_, database_, endpoints_, connection_);
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
  Connection connection_;
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
    throw invoice_error("InvalidExport",
                        "a bill needs a vendor, a line with an amount, and a total above zero");
  return row.str(0, 1);
}

}  // namespace

Json export_to_quickbooks(Context& context, Database& database, const ExportEndpoints& endpoints,
                          const std::string& invoice_id, const QuickBooksOrder& order) {
  const auto began = std::chrono::steady_clock::now();
  Json result = {{"task_id", context.task_id()}, {"invoice_id", invoice_id}, {"export_id", nullptr},
                 {"bill_id", nullptr},           {"status", "validated"},    {"dry_run", order.dry_run}};
  const std::string vendor = check_invoice(database, invoice_id);
  Connection connection = connection_of(database, endpoints, order);
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
      Connection connection = connection_of(database, endpoints, {ending.str(i, 1), ending.str(i, 0), false});
      renew(context, database, endpoints, connection);
      ++refreshed;
    } catch (const TaskError& error) {
      ++failed;
      context.log(3, std::string("a token of QuickBooks was not renewed: ") + error.what());
    }
  }
  return {{"refreshed", refreshed}, {"failed", failed}, {"total_processed", ending.size()}};
}

Json note_quickbooks_webhook(Database& database, const Json& data) {
  const auto list = [](const Json& in, const char* name) {
    const auto found = in.is_object() ? in.find(name) : in.end();
    return in.is_object() && found != in.end() && found->is_array() ? *found : Json::array();
  };
  const auto text = [](const Json& in, const char* name) {
    const auto found = in.is_object() ? in.find(name) : in.end();
    return in.is_object() && found != in.end() && found->is_string() ? found->get<std::string>()
                                                                     : std::string();
  };
  int entities = 0, known = 0;
  for (const auto& notice : list(data, "eventNotifications")) {
    const Json event = notice.is_object() ? notice.value("dataChangeEvent", Json::object()) : Json::object();
    for (const auto& entity : list(event, "entities")) {
      ++entities;
      if (text(entity, "name") != "Bill") continue;
      known += database
                   .run(
                       "UPDATE quickbooks_exports e SET remote_operation = $3, updated_at = now() FROM "
                       "quickbooks_connections c WHERE c.id = e.connection_id AND c.realm_id = $1 AND "
                       "e.bill_id = $2",
                       {clean_text(text(notice, "realmId"), 50), clean_text(text(entity, "id"), 50),
                        text_value(text(entity, "operation"), 20)})
                   .affected();
    }
  }
  return {{"status", "processed"}, {"entities", entities}, {"known_bills", known}};
}

}  // namespace celeriac
