#include "tasks/validation/validate_invoice.hpp"

#include "tasks/store/audit.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/validation/collect_facts.hpp"
#include "tasks/validation/taxonomy.hpp"
#include "tasks/validation/verdict.hpp"

namespace celeriac {
namespace {

// Puts right what the document itself proves, once; the audit row tells of it.
bool mend(Database& database, Context& context, const StoredInvoice& invoice,
          const std::vector<Check>& checks) {
  const auto correction = auto_resolution(invoice.facts, checks);
  if (!correction || correction->field != "subtotal") return false;
  audit_as(database, {context.task(), "corrected: " + correction->reason, context.task_id(), ""});
  database.run("UPDATE invoices SET subtotal = $2, updated_at = now() WHERE id = $1",
               {invoice.id, correction->value});
  audit_as(database, {context.task(), "validation", context.task_id(), ""});
  return true;
}

}  // namespace

Json validate_invoice(Context& context, const ValidationConfig& config, const std::string& invoice_id) try {
  if (!is_uuid(invoice_id)) throw BadArguments("validate_invoice: invoice_id is not a UUID");
  if (!config.rules_fault.empty()) throw invoice_error("ImproperlyConfigured", config.rules_fault);
  context.checkpoint();
  Database& database = slot_database(config.database_url);
  return database.transaction([&] {
    audit_as(database, {context.task(), "validation", context.task_id(), ""});
    StoredInvoice invoice = collect_facts(database, invoice_id);
    Json verdict = read_verdict(database, invoice, config.rules);
    if (!verdict.is_null() && invoice.status != InvoiceStatus::parsed) return verdict;
    auto checks = check_invoice(invoice.facts, config.rules);
    if (verdict.is_null() && config.rules.auto_resolve() && mend(database, context, invoice, checks)) {
      invoice = collect_facts(database, invoice_id);
      verdict = read_verdict(database, invoice, config.rules);
      checks = check_invoice(invoice.facts, config.rules);
    }
    if (verdict.is_null())
      record_verdict(database, invoice, config.rules, checks);
    else
      apply_verdict_again(database, invoice, config.rules, checks);
    return read_verdict(database, invoice, config.rules);
  });
} catch (const DatabaseError& error) {
  throw task_error(error);
}

}  // namespace celeriac
