// How well the application keeps what it promises, measured from its own tables.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"

#include <string>

namespace celeriac {

// The objectives that are measured here, as rows of slo_definitions; those that exist stay as somebody
// changed them. {"success", "slos_created", "total_slos"}.
Json initialize_default_slos(Database& database);

// One row of sli_measurements for each objective for which something happened in the last `hours_back` full
// hours, and an alert where the budget burns too fast. The same hours are measured once, unless `force`.
// {"success", "period", "period_start", "period_end", "measurements_created", "alerts_created",
// "calculated_at"}.
Json calculate_sli_measurements(Database& database, const std::string& period, int hours_back, bool force);

// {"sli_measurements", "slo_alerts", "invoice_metrics", "dry_run"}: rows older than that, removed unless
// `dry_run`. Of invoices no metrics are kept besides their own rows: that number is 0.
Json cleanup_old_metrics(Database& database, int retention_days, bool dry_run);

// {"report_type", "period_start", "period_end", "slos": [{"name", "target", "value", "met", "measurements"}],
// "alerts", "email_sent": false, "generated_at"}.
Json generate_slo_report(Database& database, const std::string& report_type, int days);

}  // namespace celeriac
