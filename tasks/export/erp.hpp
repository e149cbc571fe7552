// An invoice as the bookkeeping systems of others want it, and its way there.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

// Stages the invoice in the form of that system ("netsuite", "quickbooks", "xero"; "generic", "sap", "sage"
// and "oracle" get the plain form) and decides, in the same transaction, that it goes to the endpoint
// "<system>_<environment>", else "<system>", of export_endpoints. The same content again is the same export.
// {"invoice_id", "erp_system_type", "environment", "export_id", "status", "delivery_task_id"}. Throws
// TaskError InvalidExport, InvoiceNotFound, InvoiceNotReady.
Json export_to_erp(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                   const std::string& invoice_id, const std::string& system, const std::string& environment);

// POSTs a staged export unless that has happened; its id is the Idempotency-Key. Throws TaskError
// DeliveryFailed (worth another try) or DeliveryRefused. {"export_id", "status", "endpoint"}.
Json deliver_staged(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& export_id, const std::string& endpoint);

// An approved staged export becomes a file of its own, exports/approved/approved_export_<id>.<format>, and is
// SENT.
// {"status", "export_id", "approval_request_id", "file_path", "file_size"}. Throws TaskError
// ApprovalNotFound, ApprovalNotGiven, InvalidExport (the request is for something else).
Json export_approved(Context& context, Database& database, Storage& storage, const std::string& request_id);

}  // namespace celeriac
