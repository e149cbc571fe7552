// What may be spent on language models, shared by all workers: caps of requests, tokens and
// money for each minute, day and month, for all or for one tenant or model (table
// llm_budgets).
//
// Before a call its highest possible cost is reserved in every budget that applies, in one
// transaction that locks their rows, so that no number of workers can pass a cap together.
// Afterwards the reservation becomes what was really used. A reservation whose call never
// came back (a killed worker) counts as used, since the provider may well have billed it.
#pragma once

#include "tasks/llm_processing/chat.hpp"
#include "tasks/store/database.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace celeriac {

struct Spending {
  long requests = 0, tokens = 0;
  double cost = 0;  // USD
};

struct BudgetScope {
  std::string tenant = "default", model;
};

struct LlmUsage {
  std::string request_key;  // task id, attempt and number of the call in it
  std::string tenant, user_id, invoice_id, task_id, provider, model, operation;
  std::string status;      // succeeded, cached, refused, failed
  std::string error_code;  // of refused and failed
  int prompt_tokens = 0, completion_tokens = 0;
  double cost = 0;
  std::chrono::milliseconds latency{0};
};

struct CachedAnswer {
  std::string key;  // SHA-256 of the question
  Json response;
  std::chrono::seconds expires{0};  // 0: not kept
};

// The budgets of the settings, made once: afterwards the rows rule. 0: none.
void ensure_default_budgets(Database& database, double daily_cost, double monthly_cost);

// Throws LlmError: budget_exceeded when a day or month is used up, rate_limited (with the time until the next
// minute) when only the minute is. The same key again first counts what it had reserved as used.
void reserve(Database& database, const BudgetScope& scope, const std::string& request_key,
             const Spending& most, std::chrono::seconds valid_for);

// One transaction: the reservation becomes `used`, the usage row is written, the answer kept. Returns
// warnings for budgets that passed one of their marks ("80 % of ...") by it, each once.
std::vector<std::string> settle(Database& database, const Spending& used, const LlmUsage& usage,
                                const CachedAnswer& answer);

// What an invoice has cost so far, USD.
double spent_on_invoice(Database& database, const std::string& invoice_id);

// Null when it is not known or too old.
struct KnownAnswer {
  Json response = nullptr;
  std::string model;
};
KnownAnswer find_cached(Database& database, const std::string& key);

}  // namespace celeriac
