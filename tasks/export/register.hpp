// The tasks of the queue export: export_invoice, export_invoices, run_job.
#pragma once

#include "tasks/export/export_invoice.hpp"
#include "worker/app.hpp"

namespace celeriac {

void register_export(App& app, ExportConfig config);

}  // namespace celeriac
