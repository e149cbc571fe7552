// The names under which two existing invoice systems send their tasks, with their arguments, retries and
// results, carried out by the tasks of this application. Producers stay as they are; a worker consumes
// `celery` besides the five queues, because most of these names have no route there.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/maintenance/report_mail.hpp"
#include "tasks/validation/validate_invoice.hpp"
#include "worker/app.hpp"

#include <string>
#include <vector>

namespace celeriac {

struct AliasConfig {
  ProcessingConfig processing;
  ValidationConfig validation;
  std::string websocket_events_url;  // empty: no events
  ExportEndpoints export_endpoints = {};
  std::vector<std::string> document_hosts = {};  // fetched from although their address is private; "*" is any
  bool gmail_configured = false;                 // email_quota_url is set: credentials come with each message
  bool senders_are_checked = false;              // email_trusted_senders names some
  std::string quickbooks_verifier_token = {};    // empty: unsigned webhooks are taken
  MailConfig mail = {};                          // of reports
};

void register_ap_intake_names(App& app, const AliasConfig& config);     // app.workers.*
void register_ap_email_names(App& app, const AliasConfig& config);      // app.workers.email_tasks.*
void register_ap_ingestion_names(App& app, const AliasConfig& config);  // app.workers.ingestion_tasks.*
// Approved exports, ERP systems, QuickBooks, service levels, reports; tasks.generate_report, ...
void register_outside_names(App& app, const AliasConfig& config);
void register_doxin_names(App& app, const AliasConfig& config);  // process_invoice_image_async, ...

}  // namespace celeriac
