// validation.validate_invoice(invoice_id): judges a stored invoice by the rules and records
// the verdict. The same data under the same rules is judged once: a message delivered again
// finds the verdict and changes nothing.
#pragma once

#include "tasks/validation/rules.hpp"
#include "worker/app.hpp"

#include <string>

namespace celeriac {

struct ValidationConfig {
  std::string database_url;
  RuleSet rules = {};
  std::string rules_fault;  // why there are none; nothing is judged by others instead
};

// Returns {"invoice_id", "validation_passed", "errors_count", "warnings_count", "status", "score",
// "rules_version", "validated_at", "checks": [...]}.
Json validate_invoice(Context& context, const ValidationConfig& config, const std::string& invoice_id);

void register_validation(App& app, ValidationConfig config);

}  // namespace celeriac
