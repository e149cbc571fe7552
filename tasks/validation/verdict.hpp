// A verdict as rows and as a document.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "tasks/validation/collect_facts.hpp"
#include "tasks/validation/rules.hpp"

#include <string>
#include <vector>

namespace celeriac {

// Writes validations, invoice_validations, exceptions and duplicate_records, and moves the invoice.
void record_verdict(Database& database, const StoredInvoice& invoice, const RuleSet& rules,
                    const std::vector<Check>& checks);

// An invoice that was read again as what it was before: nothing new is judged, but its exceptions and its
// state are what the earlier verdict made of them.
void apply_verdict_again(Database& database, const StoredInvoice& invoice, const RuleSet& rules,
                         const std::vector<Check>& checks);

// What these rules said of this very data; null when they have not.
Json read_verdict(Database& database, const StoredInvoice& invoice, const RuleSet& rules);

}  // namespace celeriac
