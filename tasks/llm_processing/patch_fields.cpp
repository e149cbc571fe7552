#include "tasks/llm_processing/llm_options.hpp"
#include "tasks/llm_processing/patch_writer.hpp"
#include "tasks/llm_processing/tasks.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"
#include "worker/async_task.hpp"

namespace celeriac {
namespace {

// As in process_document: of any number of runs one sends, and a run that is killed on the way leaves the
// invoice unsent for the next delivery to mend.
void send_validation(Context& context, Database& database, const std::string& invoice_id) {
  database.transaction([&] {
    const Rows unsent = database.run(
        "SELECT validation_task_id FROM invoices WHERE id = $1 AND validation_sent_at IS NULL"
        " AND validation_task_id IS NOT NULL FOR UPDATE",
        {invoice_id});
    if (unsent.empty()) return;
    SendOptions send;
    send.task_id = unsent.str(0, 0);
    send.queue = "validation";
    context.send("validation.validate_invoice", Json::array({invoice_id}), Json::object(), send);
    database.run("UPDATE invoices SET validation_sent_at = now() WHERE id = $1", {invoice_id});
  });
}

Json summary(const std::string& status, const std::string& invoice_id) {
  return {{"status", status}, {"invoice_id", invoice_id}, {"corrections", Json::array()}};
}

// People, or the books, have it already.
bool handed_on(const std::string& status) { return status == "STAGED" || status == "DONE"; }

struct Before {
  Json done = nullptr;  // the answer of an earlier run of this message
  ReadExtraction extraction;
  double spent = 0;
};

}  // namespace

boost::asio::awaitable<Json> patch_fields(LlmServicePtr service, Context& context, std::string invoice_id,
                                          Json options) {
  if (!is_uuid(invoice_id)) throw BadArguments("patch_fields: '" + invoice_id + "' is not a UUID");
  const LlmOptions taken = read_llm_options("patch_fields", options);
  const LlmConfig& config = service->config();

  auto reading = [&] {
    Database& database = slot_database(config.database_url);
    Before before;
    before.done = written_patches(database, context.task_id());
    before.extraction = read_extraction(database, invoice_id);
    before.spent = spent_on_invoice(database, invoice_id);
    return before;
  };
  auto sending = [&] { send_validation(context, slot_database(config.database_url), invoice_id); };

  Before before = co_await run_blocking(reading);
  if (!before.done.is_null()) {
    co_await run_blocking(sending);
    Json result = summary("patched", invoice_id);
    result.update(before.done);
    co_return result;
  }
  const ReadExtraction& extraction = before.extraction;
  if (handed_on(extraction.status)) co_return summary("handed_on", invoice_id);
  const std::vector<WeakField> weak = weak_fields(extraction.header, extraction.lines);
  if (weak.empty()) co_return summary("nothing_weak", invoice_id);
  if (config.cost_per_invoice > 0 && before.spent >= config.cost_per_invoice)
    throw LlmError(LlmFailureKind::budget_exceeded, "the invoice has cost what one may cost already");

  Question question;
  question.operation = "patch_fields";
  question.tenant = taken.tenant;
  question.user_id = extraction.tenant_user;
  question.invoice_id = invoice_id;
  question.task_id = context.task_id();
  question.attempt = static_cast<int>(context.retries());
  question.system = patch_system_prompt();
  question.prompt = patch_prompt(extraction.header, extraction.lines, weak);
  question.schema = patch_schema(weak);
  question.difficulty = difficulty_of(weak.size(), extraction.overall, question.prompt.size());
  question.model = taken.model;
  const Completion answer = co_await service->complete(std::move(question));
  for (const std::string& warning : answer.warnings) context.log(log_warning, warning);

  const std::vector<Patch> patches = judge(answer.value, extraction.header, weak);
  const Patched after =
      apply(patches, extraction.header, extraction.lines, extraction.confidence, answer.model);
  auto writing = [&] {
    return write_patches(slot_database(config.database_url), invoice_id, context.task_id(), extraction,
                         patches, after, answer.model, answer.request_key);
  };
  const bool written = co_await run_blocking(writing);
  if (!written) throw LlmError(LlmFailureKind::unavailable, "the invoice was read again meanwhile");
  if (after.changed) co_await run_blocking(sending);

  auto counting = [&] { return written_patches(slot_database(config.database_url), context.task_id()); };
  const Json rows = co_await run_blocking(counting);
  Json result = summary(after.changed ? "patched" : "unchanged", invoice_id);
  if (!rows.is_null()) result.update(rows);
  result["provider"] = answer.provider;
  result["model"] = answer.model;
  result["cached"] = answer.cached;
  result["cost"] = answer.cost;
  result["confidence"] = after.overall;
  co_return result;
}

}  // namespace celeriac
