#include "tasks/dead_letters/classify.hpp"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <utility>

namespace celeriac {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool holds_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

// By the types our own tasks throw; words are for everybody else's.
constexpr std::pair<std::string_view, std::string_view> known_types[] = {
    {"OperationalError", "DATABASE_ERROR"},
    {"IntegrityError", "DATABASE_ERROR"},
    {"DataError", "DATABASE_ERROR"},
    {"ProgrammingError", "DATABASE_ERROR"},
    {"StorageUnavailable", "SYSTEM_ERROR"},
    {"VirusScanUnavailable", "NETWORK_ERROR"},
    {"InfectedDocument", "BUSINESS_RULE_ERROR"},
    {"DeliveryRefused", "BUSINESS_RULE_ERROR"},
    {"EngineUnavailable", "SYSTEM_ERROR"},
    {"ImproperlyConfigured", "SYSTEM_ERROR"},
    {"WorkerLostError", "POISON"},
    {"DocumentCrashesReader", "POISON"},
    {"TimeLimitExceeded", "TIMEOUT_ERROR"},
    {"SoftTimeLimitExceeded", "TIMEOUT_ERROR"},
    {"DocumentTimeout", "TIMEOUT_ERROR"},
    {"TypeError", "VALIDATION_ERROR"},
    {"ResolutionRefused", "BUSINESS_RULE_ERROR"},
    {"ApprovalClosed", "BUSINESS_RULE_ERROR"},
    {"InvoiceNotReady", "BUSINESS_RULE_ERROR"},
    {"DeliveryFailed", "NETWORK_ERROR"},
    {"NotRegistered", "UNKNOWN_TASK"},
};

}  // namespace

std::string_view dead_category(std::string_view kept_as, std::string_view type, std::string_view message) {
  if (kept_as == "unknown_task") return "UNKNOWN_TASK";
  if (kept_as == "undecodable" || kept_as == "refused") return "UNDECODABLE";
  if (kept_as == "expired") return "EXPIRED";
  if (kept_as == "poison") return "POISON";
  for (const auto& [known, category] : known_types) {
    if (known == type) return category;
  }
  const std::string text = lower(std::string(type) + " " + std::string(message));
  if (holds_any(text, {"connection", "network", "timeout", "timed out", "unreachable"}))
    return holds_any(text, {"timeout", "timed out"}) ? "TIMEOUT_ERROR" : "NETWORK_ERROR";
  if (holds_any(text, {"database", "sql", "integrity", "constraint"})) return "DATABASE_ERROR";
  if (holds_any(text, {"validation", "invalid", "malformed", "schema"})) return "VALIDATION_ERROR";
  if (holds_any(text, {"business", "rule", "policy", "permission"})) return "BUSINESS_RULE_ERROR";
  if (holds_any(text, {"memory", "disk", "system", "resource"})) return "SYSTEM_ERROR";
  if (holds_any(text, {"processing", "parse", "extract", "transform"})) return "PROCESSING_ERROR";
  return "UNKNOWN_ERROR";
}

DeadPriority dead_priority(std::string_view task, std::string_view category, bool names_invoice) {
  const std::string name = lower(task);
  const bool of_invoice =
      holds_any(name, {"process_invoice", "process_document", "validate_invoice", "export_invoice"});
  if (category == "SYSTEM_ERROR" || category == "DATABASE_ERROR") return DeadPriority::critical;
  if (holds_any(name, {"cleanup", "maintenance", "health_check"})) return DeadPriority::low;
  if (of_invoice || names_invoice) return DeadPriority::high;
  if (category == "NETWORK_ERROR" || category == "TIMEOUT_ERROR") return DeadPriority::high;
  if (category == "BUSINESS_RULE_ERROR") return DeadPriority::low;
  if (holds_any(name, {"send_email", "generate_report", "ingestion"})) return DeadPriority::high;
  return DeadPriority::normal;
}

std::string_view to_string(DeadPriority priority) {
  constexpr std::string_view labels[] = {"LOW", "NORMAL", "HIGH", "CRITICAL"};
  return labels[static_cast<std::size_t>(priority)];
}

bool may_redrive(std::string_view category) {
  return std::ranges::none_of(
      std::initializer_list<std::string_view>{"VALIDATION_ERROR", "BUSINESS_RULE_ERROR", "UNDECODABLE",
                                              "UNKNOWN_TASK", "EXPIRED", "REVOKED", "POISON"},
      [&](std::string_view hopeless) { return hopeless == category; });
}

std::chrono::seconds redrive_delay(int redrives) {
  return std::chrono::seconds(std::min(3600, 60 << std::clamp(redrives, 0, 6)));
}

double expected_success(std::string_view category) {
  if (category == "NETWORK_ERROR") return 0.8;
  if (category == "TIMEOUT_ERROR") return 0.7;
  if (category == "DATABASE_ERROR") return 0.6;
  if (category == "PROCESSING_ERROR") return 0.5;
  if (!may_redrive(category)) return 0.1;
  return 0.4;
}

}  // namespace celeriac
