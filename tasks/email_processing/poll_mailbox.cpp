#include "config/url.hpp"
#include "protocol/time.hpp"
#include "tasks/email_processing/email_writer.hpp"
#include "tasks/email_processing/gmail_mailbox.hpp"
#include "tasks/email_processing/imap_mailbox.hpp"
#include "tasks/email_processing/tasks.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr int most_emails = 10'000;
constexpr auto history_kept = std::chrono::seconds(30 * 86400);  // and schedules

struct PollOptions {
  int days_back = 7, max_emails = 50;
};

int whole_number(const Json& value, const std::string& name, int most) {
  if (!value.is_number_integer() || value < 1 || value > most)
    throw BadArguments("poll_mailbox: option '" + name + "' must be a whole number from 1 to " +
                       std::to_string(most));
  return value.get<int>();
}

PollOptions read_options(const Json& json) {
  PollOptions options;
  if (json.is_null()) return options;
  if (!json.is_object()) throw BadArguments("poll_mailbox: options must be an object");
  for (const auto& [key, value] : json.items()) {
    if (key == "days_back") {
      options.days_back = whole_number(value, key, 365);
    } else if (key == "max_emails") {
      options.max_emails = whole_number(value, key, most_emails);
    } else {
      throw BadArguments("poll_mailbox: unknown option '" + key + "'");
    }
  }
  return options;
}

Url address_of(const EmailConfig& config, const std::string& account) {
  const auto found = config.accounts.find(account);
  if (found == config.accounts.end()) {
    std::string known;
    for (const auto& [name, unused] : config.accounts) known += (known.empty() ? "" : ", ") + name;
    throw EmailError(EmailFailureKind::not_configured,
                     "email_accounts has no '" + account + "'; it has " + (known.empty() ? "none" : known));
  }
  auto url = parse_url(found->second);
  if (!url || (url->scheme != "imap" && url->scheme != "imaps" && url->scheme != "gmail"))
    throw EmailError(EmailFailureKind::not_configured,
                     "email_accounts." + account + " must be an imap://, imaps:// or gmail:// address");
  return std::move(*url);
}

GmailAccount gmail_account(const Url& url) {
  GmailAccount account;
  account.address = url.user + "@" + url.host;
  const auto take = [&](const char* key, std::string& target) {
    if (const auto found = url.query.find(key); found != url.query.end()) target = found->second;
  };
  take("api", account.api);
  take("query", account.query);
  take("token", account.credentials.token);
  take("refresh_token", account.credentials.refresh_token);
  take("token_uri", account.credentials.token_uri);
  take("client_id", account.credentials.client_id);
  take("client_secret", account.credentials.client_secret);
  if (account.credentials.token.empty() && account.credentials.refresh_token.empty())
    throw EmailError(EmailFailureKind::not_configured, "a gmail:// address needs refresh_token or token");
  return account;
}

// One of each for a slot.
QuotaLedger& slot_ledger(const EmailConfig& config) {
  thread_local std::unique_ptr<QuotaLedger> ledger;
  thread_local std::string opened;
  if (!ledger || opened != config.quota_url) {
    ledger = std::make_unique<QuotaLedger>(config.quota_url);
    opened = config.quota_url;
  }
  return *ledger;
}

Cancelled cancelled_by(Context& context) {
  return [&context] { return context.soft_limit_exceeded(); };
}

struct Totals {
  int emails = 0, attachments = 0, queued = 0, blocked = 0, ignored = 0, duplicates = 0, failed = 0;
  Json ids = Json::array();
};

void count(Totals& totals, const EmailOutcome& outcome) {
  ++totals.emails;
  totals.attachments += outcome.attachments;
  totals.queued += outcome.queued;
  totals.ids.push_back(outcome.email_id);
  if (outcome.status == "blocked") ++totals.blocked;
  if (outcome.status == "ignored") ++totals.ignored;
  if (outcome.status == "duplicate") ++totals.duplicates;
}

Totals work_on(Context& context, const EmailConfig& config, const std::string& account, Mailbox& mailbox,
               const std::vector<std::string>& ids) {
  Database& database = slot_database(config.database_url);
  const auto storage = make_storage(config.storage_root);
  Totals totals;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    context.checkpoint();
    const EmailSource source{account, mailbox.provider(), ids[i], context.task_id()};
    const auto mail = mailbox.fetch(ids[i]);
    if (!mail) continue;  // deleted meanwhile
    if (!*mail) {
      ingest_unreadable(database, source, mail->error().what);
      context.log(log_warning, "a message cannot be read: " + mail->error().what);
      ++totals.failed;
      continue;
    }
    const auto fetch = [&](const MailAttachment& attachment) {
      return mailbox.attachment(ids[i], attachment);
    };
    count(totals, ingest(context, database, *storage, config.rules, source, **mail, fetch));
    context.progress(i + 1, ids.size(), "emails");
  }
  return totals;
}

Json summary(const std::string& account, const Totals& totals) {
  return {{"account", account},
          {"status", "success"},
          {"emails_processed", totals.emails},
          {"attachments_found", totals.attachments},
          {"documents_queued", totals.queued},
          {"blocked", totals.blocked},
          {"ignored", totals.ignored},
          {"duplicates", totals.duplicates},
          {"failed", totals.failed},
          {"email_ids", totals.ids},
          {"processed_at", format_iso8601(unix_now())}};
}

std::function<bool(const std::string&)> finished(const EmailConfig& config, const std::string& account,
                                                 const std::string& provider) {
  return [ids = finished_ids(slot_database(config.database_url), account, provider)](const std::string& id) {
    return ids.contains(id);
  };
}

Totals poll(Context& context, const EmailConfig& config, const std::string& account, Mailbox& mailbox,
            const PollOptions& options) {
  const auto ids = mailbox.list(options.days_back, static_cast<std::size_t>(options.max_emails),
                                finished(config, account, mailbox.provider()));
  return work_on(context, config, account, mailbox, ids);
}

std::unique_ptr<GmailMailbox> open_gmail(Context& context, const EmailConfig& config, GmailAccount account) {
  return std::make_unique<GmailMailbox>(std::move(account), slot_ledger(config),
                                        shared_breakers(config.circuit_breaker_url), cancelled_by(context));
}

// The account whose owner's credentials came with the message.
GmailAccount account_of(const EmailConfig& config, const std::string& user_id, const Json& credentials) {
  GmailAccount account;
  account.address = user_id;
  account.credentials = read_credentials(credentials);
  if (!config.gmail_api.empty()) account.api = config.gmail_api;
  return account;
}

// The same id for the same text.
std::string uuid_of(std::string_view text) {
  const std::string hex = sha256_hex(text);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(13, 3) + "-8" + hex.substr(17, 3) +
         "-" + hex.substr(20, 12);
}

std::string history_key(const std::string& address) { return "history:" + address; }

}  // namespace

Json poll_mailbox(Context& context, const EmailConfig& config, const std::string& account,
                  const Json& options) {
  const PollOptions taken = read_options(options);
  const Url url = address_of(config, account);
  if (url.scheme == "gmail")
    return summary(account,
                   poll(context, config, account, *open_gmail(context, config, gmail_account(url)), taken));
  ImapMailbox mailbox(url, shared_breakers(config.circuit_breaker_url), cancelled_by(context));
  return summary(account, poll(context, config, account, mailbox, taken));
}

Json watch_mailbox(Context& context, const EmailConfig& config, const std::string& account,
                   const std::string& topic) {
  const Url url = address_of(config, account);
  if (url.scheme != "gmail")
    throw EmailError(EmailFailureKind::not_configured, "only gmail:// accounts can be watched");
  const GmailAccount gmail = gmail_account(url);
  const std::string address = gmail.address;
  const Json answer = open_gmail(context, config, gmail)->watch(topic);
  const std::string id = answer.contains("historyId") ? dump_json(answer.at("historyId")) : "";
  std::string digits;
  std::ranges::copy_if(id, std::back_inserter(digits), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits.empty()) slot_ledger(config).remember(history_key(address), digits, history_kept);
  return {{"account", account},
          {"status", "watching"},
          {"history_id", digits},
          {"expiration", answer.value("expiration", Json(nullptr))}};
}

// Where the last push ended is remembered; without it, or when Gmail has forgotten it, the mailbox is polled.
Json gmail_push(Context& context, const EmailConfig& config, const Json& payload) {
  const auto push = read_push(payload);
  if (!push) throw BadArguments("gmail_push: " + push.error().what);
  for (const auto& [account, unused] : config.accounts) {
    const Url url = address_of(config, account);
    if (url.scheme != "gmail") continue;
    const GmailAccount gmail = gmail_account(url);
    if (gmail.address != push->address) continue;
    const auto mailbox = open_gmail(context, config, gmail);
    QuotaLedger& ledger = slot_ledger(config);
    const auto since = ledger.recall(history_key(gmail.address));
    const PollOptions options;
    std::optional<std::vector<std::string>> added;
    if (since) added = mailbox->history(*since, 10'000);
    Totals totals;
    if (added) {
      const auto known = finished(config, account, "gmail");
      std::erase_if(*added, known);
      totals = work_on(context, config, account, *mailbox, *added);
    } else {
      totals = poll(context, config, account, *mailbox, options);
    }
    ledger.remember(history_key(gmail.address), push->history_id, history_kept);
    return summary(account, totals);
  }
  throw EmailError(EmailFailureKind::not_configured,
                   "email_accounts has no gmail:// account " + push->address);
}

Json monitor_gmail_inbox(Context& context, const EmailConfig& config, const std::string& user_id,
                         const Json& credentials_data, int days_back, int max_emails, bool auto_process) {
  if (!auto_process)
    context.log(log_info, "auto_process=False has no effect: documents are always processed");
  const Json options = {{"days_back", days_back}, {"max_emails", max_emails}};
  const PollOptions taken = read_options(options);
  const auto mailbox = open_gmail(context, config, account_of(config, user_id, credentials_data));
  Json result = summary(user_id, poll(context, config, user_id, *mailbox, taken));
  result["user_id"] = user_id;
  return result;
}

Json batch_process_emails(Context& context, const EmailConfig& config, const std::vector<std::string>& ids,
                          const std::string& user_id, const Json& credentials_data) {
  if (ids.size() > static_cast<std::size_t>(most_emails))
    throw BadArguments("batch_process_emails: more than " + std::to_string(most_emails) + " ids");
  const auto mailbox = open_gmail(context, config, account_of(config, user_id, credentials_data));
  const auto known = finished(config, user_id, mailbox->provider());
  Json errors = Json::array();
  for (const auto& id : ids) {
    if (known(id)) continue;
    const Totals totals = work_on(context, config, user_id, *mailbox, {id});
    if (totals.emails == 0)
      errors.push_back({{"email_id", id},
                        {"error", totals.failed > 0 ? "the message cannot be read" : "no such message"}});
  }
  return {
      {"user_id", user_id},      {"total_emails", ids.size()}, {"successful", ids.size() - errors.size()},
      {"failed", errors.size()}, {"errors", errors},           {"processed_at", format_iso8601(unix_now())}};
}

Json schedule_email_monitoring(Context& context, const EmailConfig& config, const std::string& user_id,
                               const Json& credentials_data, int schedule_minutes) {
  if (schedule_minutes < 1 || schedule_minutes > 7 * 24 * 60)
    throw BadArguments("schedule_email_monitoring: schedule_minutes must be from 1 to 10080");
  read_credentials(credentials_data);  // a schedule that can never work is refused now
  const std::string plan = "monitor:" + user_id, done = "monitored:" + context.task_id();
  QuotaLedger& ledger = slot_ledger(config);
  const bool first = context.root_id() == context.task_id();
  const bool current = first || ledger.recall(plan) == context.root_id();
  if (current && !ledger.recall(done)) {
    SendOptions poll;
    poll.queue = "email_processing";
    context.send("app.workers.email_tasks.monitor_gmail_inbox",
                 Json::array({user_id, credentials_data, 1, 25, true}), Json::object(), poll);
    SendOptions next;
    next.queue = "email_processing";
    next.task_id = uuid_of("monitor:" + context.task_id());
    next.countdown = 60.0 * schedule_minutes;
    context.send("app.workers.email_tasks.schedule_email_monitoring",
                 Json::array({user_id, credentials_data, schedule_minutes}), Json::object(), next);
    ledger.remember(done, "sent", history_kept);
    ledger.remember(plan, context.root_id(), history_kept);
  }
  return {{"user_id", user_id},
          {"task_name", "email_monitor_" + user_id},
          {"schedule_minutes", schedule_minutes},
          {"status", current ? "scheduled" : "replaced"},
          {"scheduled_at", format_iso8601(unix_now())}};
}

}  // namespace celeriac
