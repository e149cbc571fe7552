// The rows of one mail: written before anything is done about it, finished after. Running it
// again from any point ends in the same rows.
#pragma once

#include "tasks/email_processing/email_rules.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <functional>
#include <set>
#include <string>

namespace celeriac {

struct EmailSource {
  std::string account;   // as configured
  std::string provider;  // "imap", "gmail"
  std::string provider_id;
  std::string task_id;
};

struct EmailOutcome {
  std::string email_id, status;  // processed, ignored, blocked; "duplicate" when another row is this mail
  int attachments = 0, queued = 0;
};

// The provider's ids that need no fetching again: finished, or known to be duplicates.
std::set<std::string> finished_ids(Database& database, const std::string& account,
                                   const std::string& provider);

using FetchAttachment = std::function<std::string(const MailAttachment&)>;

// Rows, storage, and one invoice_processing.process_document for each accepted attachment.
EmailOutcome ingest(Context& context, Database& database, Storage& storage, const EmailRules& rules,
                    const EmailSource& source, const Mail& mail, const FetchAttachment& fetch);

// A message that cannot be read: a row with the reason, so that it is not tried for ever.
void ingest_unreadable(Database& database, const EmailSource& source, const std::string& why);

}  // namespace celeriac
