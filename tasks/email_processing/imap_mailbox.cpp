#include "tasks/email_processing/imap_mailbox.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace celeriac {
namespace {

[[noreturn]] void fail(const HttpError& error) {
  const auto kind = error.kind == HttpFailure::login       ? EmailFailureKind::auth
                    : error.kind == HttpFailure::not_found ? EmailFailureKind::not_found
                                                           : EmailFailureKind::unavailable;
  throw EmailError(kind, error.message);
}

// IMAP's date: "14-Nov-2026".
std::string search_date(int days_ago) {
  const std::time_t then = std::time(nullptr) - static_cast<std::time_t>(days_ago) * 86400;
  std::tm day{};
  gmtime_r(&then, &day);
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return std::to_string(day.tm_mday) + "-" + months[day.tm_mon] + "-" + std::to_string(day.tm_year + 1900);
}

// The numbers in a "* SEARCH 1 2 3" line.
std::vector<std::uint32_t> search_result(std::string_view body) {
  std::vector<std::uint32_t> uids;
  const std::string_view mark = "* SEARCH";
  for (auto at = body.find(mark); at != std::string_view::npos; at = body.find(mark, at)) {
    at += mark.size();
    while (at < body.size() && body[at] == ' ') {
      std::uint32_t uid = 0;
      const auto [end, error] = std::from_chars(body.data() + at + 1, body.data() + body.size(), uid);
      if (error != std::errc()) break;
      uids.push_back(uid);
      at = static_cast<std::size_t>(end - body.data());
    }
  }
  return uids;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

ImapMailbox::ImapMailbox(const Url& url, SharedBreakers& breakers, Cancelled cancelled)
    : user_(url.user), password_(url.password), breakers_(breakers), cancelled_(std::move(cancelled)) {
  const std::string folder = url.path.size() > 1 ? url.path.substr(1) : "INBOX";
  if (folder.find_first_of("\r\n") != std::string::npos || url.user.empty())
    throw EmailError(EmailFailureKind::not_configured,
                     "an IMAP address needs a user and a folder in one line");
  server_ = url.scheme + "://" + url.host + (url.port ? ":" + std::to_string(url.port) : "") + "/";
  folder_ = url_encode(folder);
  quoted_folder_ = quoted(folder);
  const auto auth = url.query.find("auth");
  bearer_ = auth != url.query.end() && auth->second == "bearer";
}

HttpResult ImapMailbox::ask(const std::string& path, const std::string& command) {
  if (const auto open = breakers_.wait_before_call(server_)) {
    EmailError error(EmailFailureKind::unavailable, shown_url(server_) + " is left alone after failures");
    error.retry_after = *open;
    throw error;
  }
  HttpRequest request;
  request.url = server_ + path;
  request.imap_command = command;
  request.user = user_;
  (bearer_ ? request.bearer : request.password) = password_;
  request.deadline = std::chrono::minutes(5);
  request.max_body = MailLimits().max_message;
  HttpResult result = http_fetch(std::move(request), cancelled_);
  // Refusing a login, a folder or a large message, it is there.
  const auto kind = result ? HttpFailure::login : result.error().kind;
  const bool away = kind == HttpFailure::unreachable || kind == HttpFailure::tls ||
                    kind == HttpFailure::timeout || kind == HttpFailure::cut;
  if (away)
    breakers_.failed(server_);
  else if (kind != HttpFailure::stopped)
    breakers_.succeeded(server_);
  return result;
}

std::string ImapMailbox::uid_validity() {
  const HttpResult status = ask("", "STATUS " + quoted_folder_ + " (UIDVALIDITY)");
  if (!status) fail(status.error());
  const std::string_view body = status->body, mark = "UIDVALIDITY ";
  const auto at = body.find(mark);
  if (at == std::string_view::npos)
    throw EmailError(EmailFailureKind::not_found, shown_url(server_) + " has no folder " + quoted_folder_);
  const auto end = body.find_first_not_of("0123456789", at + mark.size());
  return std::string(body.substr(at + mark.size(), end - at - mark.size()));
}

std::vector<std::string> ImapMailbox::list(int days, std::size_t most,
                                           const std::function<bool(const std::string& id)>& known) {
  const std::string validity = uid_validity();
  // curl keeps its connection, and a server shows new mail only when it is asked for news there.
  if (const HttpResult news = ask(folder_, "NOOP"); !news) fail(news.error());
  const HttpResult found = ask(folder_, "UID SEARCH SINCE " + search_date(days));
  if (!found) fail(found.error());
  std::vector<std::uint32_t> uids = search_result(found->body);
  std::ranges::sort(uids, std::greater<>());
  std::vector<std::string> ids;
  for (const std::uint32_t uid : uids) {
    if (ids.size() >= most) break;
    std::string id = validity + ":" + std::to_string(uid);
    if (!known(id)) ids.push_back(std::move(id));
  }
  std::ranges::reverse(ids);
  return ids;
}

std::optional<Expected<Mail>> ImapMailbox::fetch(const std::string& id) {
  const std::string uid = id.substr(id.find(':') + 1);
  const HttpResult message = ask(folder_ + "/;UID=" + uid, "");
  if (!message) {
    if (message.error().kind == HttpFailure::not_found) return std::nullopt;
    if (message.error().kind == HttpFailure::too_large) return unexpected(message.error().message);
    fail(message.error());
  }
  return parse_mail(message->body);
}

std::string ImapMailbox::attachment(const std::string&, const MailAttachment& attachment) {
  return attachment.bytes;
}

}  // namespace celeriac
