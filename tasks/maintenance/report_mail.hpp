// Reports as mails. That one is to be sent is decided with a row of the outbox for each address; it is sent
// from there, again and again until the server has taken it, always under one Message-ID: twice is once
// there.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "worker/context.hpp"

#include <map>
#include <string>
#include <vector>

namespace celeriac {

struct MailConfig {
  std::string smtp_url;  // smtps://user:password@host:465, smtp://host:587; empty: no mail
  std::string from;      // an address without a name
  std::map<std::string, std::string> recipients;  // group -> addresses, with commas between them
};

// What is wrong with these settings; empty: nothing. Shows no password.
std::string mail_fault(const MailConfig& config);

// The addresses of `names`, each once: groups, or addresses that are in one. Null: of all groups. Who writes
// messages cannot send a report elsewhere. Without an smtp_url nobody. Throws TaskError
// ReportRecipientUnknown, BadArguments.
std::vector<std::string> report_addresses(const MailConfig& config, const Json& names);

struct ReportMail {
  std::string subject;    // ASCII
  std::string file_name;  // of the attachment: "weekly_2026-11-16.json"
  std::string document;   // JSON; its figures are the mail's text
};

// Decides one mail to each address, and tries to send them; what cannot be sent now is left to
// send_report_mails(). Once for each run of the context's task, address and file name, however often that run
// is repeated. {"email_sent": all of them, "delivery_ids", "message"}; without an smtp_url nothing is
// decided.
Json mail_report(Context& context, Database& database, const MailConfig& config,
                 const std::vector<std::string>& addresses, const ReportMail& mail);

struct MailsSent {
  std::vector<std::string> ids;  // of their rows
  int failed = 0;
};

// Sends what is due, until the server does not answer.
MailsSent send_report_mails(Context& context, Database& database, const MailConfig& config, int limit);

// Makes due again what was given up within the last day. How many.
int retry_report_mails(Database& database);

}  // namespace celeriac
