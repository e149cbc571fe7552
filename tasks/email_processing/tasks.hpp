// The tasks of the queue email_processing:
//
//   email_processing.poll_mailbox(account, options)     what is new in a mailbox
//   email_processing.gmail_push(payload)                the same, told by Gmail's Pub/Sub
//   email_processing.watch_mailbox(account, topic)      asks Gmail to tell
//   app.workers.email_tasks.monitor_gmail_inbox(...)    the poll, as AP's Python code sends it; so are
//   app.workers.email_tasks.batch_process_emails(...)   the mails of these ids, and
//   app.workers.email_tasks.schedule_email_monitoring   the poll now and after each so many minutes
//
// docs/email.md says what they take, return and fail with.
#pragma once

#include "tasks/email_processing/email_rules.hpp"
#include "worker/app.hpp"

#include <map>
#include <string>
#include <vector>

namespace celeriac {

struct EmailConfig {
  std::string database_url, storage_root;
  std::map<std::string, std::string> accounts;  // name -> imaps://... or gmail://...
  std::string quota_url;                        // redis://
  std::string circuit_breaker_url;              // redis://; empty: this process only
  std::string gmail_api;                        // of monitor_gmail_inbox; empty: Google's
  EmailRules rules;
};

Json poll_mailbox(Context& context, const EmailConfig& config, const std::string& account,
                  const Json& options);
Json gmail_push(Context& context, const EmailConfig& config, const Json& payload);
Json watch_mailbox(Context& context, const EmailConfig& config, const std::string& account,
                   const std::string& topic);
Json monitor_gmail_inbox(Context& context, const EmailConfig& config, const std::string& user_id,
                         const Json& credentials_data, int days_back, int max_emails, bool auto_process);

// {"user_id", "total_emails", "successful", "failed", "errors", "processed_at"}
Json batch_process_emails(Context& context, const EmailConfig& config, const std::vector<std::string>& ids,
                          const std::string& user_id, const Json& credentials_data);
// Sends the poll and itself again. A later schedule of the same user takes the place of this one, and nothing
// is sent twice for a message that comes twice. {"user_id", "task_name", "schedule_minutes", "status":
// "scheduled" | "replaced", "scheduled_at"}
Json schedule_email_monitoring(Context& context, const EmailConfig& config, const std::string& user_id,
                               const Json& credentials_data, int schedule_minutes);

void register_email_processing(App& app, EmailConfig config);

}  // namespace celeriac
