// Reads what the rules look at out of the database.
#pragma once

#include "tasks/store/database.hpp"
#include "tasks/validation/facts.hpp"
#include "tasks/validation/status.hpp"

#include <string>

namespace celeriac {

struct StoredInvoice {
  std::string id;
  InvoiceFacts facts;
  InvoiceStatus status = InvoiceStatus::received;
  std::string digest;  // SHA-256 of the facts: the same digest is the same case
};

// Locks the invoice until the end of the transaction: two validators of one invoice take turns.
// Throws TaskError("InvoiceNotFound").
StoredInvoice collect_facts(Database& database, const std::string& invoice_id);

}  // namespace celeriac
