#include "tasks/register.hpp"

#include "tasks/aliases/register.hpp"
#include "tasks/dead_letters/register.hpp"
#include "tasks/email_processing/tasks.hpp"
#include "tasks/engines/redis.hpp"
#include "tasks/export/register.hpp"
#include "tasks/extraction/invoice.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/llm_processing/tasks.hpp"
#include "tasks/maintenance/register.hpp"
#include "tasks/validation/validate_invoice.hpp"

#include <chrono>
#include <utility>

namespace celeriac {
namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

// "0.00015/0.0006", USD for a thousand tokens of the prompt and of the answer; the settings have checked it.
Price read_price(const std::string& text) {
  const auto slash = text.find('/');
  return {std::stod(text.substr(0, slash)), std::stod(text.substr(slash + 1))};
}

// Empty, or what is wrong with a URL of Redis.
std::string redis_url_fault(const std::string& setting, const std::string& url) {
  if (url.empty()) return {};
  try {
    RedisConnection connects_later(url);
    return {};
  } catch (const std::invalid_argument& error) {
    return setting + ": " + error.what();
  }
}

MailConfig mail_config(const Settings& settings) {
  return {settings.smtp_url, settings.smtp_mail_from, settings.report_recipients};
}

LlmConfig llm_config(const Settings& settings) {
  LlmConfig config;
  config.circuit_breaker_url = settings.circuit_breaker_url;
  config.database_url = settings.database_url;
  config.provider = settings.llm_provider;
  config.base_url = settings.llm_base_url;
  config.api_key = settings.llm_api_key;
  config.model = settings.llm_model;
  config.model_simple = settings.llm_model_simple;
  config.model_complex = settings.llm_model_complex;
  config.fallback_models = settings.llm_fallback_models;
  for (const auto& [model, price] : settings.llm_prices) config.prices[model] = read_price(price);
  config.max_tokens = settings.llm_max_tokens;
  config.temperature = settings.llm_temperature;
  config.stream = settings.llm_stream;
  config.timeout = milliseconds(settings.llm_timeout);
  config.cost_per_invoice = settings.llm_cost_per_invoice;
  config.daily_cost = settings.llm_daily_cost;
  config.monthly_cost = settings.llm_monthly_cost;
  config.cache_expires =
      std::chrono::duration_cast<std::chrono::seconds>(milliseconds(settings.llm_cache_expires));
  return config;
}

}  // namespace

void register_all(App& app, const Settings& settings) {
  ProcessingConfig processing;
  processing.database_url = settings.database_url;
  processing.storage_root = settings.storage_root;
  processing.virus_scan_url = settings.virus_scan_url;
  processing.extract = extract_document;
  processing.patch_weak_fields = !settings.llm_model.empty();
  ValidationConfig validation;
  validation.database_url = settings.database_url;
  if (auto rules = RuleSet::load(settings.validation_rules)) {
    validation.rules = std::move(*rules);
  } else {
    validation.rules_fault = rules.error().what;
  }
  register_invoice_processing(app, processing);
  register_validation(app, validation);
  AliasConfig aliases{processing, validation, settings.websocket_events_url, settings.export_endpoints};
  aliases.document_hosts = settings.document_hosts;
  aliases.quickbooks_verifier_token = settings.quickbooks_verifier_token;
  aliases.mail = mail_config(settings);
  aliases.gmail_configured = !settings.email_quota_url.empty();
  aliases.senders_are_checked = !settings.email_trusted_senders.empty();
  register_ap_intake_names(app, aliases);
  register_ap_email_names(app, aliases);
  register_ap_ingestion_names(app, aliases);
  register_outside_names(app, aliases);
  register_doxin_names(app, aliases);
  register_export(app, {settings.database_url, settings.storage_root, settings.export_endpoints});
  register_dead_letters(app, settings.database_url);
  register_maintenance(app, {settings.database_url, settings.storage_root, aliases.mail});
  register_llm_processing(app, llm_config(settings));
  EmailConfig email;
  email.database_url = settings.database_url;
  email.storage_root = settings.storage_root;
  email.accounts = settings.email_accounts;
  email.quota_url = settings.email_quota_url;
  email.circuit_breaker_url = settings.circuit_breaker_url;
  email.rules.trusted_senders = settings.email_trusted_senders;
  register_email_processing(app, std::move(email));
}

std::string application_fault(const Settings& settings) {
  const auto rules = RuleSet::load(settings.validation_rules);
  if (!rules) return "validation_rules: " + rules.error().what;
  for (const auto& [name, url] : {std::pair("email_quota_url", settings.email_quota_url),
                                  std::pair("circuit_breaker_url", settings.circuit_breaker_url),
                                  std::pair("websocket_events_url", settings.websocket_events_url)})
    if (auto fault = redis_url_fault(name, url); !fault.empty()) return fault;
  return mail_fault(mail_config(settings));
}

}  // namespace celeriac
