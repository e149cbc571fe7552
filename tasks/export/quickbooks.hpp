// Bills in QuickBooks, over its REST interface.
//
// A connection is a row of quickbooks_connections, made by whoever asked the person for consent. Its tokens
// are renewed with the application's own id and secret: the endpoint "quickbooks_oauth" of export_endpoints,
// https://client_id:secret@oauth.platform.intuit.com/oauth2/v1/tokens/bearer. An endpoint "quickbooks"
// replaces Intuit's own servers.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/store/database.hpp"
#include "worker/context.hpp"

#include <string>
#include <vector>

namespace celeriac {

struct QuickBooksOrder {
  std::string user_id, connection_id;  // connection_id empty: the user's newest
  bool dry_run = false;                // look whether it would be taken, and send nothing
};

// One bill for an invoice in a company, however often it is asked for: the request carries an id that
// QuickBooks knows again. {"task_id", "invoice_id", "export_id", "bill_id", "status", "dry_run"}. Throws
// TaskError QuickBooksUnavailable (worth another try), QuickBooksRefused, QuickBooksNotConnected,
// InvoiceNotFound, InvoiceNotReady, InvalidExport.
Json export_to_quickbooks(Context& context, Database& database, const ExportEndpoints& endpoints,
                          const std::string& invoice_id, const QuickBooksOrder& order);

// Each by itself; what fails is told and hinders nobody. {"task_id", "total_invoices", "valid_invoices",
// "result":
// {"total", "success", "failed", "errors", "created_bills"}, "processing_time_ms"}.
Json export_batch_to_quickbooks(Context& context, Database& database, const ExportEndpoints& endpoints,
                                const std::vector<std::string>& invoice_ids, const QuickBooksOrder& order);

// Renews the tokens that end within the hour. {"refreshed", "failed", "total_processed"}.
Json refresh_quickbooks_tokens(Context& context, Database& database, const ExportEndpoints& endpoints);

// Notes what happened to our bills there. {"status", "entities", "known_bills"}. `webhook_data` is the
// request's body, as text or read. With a `verifier_token` it must be what Intuit has signed: `signature` is
// the header intuit-signature, base64 of the body's HMAC-SHA256 with that token; of a body that was read, in
// Intuit's own form without spaces. Throws TaskError WebhookNotSigned, BadArguments.
Json note_quickbooks_webhook(Database& database, const std::string& verifier_token, const Json& webhook_data,
                             const Json& signature);

}  // namespace celeriac
