#include "tasks/email_processing/gmail_mailbox.hpp"

#include "protocol/base64.hpp"
#include "protocol/uuid.hpp"
#include "tasks/email_processing/gmail_json.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <random>
#include <thread>

namespace celeriac {
namespace {

using namespace std::chrono_literals;

// Units of Gmail's usage limits, https://developers.google.com/gmail/api/reference/quota
constexpr int list_units = 5, get_units = 5, attachment_units = 5, history_units = 2, watch_units = 100;

constexpr int attempts = 5;
constexpr auto longest_wait = 20s;  // in the slot; beyond it the task is tried again later
constexpr auto kept = std::chrono::seconds(24h);

std::chrono::milliseconds pause_after(int attempt) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  const int full = 500 << attempt;
  return std::chrono::milliseconds(std::uniform_int_distribution<int>(full / 2, full)(generator));
}

// The reason in Google's error form.
std::string reason_of(const Json& body) {
  if (!body.is_object() || !body.contains("error") || !body.at("error").is_object()) return {};
  const Json& error = body.at("error");
  if (error.contains("errors") && error.at("errors").is_array() && !error.at("errors").empty() &&
      error.at("errors").front().is_object())
    return error.at("errors").front().value("reason", "");
  return error.value("status", "");
}

bool is_rate_limit(int status, const std::string& reason) {
  return status == 429 ||
         (status == 403 && (reason == "rateLimitExceeded" || reason == "userRateLimitExceeded" ||
                            reason == "dailyLimitExceeded" || reason == "RESOURCE_EXHAUSTED"));
}

std::vector<std::string> ids_of(const Json& list, const char* key) {
  std::vector<std::string> ids;
  const auto messages = list.find(key);
  if (messages == list.end() || !messages->is_array()) return ids;
  for (const Json& message : *messages)
    if (message.is_object() && message.contains("id") && message.at("id").is_string())
      ids.push_back(message.at("id").get<std::string>());
  return ids;
}

}  // namespace

GmailMailbox::GmailMailbox(GmailAccount account, QuotaLedger& ledger, SharedBreakers& breakers,
                           Cancelled cancelled)
    : account_(std::move(account)),
      ledger_(ledger),
      breakers_(breakers),
      cancelled_(std::move(cancelled)),
      token_(account_.credentials) {
  const std::string name = uuid4();
  if (!ledger_.connect(account_.address, name)) {
    EmailError error(EmailFailureKind::rate_limited, "all connections of this account are in use");
    error.retry_after = 30s;
    throw error;
  }
  connection_ = name;
}

GmailMailbox::~GmailMailbox() {
  try {
    if (!connection_.empty()) ledger_.disconnect(account_.address, connection_);
  } catch (const EmailError&) {
    // Redis is away: the connection's lease ends by itself.
  }
}

void GmailMailbox::wait(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    if (cancelled_ && cancelled_()) throw EmailError(EmailFailureKind::unavailable, "stopped while waiting");
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(100ms, end - std::chrono::steady_clock::now()));
  }
}

void GmailMailbox::take_units(int units) {
  std::chrono::milliseconds waited{0};
  while (const auto missing = ledger_.take(account_.address, units)) {
    if (waited + *missing > longest_wait) {
      EmailError error(EmailFailureKind::rate_limited, "Gmail's quota for this account is used up for now");
      error.retry_after = *missing;
      throw error;
    }
    wait(*missing);
    waited += *missing;
  }
}

GmailMailbox::Answer GmailMailbox::call(const std::string& method, const std::string& path, int units,
                                        const Json& body) {
  bool refreshed = false;
  for (int attempt = 0;; ++attempt) {
    if (const auto open = breakers_.wait_before_call(account_.api)) {
      EmailError error(EmailFailureKind::unavailable, "Gmail is left alone after failures");
      error.retry_after = *open;
      throw error;
    }
    take_units(units);
    HttpRequest request;
    request.method = method;
    request.url = account_.api + "/users/me/" + path;
    request.headers = {{"Authorization", "Bearer " + token_.get(cancelled_)}, {"Accept", "application/json"}};
    if (!body.is_null()) {
      request.headers.push_back({"Content-Type", "application/json"});
      request.body = dump_json(body);
    }
    request.max_body = 2 * MailLimits().max_message;
    const HttpResult result = http_fetch(std::move(request), cancelled_);
    std::string why;
    std::chrono::milliseconds pause = pause_after(attempt);
    auto kind = EmailFailureKind::unavailable;
    if (!result) {
      why = result.error().message;
      breakers_.failed(account_.api);
    } else {
      Answer answer{result->status, parse_json(result->body).value_or(Json(nullptr))};
      const std::string reason = reason_of(answer.body);
      why = "Gmail answered " + std::to_string(answer.status) + " " + clean_text(reason, 100);
      if (answer.status >= 500) {
        breakers_.failed(account_.api);
      } else {
        breakers_.succeeded(account_.api);
        if (answer.status == 401) {
          token_.expired();
          if (refreshed) throw EmailError(EmailFailureKind::auth, why);
          refreshed = true;
          continue;
        }
        if (!is_rate_limit(answer.status, reason)) {
          if (answer.status == 200 && answer.body.is_object()) return answer;
          if (answer.status == 404) return answer;
          if (answer.status >= 400) throw EmailError(EmailFailureKind::auth, why);
          why = "Gmail gave an answer that is no JSON object";
        } else {
          kind = EmailFailureKind::rate_limited;
          if (result->retry_after) pause = std::max<std::chrono::milliseconds>(pause, *result->retry_after);
          ledger_.pause(account_.address, pause);  // for every worker
        }
      }
    }
    if (attempt + 1 >= attempts || pause > longest_wait) {
      EmailError error(kind, why);
      error.retry_after = pause;
      throw error;
    }
    wait(pause);
  }
}

std::vector<std::string> GmailMailbox::list(int days, std::size_t most,
                                            const std::function<bool(const std::string& id)>& known) {
  std::vector<std::string> ids;
  std::string page;
  const std::string query = account_.query + " newer_than:" + std::to_string(days) + "d";
  constexpr int max_pages = 100;
  for (int pages = 0; pages < max_pages && ids.size() < most; ++pages) {
    const Answer answer = call("GET",
                               "messages?maxResults=100&q=" + url_encode(query) +
                                   (page.empty() ? "" : "&pageToken=" + url_encode(page)),
                               list_units);
    for (std::string& id : ids_of(answer.body, "messages"))
      if (ids.size() < most && !known(id)) ids.push_back(std::move(id));
    page = text_at(answer.body, "nextPageToken");
    if (page.empty()) break;
  }
  std::ranges::reverse(ids);
  return ids;
}

std::optional<Expected<Mail>> GmailMailbox::fetch(const std::string& id) {
  const std::string name = account_.address + ":" + id;
  if (const auto known = ledger_.recall(name)) {
    if (const auto message = parse_json(*known)) return read_gmail_message(*message);
  }
  const Answer answer = call("GET", "messages/" + url_encode(id) + "?format=full", get_units);
  if (answer.status == 404) return std::nullopt;
  const std::string text = dump_json(answer.body);
  constexpr std::size_t max_kept = 256 << 10;
  if (text.size() <= max_kept) ledger_.remember(name, text, kept);
  return read_gmail_message(answer.body);
}

std::string GmailMailbox::attachment(const std::string& id, const MailAttachment& attachment) {
  if (attachment.provider_id.empty()) return attachment.bytes;
  const Answer answer =
      call("GET", "messages/" + url_encode(id) + "/attachments/" + url_encode(attachment.provider_id),
           attachment_units);
  std::string data = text_at(answer.body, "data");
  std::ranges::replace(data, '-', '+');
  std::ranges::replace(data, '_', '/');
  while (data.size() % 4 != 0) data += '=';
  auto bytes = base64_decode(data);
  return bytes ? std::move(*bytes) : std::string();  // refused as empty
}

std::optional<std::vector<std::string>> GmailMailbox::history(const std::string& since, std::size_t most) {
  std::vector<std::string> ids;
  std::string page;
  do {
    const Answer answer =
        call("GET",
             "history?historyTypes=messageAdded&maxResults=100&startHistoryId=" + url_encode(since) +
                 (page.empty() ? "" : "&pageToken=" + url_encode(page)),
             history_units);
    if (answer.status == 404) return std::nullopt;
    const auto records = answer.body.find("history");
    if (records != answer.body.end() && records->is_array()) {
      for (const Json& record : *records) {
        if (!record.is_object()) continue;
        const auto added = record.find("messagesAdded");
        if (added == record.end() || !added->is_array()) continue;
        for (const Json& one : *added) {
          if (!one.is_object() || !one.contains("message") || !one.at("message").is_object()) continue;
          const std::string id = text_at(one.at("message"), "id");
          if (!id.empty() && std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
        }
      }
    }
    page = text_at(answer.body, "nextPageToken");
  } while (!page.empty() && ids.size() < most);
  return ids;
}

Json GmailMailbox::watch(const std::string& topic) {
  const Json body = {{"topicName", topic}, {"labelIds", Json::array({"INBOX"})}};
  const Answer answer = call("POST", "watch", watch_units, body);
  if (answer.status != 200)
    throw EmailError(EmailFailureKind::not_configured, "Gmail does not know the topic " + topic);
  return answer.body;
}

}  // namespace celeriac
