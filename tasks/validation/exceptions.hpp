// The rows of exceptions: opened and closed by verdicts, resolved by people.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "tasks/validation/collect_facts.hpp"
#include "tasks/validation/rules.hpp"

#include <string>
#include <vector>

namespace celeriac {

// Within the verdict's transaction: every failed rule of severity error has one open row, whatever was
// open and holds now is resolved by "system". Asks for approval where the category needs it.
void record_exceptions(Database& database, const StoredInvoice& invoice, const std::string& validation_id,
                       const std::vector<Check>& checks);

struct Resolution {
  std::string exception_id, action, notes, resolved_by;
  Json data = Json::object();
  bool approve_invoice = false;  // when nothing else is open, the invoice becomes READY
};

// In a transaction of its own. Returns {"exception_id", "invoice_id", "status", "invoice_status",
// "open_exceptions"}; resolving what is resolved answers the same again. Throws TaskError ExceptionNotFound,
// ResolutionRefused.
Json resolve_exception(Database& database, const Resolution& resolution);

}  // namespace celeriac
