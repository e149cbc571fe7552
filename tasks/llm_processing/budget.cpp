#include "tasks/llm_processing/budget.hpp"

#include "protocol/uuid.hpp"

#include <algorithm>
#include <cstdio>

namespace celeriac {
namespace {

std::string usd(double cost) {
  char text[40];
  std::snprintf(text, sizeof text, "%.8f", std::max(cost, 0.0));
  return text;
}

SqlValue optional(const std::string& text) { return text.empty() ? SqlValue() : SqlValue(text); }

// Reservations that will not be settled any more count as used.
void count_lost(Database& database, const std::string& condition, const std::vector<SqlValue>& values) {
  database.run(
      "WITH lost AS (DELETE FROM llm_reservations WHERE " + condition +
          " RETURNING budget_id, period_start, requests, tokens, cost),"
          " sums AS (SELECT budget_id, period_start, sum(requests) AS requests, sum(tokens) AS tokens,"
          " sum(cost) AS cost FROM lost GROUP BY 1, 2)"
          " UPDATE llm_budget_periods p SET reserved_requests = p.reserved_requests - s.requests,"
          " reserved_tokens = p.reserved_tokens - s.tokens, reserved_cost = p.reserved_cost - s.cost,"
          " used_requests = p.used_requests + s.requests, used_tokens = p.used_tokens + s.tokens,"
          " used_cost = p.used_cost + s.cost FROM sums s"
          " WHERE p.budget_id = s.budget_id AND p.period_start = s.period_start",
      values);
}

struct Budget {
  std::string id, period, start, name;
};

// Those that apply, their period's row made and locked, always in the same order.
std::vector<Budget> lock_budgets(Database& database, const BudgetScope& scope) {
  const Rows rows = database.run(
      "SELECT id, period, date_trunc(lower(period::text), now(), 'UTC'), tenant, model FROM llm_budgets"
      " WHERE is_active AND tenant IN ('*', $1) AND model IN ('*', $2) ORDER BY id",
      {scope.tenant, scope.model});
  std::vector<Budget> budgets;
  for (int i = 0; i < rows.size(); ++i) {
    Budget budget{rows.str(i, 0), rows.str(i, 1), rows.str(i, 2), ""};
    budget.name = (budget.period == "MINUTE" ? "the minute's"
                   : budget.period == "DAY"  ? "the day's"
                                             : "the month's") +
                  std::string(" budget of tenant ") + rows.str(i, 3) + ", model " + rows.str(i, 4);
    database.run(
        "INSERT INTO llm_budget_periods (budget_id, period_start) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        {budget.id, budget.start});
    database.run("SELECT 1 FROM llm_budget_periods WHERE budget_id = $1 AND period_start = $2 FOR UPDATE",
                 {budget.id, budget.start});
    budgets.push_back(std::move(budget));
  }
  return budgets;
}

[[noreturn]] void refuse(Database& database, const Budget& budget) {
  if (budget.period != "MINUTE") throw LlmError(LlmFailureKind::budget_exceeded, budget.name + " is used up");
  const Rows left = database.run(
      "SELECT ceil(extract(epoch FROM $1::timestamptz + interval '1 minute' - clock_timestamp()) * 1000)",
      {budget.start});
  LlmError error(LlmFailureKind::rate_limited, budget.name + " is used up");
  error.retry_after = std::chrono::milliseconds(std::max(100, static_cast<int>(std::stod(left.str(0, 0)))));
  throw error;
}

// Warnings for marks that were passed.
void alert(Database& database, const std::string& budget_id, const std::string& start,
           std::vector<std::string>& warnings) {
  const Rows rows = database.run(
      "WITH share AS (SELECT p.budget_id, p.period_start, 100 * greatest(p.used_requests::numeric /"
      " nullif(b.max_requests, 0), p.used_tokens::numeric / nullif(b.max_tokens, 0), p.used_cost /"
      " nullif(b.max_cost, 0)) AS per_cent, b.alert_at, b.tenant, b.model, b.period FROM llm_budget_periods p"
      " JOIN llm_budgets b ON b.id = p.budget_id WHERE p.budget_id = $1 AND p.period_start = $2),"
      " mark AS (SELECT s.*, (SELECT max(least(m, 100)) FROM unnest(s.alert_at) m WHERE m <= s.per_cent) AS "
      "passed"
      " FROM share s)"
      " UPDATE llm_budget_periods p SET alerted_at = m.passed FROM mark m WHERE p.budget_id = m.budget_id"
      " AND p.period_start = m.period_start AND m.passed > p.alerted_at"
      " RETURNING m.passed, m.tenant, m.model, m.period",
      {budget_id, start});
  for (int i = 0; i < rows.size(); ++i)
    warnings.push_back(rows.str(i, 0) + " % of the " + rows.str(i, 3) + " budget of tenant " +
                       rows.str(i, 1) + ", model " + rows.str(i, 2) + " is used");
}

}  // namespace

void ensure_default_budgets(Database& database, double daily_cost, double monthly_cost) {
  for (const auto& [period, cost] : {std::pair{"DAY", daily_cost}, std::pair{"MONTH", monthly_cost}}) {
    if (cost <= 0) continue;
    database.run("INSERT INTO llm_budgets (id, period, max_cost) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                 {uuid4(), std::string(period), usd(cost)});
  }
}

void reserve(Database& database, const BudgetScope& scope, const std::string& request_key,
             const Spending& most, std::chrono::seconds valid_for) {
  database.transaction([&] {
    const auto budgets = lock_budgets(database, scope);
    count_lost(database, "request_key = $1", {request_key});
    for (const Budget& budget : budgets) {
      count_lost(database, "budget_id = $1 AND expires_at < now()", {budget.id});
      const int taken =
          database
              .run(
                  "UPDATE llm_budget_periods p SET reserved_requests = p.reserved_requests + $3::bigint,"
                  " reserved_tokens = p.reserved_tokens + $4::bigint,"
                  " reserved_cost = p.reserved_cost + $5::numeric"
                  " FROM llm_budgets b WHERE b.id = p.budget_id AND p.budget_id = $1 AND p.period_start = $2"
                  " AND (b.max_requests IS NULL OR p.used_requests + p.reserved_requests + $3::bigint <="
                  " b.max_requests)"
                  " AND (b.max_tokens IS NULL OR p.used_tokens + p.reserved_tokens + $4::bigint <= "
                  "b.max_tokens)"
                  " AND (b.max_cost IS NULL OR p.used_cost + p.reserved_cost + $5::numeric <= b.max_cost)",
                  {budget.id, budget.start, std::to_string(most.requests), std::to_string(most.tokens),
                   usd(most.cost)})
              .affected();
      if (taken == 0) refuse(database, budget);
      database.run(
          "INSERT INTO llm_reservations (id, request_key, budget_id, period_start, requests, tokens, cost,"
          " expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))",
          {uuid4(), request_key, budget.id, budget.start, std::to_string(most.requests),
           std::to_string(most.tokens), usd(most.cost), std::to_string(valid_for.count())});
    }
  });
}

std::vector<std::string> settle(Database& database, const Spending& used, const LlmUsage& usage,
                                const CachedAnswer& answer) {
  std::vector<std::string> warnings;
  database.transaction([&] {
    // Locks in the order in which reserve() takes them.
    const Rows held = database.run(
        "SELECT r.budget_id, r.period_start FROM llm_reservations r JOIN llm_budget_periods p"
        " ON p.budget_id = r.budget_id AND p.period_start = r.period_start WHERE r.request_key = $1"
        " ORDER BY r.budget_id FOR UPDATE OF p",
        {usage.request_key});
    for (int i = 0; i < held.size(); ++i) {
      database.run(
          "WITH gone AS (DELETE FROM llm_reservations WHERE request_key = $1 AND budget_id = $2"
          " RETURNING budget_id, period_start, requests, tokens, cost)"
          " UPDATE llm_budget_periods p SET reserved_requests = p.reserved_requests - g.requests,"
          " reserved_tokens = p.reserved_tokens - g.tokens, reserved_cost = p.reserved_cost - g.cost,"
          " used_requests = p.used_requests + $3::bigint, used_tokens = p.used_tokens + $4::bigint,"
          " used_cost = p.used_cost + $5::numeric FROM gone g"
          " WHERE p.budget_id = g.budget_id AND p.period_start = g.period_start",
          {usage.request_key, held.str(i, 0), std::to_string(used.requests), std::to_string(used.tokens),
           usd(used.cost)});
      alert(database, held.str(i, 0), held.str(i, 1), warnings);
    }
    database.run(
        "INSERT INTO llm_usage (id, request_key, tenant, user_id, invoice_id, task_id, provider, model, "
        "operation,"
        " status, error_code, prompt_tokens, completion_tokens, cost, latency_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        " ON CONFLICT (request_key) DO UPDATE SET status = excluded.status, error_code = excluded.error_code,"
        " prompt_tokens = llm_usage.prompt_tokens + excluded.prompt_tokens,"
        " completion_tokens = llm_usage.completion_tokens + excluded.completion_tokens,"
        " cost = llm_usage.cost + excluded.cost, attempts = llm_usage.attempts + 1"
        " WHERE excluded.status <> 'cached'",
        {uuid4(), usage.request_key, usage.tenant, optional(usage.user_id), optional(usage.invoice_id),
         optional(usage.task_id), usage.provider, usage.model, usage.operation, usage.status,
         optional(usage.error_code), std::to_string(usage.prompt_tokens),
         std::to_string(usage.completion_tokens), usd(usage.cost), std::to_string(usage.latency.count())});
    if (answer.expires.count() > 0 && !answer.key.empty())
      database.run(
          "INSERT INTO llm_cache (cache_key, model, operation, response, prompt_tokens, completion_tokens,"
          " expires_at) VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))"
          " ON CONFLICT (cache_key) DO UPDATE SET response = excluded.response, model = excluded.model,"
          " expires_at = excluded.expires_at",
          {answer.key, usage.model, usage.operation, dump_json(answer.response),
           std::to_string(usage.prompt_tokens), std::to_string(usage.completion_tokens),
           std::to_string(answer.expires.count())});
  });
  return warnings;
}

double spent_on_invoice(Database& database, const std::string& invoice_id) {
  return std::stod(
      database.run("SELECT coalesce(sum(cost), 0) FROM llm_usage WHERE invoice_id = $1", {invoice_id})
          .str(0, 0));
}

KnownAnswer find_cached(Database& database, const std::string& key) {
  const Rows rows = database.run(
      "UPDATE llm_cache SET hits = hits + 1 WHERE cache_key = $1 AND expires_at > now() RETURNING response, "
      "model",
      {key});
  if (rows.empty()) return {};
  auto response = parse_json(rows.text(0, 0));
  if (!response) return {};  // jsonb holds no NaN and the like; an answer that cannot be read is asked again
  return {std::move(*response), rows.str(0, 1)};
}

}  // namespace celeriac
