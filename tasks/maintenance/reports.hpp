// Reports that people order or expect each week: figures of our own tables, as documents in the storage.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"

#include <string>

namespace celeriac {

// Figures of the week that begins on that Monday ("2026-11-16"; empty: last week's), as
// reports/weekly_<date>.json and a row of weekly_reports; the same week again replaces it. {"report_id",
// "status", "week_start", "message", "file_path"}. Throws BadArguments.
Json generate_weekly_report(Database& database, Storage& storage, const std::string& week_start,
                            const std::string& generated_by);

// The stored report of that week, as JSON.
std::string weekly_report_document(Database& database, const std::string& week_start);

// What models cost in those days, by model and by operation; empty: last week. {"week_start", "week_end",
// "total_cost", "calls", "cost_per_invoice", "by_model", "by_operation"}.
Json cost_analysis(Database& database, const std::string& from, const std::string& to);

// The report whose row another front end inserted into reports. {"status", "report_id", "file_path"}. Throws
// TaskError ReportNotFound.
Json generate_report(Database& database, Storage& storage, const std::string& report_id);

// Both kinds, with their files. {"status", "deleted_count"}.
Json cleanup_old_reports(Database& database, Storage& storage, int days);

}  // namespace celeriac
