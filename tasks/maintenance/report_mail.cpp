#include "tasks/maintenance/report_mail.hpp"

#include "tasks/engines/http.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/outbox.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <date/date.h>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include <algorithm>
#include <chrono>

namespace celeriac {
namespace {

constexpr int mail_lease_seconds = 120;  // longer than one mail may take
constexpr std::chrono::seconds most_mail_time{60};
constexpr std::size_t longest_address = 254;  // RFC 5321, 4.5.3.1.3

struct SmtpServer {
  std::string url, user, password;
};

Expected<SmtpServer> read_smtp_url(const std::string& text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed || (parsed->scheme() != "smtp" && parsed->scheme() != "smtps") || parsed->host().empty())
    return unexpected("not an smtp:// or smtps:// URL");
  SmtpServer out{"", parsed->user(), parsed->password()};
  boost::urls::url bare(*parsed);
  bare.remove_userinfo();
  out.url = bare.c_str();
  return out;
}

// One that can stand in a header and in the envelope; whether it exists, its server says.
bool is_mail_address(std::string_view text) {
  const auto at = text.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos && text.size() <= longest_address &&
         std::ranges::none_of(text, [](unsigned char c) {
           return c <= ' ' || c >= 0x7f ||
                  std::string_view("<>()[],;:\\\"").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

std::vector<std::string> split_addresses(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::string_view one = text.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (!one.empty()) out.emplace_back(one);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

void add_once(std::vector<std::string>& to, const std::vector<std::string>& addresses) {
  for (const auto& address : addresses)
    if (std::ranges::find(to, address) == to.end()) to.push_back(address);
}

// The figures, one to a line: "invoices by_status PARSED: 3".
std::string figures_of(const std::string& document) {
  std::string out;
  const auto read = parse_json(document);
  if (!read) return out;
  const Json flat = read->flatten();
  for (const auto& [path, value] : flat.items()) {
    std::string name = path.empty() ? path : path.substr(1);
    std::ranges::replace(name, '/', ' ');
    out += name + ": " + (value.is_string() ? value.get<std::string>() : dump_json(value)) + "\n";
  }
  return out;
}

HttpRequest request_of(const SmtpServer& server, const std::string& from, const ClaimedEffect& effect) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto text = [&](const char* name) { return effect.payload.value(name, std::string()); };
  HttpRequest request;
  request.url = server.url;
  request.user = server.user, request.password = server.password;
  request.deadline = most_mail_time;
  request.headers = {{"From", from},
                     {"To", effect.target},
                     {"Subject", text("subject")},
                     {"Date", date::format("%a, %d %b %Y %T +0000", now)},
                     {"Message-ID", "<" + effect.id + from.substr(from.find('@')) + ">"},
                     {"Auto-Submitted", "auto-generated"}};
  request.body = text("subject") + "\n\n" + figures_of(text("document"));
  request.mail = {from, {effect.target}, text("file_name"), "application/json", text("document")};
  return request;
}

enum class MailEnd { sent, refused, away };

// Why it was not sent is kept with it.
MailEnd send_mail(Context& context, Database& database, const MailConfig& config,
                  const ClaimedEffect& effect) {
  const auto server = read_smtp_url(config.smtp_url);
  if (!server) throw invoice_error("MailNotConfigured", "smtp_url: " + server.error().what);
  const HttpResult answer =
      http_fetch(request_of(*server, config.from, effect), [&] { return context.soft_limit_exceeded(); });
  if (answer && answer->status >= 200 && answer->status < 300) {
    effect_sent(database, effect.id);
    return MailEnd::sent;
  }
  const std::string why = answer ? shown_url(server->url) + " answered " + std::to_string(answer->status) +
                                       ": " + clean_text(answer->body, 300)
                                 : answer.error().message;
  effect_failed(database, effect.id, why, answer && answer->status >= 500);
  context.log(log_warning, "a report was not mailed to " + effect.target + ": " + why);
  return answer ? MailEnd::refused : MailEnd::away;
}

}  // namespace

std::string mail_fault(const MailConfig& config) {
  for (const auto& [group, text] : config.recipients)
    for (const auto& address : split_addresses(text))
      if (!is_mail_address(address))
        return "report_recipients." + group + ": '" + clean_text(address, 100) + "' is no address";
  if (config.smtp_url.empty()) return {};
  if (const auto server = read_smtp_url(config.smtp_url); !server) return "smtp_url: " + server.error().what;
  return is_mail_address(config.from) ? std::string()
                                      : "smtp_mail_from: an address is needed, such as reports@example.com";
}

std::vector<std::string> report_addresses(const MailConfig& config, const Json& names) {
  std::vector<std::string> all, out;
  if (config.smtp_url.empty()) return out;
  for (const auto& [group, text] : config.recipients) add_once(all, split_addresses(text));
  if (names.is_null()) return all;
  if (!names.is_array()) throw BadArguments("recipients of a report must be a list of groups or addresses");
  for (const auto& name : names) {
    if (!name.is_string()) throw BadArguments("recipients of a report must be texts");
    const std::string text = name.get<std::string>();
    if (const auto group = config.recipients.find(text); group != config.recipients.end())
      add_once(out, split_addresses(group->second));
    else if (std::ranges::find(all, text) != all.end())
      add_once(out, {text});
    else
      throw invoice_error("ReportRecipientUnknown", "report_recipients has neither a group nor an address '" +
                                                        clean_text(text, 100) + "'");
  }
  return out;
}

Json mail_report(Context& context, Database& database, const MailConfig& config,
                 const std::vector<std::string>& addresses, const ReportMail& mail) {
  Json ids = Json::array();
  if (config.smtp_url.empty() || addresses.empty())
    return {
        {"email_sent", false},
        {"delivery_ids", ids},
        {"message", config.smtp_url.empty() ? "smtp_url is not set: the report is mailed to nobody"
                                            : "report_recipients names nobody: the report is not mailed"}};
  for (const auto& address : addresses)
    ids.push_back(add_effect(
        database, {"mail:" + sha256_hex(context.task_id() + "\n" + mail.file_name + "\n" + address),
                   "mail",
                   address,
                   {{"subject", mail.subject}, {"file_name", mail.file_name}, {"document", mail.document}}}));
  std::size_t sent = 0;
  bool away = false;  // then the others need not try
  for (const auto& id : ids) {
    context.checkpoint();
    const auto mine =
        away ? std::nullopt : claim_effect(database, context.hostname(), id, mail_lease_seconds);
    away = away || (mine && send_mail(context, database, config, *mine) == MailEnd::away);
    sent += static_cast<std::size_t>(
        database.run("SELECT FROM outbox WHERE id = $1 AND state = 'sent'", {id.get<std::string>()}).size());
  }
  return {{"email_sent", sent == ids.size()},
          {"delivery_ids", ids},
          {"message", "mailed to " + std::to_string(sent) + " of " + std::to_string(ids.size())}};
}

MailsSent send_report_mails(Context& context, Database& database, const MailConfig& config, int limit) {
  MailsSent out;
  if (config.smtp_url.empty()) return out;
  // One at a time, so that none waits for others until its claim has ended.
  for (int i = 0; i < limit; ++i) {
    context.checkpoint();
    const auto claimed = claim_mails(database, context.hostname(), 1, mail_lease_seconds);
    if (claimed.empty()) break;
    const MailEnd end = send_mail(context, database, config, claimed.front());
    if (end == MailEnd::sent)
      out.ids.push_back(claimed.front().id);
    else
      ++out.failed;
    if (end == MailEnd::away) break;  // the others would wait for it as long
  }
  return out;
}

int retry_report_mails(Database& database) {
  return database
      .run(
          "UPDATE outbox SET state = 'waiting', attempts = 0, available_at = now() WHERE kind = 'mail' AND "
          "state = 'failed' AND created_at > now() - interval '1 day'")
      .affected();
}

}  // namespace celeriac
