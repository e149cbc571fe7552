#include "tasks/store/audit.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/validation/approvals.hpp"
#include "tasks/validation/exceptions.hpp"
#include "tasks/validation/validate_invoice.hpp"

#include <optional>
#include <utility>

namespace celeriac {
namespace {

TaskOptions validation_options(std::vector<std::string> params) {
  TaskOptions options;
  options.params = std::move(params);
  options.queue = "validation";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 5;
  options.autoretry_for = {"OperationalError"};
  options.retry_backoff = 4;  // five attempts outlive a database that restarts
  options.retry_backoff_max = 60;
  options.throws = {"InvoiceNotFound", "ExceptionNotFound", "ApprovalNotFound", "ApprovalClosed",
                    "ResolutionRefused"};
  return options;
}

// One transaction, audited in the name of the person the message names.
template <class Body>
Json in_name_of(Context& context, const std::string& url, const std::string& person, std::string_view reason,
                Body body) try {
  Database& database = slot_database(url);
  return database.transaction([&] {
    audit_as(database, {person, std::string(reason), context.task_id(), "", true});
    return body(database);
  });
} catch (const DatabaseError& error) {
  throw task_error(error);
}

void require_uuid(const std::string& task, const std::string& id) {
  if (!is_uuid(id)) throw BadArguments(task + ": '" + id.substr(0, 100) + "' is not a UUID");
}

}  // namespace

void register_validation(App& app, ValidationConfig config) {
  const std::string url = config.database_url;
  app.task(
      "validation.validate_invoice",
      [config = std::move(config)](Context& context, const std::string& invoice_id) {
        return validate_invoice(context, config, invoice_id);
      },
      validation_options({"invoice_id"}));

  auto options =
      validation_options({"exception_id", "action", "resolved_by", "data", "notes", "approve_invoice"});
  options.defaults = {{"data", Json::object()}, {"notes", ""}, {"approve_invoice", false}};
  app.task(
      "validation.resolve_exception",
      [url](Context& context, const std::string& exception_id, const std::string& action,
            const std::string& resolved_by, const Json& data, const std::string& notes,
            bool approve_invoice) {
        require_uuid("resolve_exception", exception_id);
        const Resolution resolution{exception_id, action, notes, resolved_by, data, approve_invoice};
        return in_name_of(context, url, resolved_by, "exception resolved",
                          [&](Database& database) { return resolve_exception(database, resolution); });
      },
      std::move(options));

  options = validation_options({"request_id", "decision", "decided_by", "comments"});
  options.defaults = {{"comments", ""}};
  app.task(
      "validation.decide_approval",
      [url](Context& context, const std::string& request_id, const std::string& decision,
            const std::string& decided_by, const std::string& comments) {
        require_uuid("decide_approval", request_id);
        const Decision said{request_id, decision, decided_by, comments};
        return in_name_of(context, url, decided_by, "approval decision",
                          [&](Database& database) { return decide_approval(database, said); });
      },
      std::move(options));
}

}  // namespace celeriac
