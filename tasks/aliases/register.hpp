// The names under which two existing invoice systems send their tasks, with their arguments, retries and
// results, carried out by the tasks of this application. Producers stay as they are; a worker consumes
// `celery` besides the five queues, because most of these names have no route there.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/validation/validate_invoice.hpp"
#include "worker/app.hpp"

#include <string>

namespace celeriac {

struct AliasConfig {
  ProcessingConfig processing;
  ValidationConfig validation;
  std::string websocket_events_url;  // empty: no events
  ExportEndpoints export_endpoints = {};
};

void register_ap_intake_names(App& app, const AliasConfig& config);  // app.workers.*
void register_ap_email_names(App& app, const AliasConfig& config);   // app.workers.email_tasks.*
void register_doxin_names(App& app, const AliasConfig& config);      // process_invoice_image_async, ...

}  // namespace celeriac
