// Runs of the ledger as HTML.
#pragma once

#include "queues/ledger.hpp"

#include <string>
#include <vector>

namespace celeriac::http {

std::string runs_html(const std::string& caption, const std::vector<LedgerRow>& rows, const char* none);
// All that is known of a task's runs: a line of time through all of them, then each. Newest first.
std::string history_html(const std::vector<LedgerRow>& rows);

}  // namespace celeriac::http
