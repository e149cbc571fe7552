#include "tasks/email_processing/mailbox.hpp"
#include "tasks/email_processing/tasks.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/storage.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <utility>

namespace celeriac {
namespace {

constexpr double first_pause = 60, longest_pause = 3600;  // seconds between two attempts, as AP waits

double pause_before_retry(std::int64_t retries, const EmailError& error) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  const double full =
      std::min(longest_pause, first_pause * static_cast<double>(1LL << std::min<std::int64_t>(retries, 10)));
  const double jittered = std::uniform_real_distribution<double>(full / 2, full)(generator);
  const double asked = error.retry_after ? static_cast<double>(error.retry_after->count()) / 1000 : 0;
  return std::min(std::max(jittered, asked), longest_pause);
}

[[noreturn]] void fail(Context& context, const EmailError& error) {
  const TaskError failure = invoice_error(std::string(exception_type(error.kind)), error.what());
  if (!is_passing(error.kind)) throw failure;
  RetryOptions again;
  again.countdown = pause_before_retry(context.retries(), error);
  again.exc = failure;
  context.retry(again);
}

Json in_task_words(Context& context, const std::function<Json()>& body) {
  try {
    return body();
  } catch (const EmailError& error) {
    context.checkpoint();  // what was given up because of the soft limit is no failure of the server
    fail(context, error);
  } catch (const DatabaseError& error) {
    throw task_error(error);
  } catch (const StorageError& error) {
    throw invoice_error("StorageUnavailable", error.what());
  }
}

TaskOptions options_of_queue() {
  TaskOptions options;
  options.queue = "email_processing";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 3;
  options.soft_time_limit = 300;
  options.time_limit = 600;
  options.autoretry_for = {"OperationalError", "StorageUnavailable"};
  options.retry_backoff = 1;
  options.retry_backoff_max = 60;
  options.throws = {"EmailLoginRefused", "EmailFolderNotFound", "EmailNotConfigured"};
  return options;
}

}  // namespace

void register_email_processing(App& app, EmailConfig given) {
  const auto config = std::make_shared<const EmailConfig>(std::move(given));
  TaskOptions options = options_of_queue();
  options.params = {"account", "options"};
  options.defaults = {{"options", nullptr}};
  app.task(
      "email_processing.poll_mailbox",
      [config](Context& context, std::string account, Json poll_options) {
        return in_task_words(context, [&] { return poll_mailbox(context, *config, account, poll_options); });
      },
      options);

  options.params = {"payload"};
  options.defaults = {};
  app.task(
      "email_processing.gmail_push",
      [config](Context& context, Json payload) {
        return in_task_words(context, [&] { return gmail_push(context, *config, payload); });
      },
      options);

  options.params = {"account", "topic"};
  app.task(
      "email_processing.watch_mailbox",
      [config](Context& context, std::string account, std::string topic) {
        return in_task_words(context, [&] { return watch_mailbox(context, *config, account, topic); });
      },
      options);

  options.params = {"user_id", "credentials_data", "days_back", "max_emails", "auto_process"};
  options.defaults = {{"days_back", 1}, {"max_emails", 25}, {"auto_process", true}};
  app.task(
      "app.workers.email_tasks.monitor_gmail_inbox",
      [config](Context& context, std::string user_id, Json credentials_data, int days_back, int max_emails,
               bool auto_process) {
        return in_task_words(context, [&] {
          return monitor_gmail_inbox(context, *config, user_id, credentials_data, days_back, max_emails,
                                     auto_process);
        });
      },
      options);

  options.params = {"email_ids", "user_id", "credentials_data"};
  options.defaults = {};
  options.max_retries = 2;
  app.task(
      "app.workers.email_tasks.batch_process_emails",
      [config](Context& context, std::vector<std::string> ids, std::string user_id, Json credentials_data) {
        return in_task_words(
            context, [&] { return batch_process_emails(context, *config, ids, user_id, credentials_data); });
      },
      options);

  options.params = {"user_id", "credentials_data", "schedule_minutes"};
  options.defaults = {{"schedule_minutes", 60}};
  app.task(
      "app.workers.email_tasks.schedule_email_monitoring",
      [config](Context& context, std::string user_id, Json credentials_data, int schedule_minutes) {
        return in_task_words(context, [&] {
          return schedule_email_monitoring(context, *config, user_id, credentials_data, schedule_minutes);
        });
      },
      options);
}

}  // namespace celeriac
