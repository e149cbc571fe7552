#include "tasks/register.hpp"

#include "tasks/dead_letters/register.hpp"
#include "tasks/export/register.hpp"
#include "tasks/extraction/invoice.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/validation/validate_invoice.hpp"

#include <utility>

namespace celeriac {

void register_all(App& app, const Settings& settings) {
  ProcessingConfig processing;
  processing.database_url = settings.database_url;
  processing.storage_root = settings.storage_root;
  processing.extract = extract_document;
  register_invoice_processing(app, processing);
  ValidationConfig validation;
  validation.database_url = settings.database_url;
  if (auto rules = RuleSet::load(settings.validation_rules)) {
    validation.rules = std::move(*rules);
  } else {
    validation.rules_fault = rules.error().what;
  }
  register_validation(app, std::move(validation));
  register_export(app, {settings.database_url, settings.storage_root});
  register_dead_letters(app, settings.database_url);
}

std::string application_fault(const Settings& settings) {
  const auto rules = RuleSet::load(settings.validation_rules);
  return rules ? std::string() : "validation_rules: " + rules.error().what;
}

}  // namespace celeriac
