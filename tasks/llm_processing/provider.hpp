// The wire forms of those who serve language models: OpenAI's chat completions (OpenAI,
// OpenRouter, Hugging Face's router, any local server) and Anthropic's messages. Pure:
// requests and answers as values, no sockets.
#pragma once

#include "protocol/error.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/llm_processing/chat.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class WireForm { openai, anthropic };

struct Provider {
  std::string name;  // "openai", "openrouter", "anthropic", "huggingface", "local"
  WireForm form = WireForm::openai;
  std::string base_url;  // without a '/' at its end
  std::string api_key;   // may be empty for a local server
};

// An unknown name, or "local" without a URL, is an Error that says what is known. `base_url` may be empty.
Expected<Provider> find_provider(const std::string& name, const std::string& base_url,
                                 const std::string& api_key);

HttpRequest chat_request(const Provider& provider, const ChatRequest& chat);

// The body of a 2xx answer. What is not of the provider's form is an Error.
Expected<ChatAnswer> read_answer(WireForm form, std::string_view body);

// Reads a streamed answer piece by piece (server-sent events).
class AnswerStream {
 public:
  explicit AnswerStream(WireForm form) : form_(form) {}
  // False when the stream is broken or too long; error() says why.
  bool feed(std::string_view piece);
  const ChatAnswer& answer() const { return answer_; }
  const std::string& error() const { return error_; }

 private:
  bool line(std::string_view text);
  bool event();

  WireForm form_;
  std::string buffer_, data_;
  ChatAnswer answer_;
  std::string error_;
};

// An answer that is not 2xx, and a transfer that failed, as an error of ours. The text holds the
// provider's own message, shortened.
LlmError refusal(const Provider& provider, const HttpResponse& response);
LlmError failure(const Provider& provider, const HttpError& error);

// How long to leave the provider alone, told by its rate-limit headers when nothing is left.
std::optional<std::chrono::milliseconds> exhausted_for(const HttpResponse& response, double unix_now);

// An upper estimate of the tokens of a request, for reserving: no tokenizer gives more than one for three
// bytes of ordinary text.
int estimate_prompt_tokens(const ChatRequest& chat);

// In provider.cpp's neighbours, one for each form.
namespace openai {
Json body(const ChatRequest& chat);
Expected<ChatAnswer> answer(const Json& body);
Expected<bool> event(const Json& data, ChatAnswer& so_far);
}  // namespace openai
namespace anthropic {
Json body(const ChatRequest& chat);
Expected<ChatAnswer> answer(const Json& body);
Expected<bool> event(const Json& data, ChatAnswer& so_far);
}  // namespace anthropic

}  // namespace celeriac
