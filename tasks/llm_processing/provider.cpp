#include "tasks/llm_processing/provider.hpp"

#include "protocol/time.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace celeriac {
namespace {

struct Known {
  std::string_view name, base_url;
  WireForm form;
};
constexpr std::array<Known, 5> known_providers = {{
    {"openai", "https://api.openai.com/v1", WireForm::openai},
    {"openrouter", "https://openrouter.ai/api/v1", WireForm::openai},
    {"huggingface", "https://router.huggingface.co/v1", WireForm::openai},
    {"anthropic", "https://api.anthropic.com/v1", WireForm::anthropic},
    {"local", "", WireForm::openai},
}};

constexpr std::size_t max_message = 300;  // of what a provider says about an error

// What a provider says of an error: {"error": {"message": "..."}}, {"error": "..."}, or plain text.
std::string provider_message(const std::string& body) {
  const auto json = parse_json(body);
  if (json && json->is_object()) {
    const auto error = json->find("error");
    if (error != json->end() && error->is_object() && error->contains("message") &&
        error->at("message").is_string())
      return clean_text(error->at("message").get<std::string>(), max_message);
    if (error != json->end() && error->is_string()) return clean_text(error->get<std::string>(), max_message);
  }
  return clean_text(body, max_message);
}

// "1s", "6m0s", "20ms", "1h2m3.5s"; nothing when it is something else.
std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  double seconds = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit_end = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = text.substr(0, unit_end);
    const double factor = unit == "h" ? 3600 : unit == "m" ? 60 : unit == "s" ? 1 : unit == "ms" ? 0.001 : -1;
    if (factor < 0) return std::nullopt;
    seconds += number * factor;
    text.remove_prefix(unit_end);
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, 86400.0) * 1000));
}

std::optional<std::chrono::milliseconds> read_reset(const std::string& text, double now) {
  if (text.empty()) return std::nullopt;
  if (const auto duration = read_duration(text)) return duration;
  const auto moment = parse_iso8601(text);
  if (!moment) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(*moment - now, 0.0, 86400.0) * 1000));
}

}  // namespace

Expected<Provider> find_provider(const std::string& name, const std::string& base_url,
                                 const std::string& api_key) {
  std::string names;
  for (const Known& known : known_providers) {
    if (known.name != name) {
      names += (names.empty() ? "" : ", ") + std::string(known.name);
      continue;
    }
    Provider provider{name, known.form, base_url.empty() ? std::string(known.base_url) : base_url, api_key};
    while (provider.base_url.ends_with('/')) provider.base_url.pop_back();
    if (provider.base_url.empty()) return unexpected("llm_provider 'local' needs llm_base_url");
    return provider;
  }
  return unexpected("llm_provider '" + name + "' is not known; known are " + names);
}

HttpRequest chat_request(const Provider& provider, const ChatRequest& chat) {
  HttpRequest request;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"},
                     {"Accept", chat.stream ? "text/event-stream" : "application/json"}};
  if (provider.form == WireForm::anthropic) {
    request.url = provider.base_url + "/messages";
    request.headers.push_back({"anthropic-version", "2023-06-01"});
    if (!provider.api_key.empty()) request.headers.push_back({"x-api-key", provider.api_key});
    request.body = dump_json(anthropic::body(chat));
  } else {
    request.url = provider.base_url + "/chat/completions";
    if (!provider.api_key.empty()) request.headers.push_back({"Authorization", "Bearer " + provider.api_key});
    request.body = dump_json(openai::body(chat));
  }
  request.max_body = 4 * max_answer_bytes;
  return request;
}

Expected<ChatAnswer> read_answer(WireForm form, std::string_view body) {
  const auto json = parse_json(body);
  if (!json) return unexpected("an answer that is no JSON: " + json.error().what);
  if (!json->is_object()) return unexpected("an answer that is no object");
  try {
    auto answer = form == WireForm::anthropic ? anthropic::answer(*json) : openai::answer(*json);
    if (answer && answer->text.size() > max_answer_bytes) return unexpected("an answer beyond all bounds");
    return answer;
  } catch (const Json::exception& error) {  // a number where a text should be
    return unexpected(std::string("an answer of another form: ") + error.what());
  }
}

// Events end with an empty line; lines with \n or \r\n; "data:" lines of one event belong together.
bool AnswerStream::feed(std::string_view piece) {
  buffer_ += piece;
  if (buffer_.size() + data_.size() > max_answer_bytes) {
    error_ = "an event beyond all bounds";
    return false;
  }
  std::size_t begin = 0;
  for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n', begin)) {
    std::string_view text = std::string_view(buffer_).substr(begin, end - begin);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!line(text)) return false;
    begin = end + 1;
  }
  buffer_.erase(0, begin);
  return true;
}

bool AnswerStream::line(std::string_view text) {
  if (text.empty()) return event();
  if (!text.starts_with("data:")) return true;  // comments, event names, ids
  text.remove_prefix(5);
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (!data_.empty()) data_ += '\n';
  data_ += text;
  return true;
}

bool AnswerStream::event() {
  const std::string data = std::exchange(data_, {});
  if (data.empty() || data == "[DONE]") return true;
  const auto json = parse_json(data);
  if (!json || !json->is_object()) {
    error_ = "an event that is no JSON object";
    return false;
  }
  try {
    const auto read =
        form_ == WireForm::anthropic ? anthropic::event(*json, answer_) : openai::event(*json, answer_);
    if (!read) error_ = read.error().what;
    if (answer_.text.size() > max_answer_bytes) error_ = "an answer beyond all bounds";
  } catch (const Json::exception& error) {
    error_ = std::string("an event of another form: ") + error.what();
  }
  return error_.empty();
}

LlmError refusal(const Provider& provider, const HttpResponse& response) {
  const int status = response.status;
  const bool again = status >= 500 || status == 408 || status == 409 || status == 425;
  const LlmFailureKind kind = status == 429 ? LlmFailureKind::rate_limited
                              : again       ? LlmFailureKind::unavailable
                                            : LlmFailureKind::refused;
  LlmError error(
      kind, provider.name + " answered " + std::to_string(status) + ": " + provider_message(response.body));
  if (response.retry_after) error.retry_after = *response.retry_after;
  return error;
}

LlmError failure(const Provider& provider, const HttpError& error) {
  LlmError out(error.kind == HttpFailure::timeout ? LlmFailureKind::timeout : LlmFailureKind::unavailable,
               provider.name + ": " + error.message);
  out.billed = error.was_sent;
  return out;
}

std::optional<std::chrono::milliseconds> exhausted_for(const HttpResponse& response, double unix_now) {
  std::optional<std::chrono::milliseconds> longest;
  for (const std::string what : {"requests", "tokens"}) {
    for (const std::string prefix : {"x-ratelimit-", "anthropic-ratelimit-"}) {
      const bool first = prefix == "x-ratelimit-";
      const std::string left =
          response.header(first ? prefix + "remaining-" + what : prefix + what + "-remaining");
      if (left != "0") continue;
      const auto reset =
          read_reset(response.header(first ? prefix + "reset-" + what : prefix + what + "-reset"), unix_now);
      if (reset && (!longest || *reset > *longest)) longest = reset;
    }
  }
  return longest;
}

int estimate_prompt_tokens(const ChatRequest& chat) {
  std::size_t bytes = chat.system.size() + (chat.schema.is_null() ? 0 : dump_json(chat.schema).size());
  for (const auto& message : chat.messages) bytes += message.content.size();
  return static_cast<int>(bytes / 3) + 50;
}

}  // namespace celeriac
