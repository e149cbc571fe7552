#include "tasks/register.hpp"

#include "tasks/aliases/register.hpp"
#include "tasks/dead_letters/register.hpp"
#include "tasks/export/register.hpp"
#include "tasks/extraction/invoice.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/maintenance/register.hpp"
#include "tasks/validation/validate_invoice.hpp"

#include <utility>

namespace celeriac {

void register_all(App& app, const Settings& settings) {
  ProcessingConfig processing;
  processing.database_url = settings.database_url;
  processing.storage_root = settings.storage_root;
  processing.extract = extract_document;
  ValidationConfig validation;
  validation.database_url = settings.database_url;
  if (auto rules = RuleSet::load(settings.validation_rules)) {
    validation.rules = std::move(*rules);
  } else {
    validation.rules_fault = rules.error().what;
  }
  register_invoice_processing(app, processing);
  register_validation(app, validation);
  const AliasConfig aliases{processing, validation, settings.websocket_events_url};
  register_ap_intake_names(app, aliases);
  register_doxin_names(app, aliases);
  register_export(app, {settings.database_url, settings.storage_root});
  register_dead_letters(app, settings.database_url);
  register_maintenance(app, {settings.database_url, settings.storage_root});
}

std::string application_fault(const Settings& settings) {
  const auto rules = RuleSet::load(settings.validation_rules);
  return rules ? std::string() : "validation_rules: " + rules.error().what;
}

}  // namespace celeriac
