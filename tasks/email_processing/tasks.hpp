// The tasks of the queue email_processing:
//
//   email_processing.poll_mailbox(account, options)     what is new in a mailbox
//   email_processing.gmail_push(payload)                the same, told by Gmail's Pub/Sub
//   email_processing.watch_mailbox(account, topic)      asks Gmail to tell
//   app.workers.email_tasks.monitor_gmail_inbox(...)    the poll, as AP's Python code sends it
//
// docs/email.md says what they take, return and fail with.
#pragma once

#include "tasks/email_processing/email_rules.hpp"
#include "worker/app.hpp"

#include <map>
#include <string>

namespace celeriac {

struct EmailConfig {
  std::string database_url, storage_root;
  std::map<std::string, std::string> accounts;  // name -> imaps://... or gmail://...
  std::string quota_url;                        // redis://
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

void register_email_processing(App& app, EmailConfig config);

}  // namespace celeriac
