// What is asked of a language model and what it answers, whoever serves it.
#pragma once

#include "protocol/json.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace celeriac {

struct ChatMessage {
  std::string role;  // "user", "assistant"
  std::string content;
};

struct ChatRequest {
  std::string model;
  std::string system;  // may be empty
  std::vector<ChatMessage> messages;
  Json schema = nullptr;  // JSON Schema the answer must fit; null: free text
  int max_tokens = 1000;
  double temperature = 0.1;
  bool stream = false;
};

struct ChatAnswer {
  std::string text;
  std::string finish_reason;                       // the provider's word: "stop", "length", "end_turn", ...
  bool complete = false;                           // the provider said that it was done
  int prompt_tokens = -1, completion_tokens = -1;  // -1: not told
};

// Longer than any answer that is wanted.
constexpr std::size_t max_answer_bytes = 1u << 20;

// Why there is no answer, as clients see the exception's type.
enum class LlmFailureKind {
  rate_limited,     // LlmRateLimited: 429, or the budget of this minute is used up
  unavailable,      // LlmUnavailable: 5xx, unreachable, stream cut, breaker open
  timeout,          // LlmTimeout
  refused,          // LlmRequestRefused: 4xx: key, model, request
  bad_answer,       // LlmAnswerRefused: no JSON or not of the schema, also after one repair
  budget_exceeded,  // LlmBudgetExceeded: a cap per day or month, or per invoice
  not_configured,   // LlmNotConfigured
};
std::string_view exception_type(LlmFailureKind kind);
bool is_passing(LlmFailureKind kind);  // another attempt may succeed

struct LlmError : std::runtime_error {
  LlmError(LlmFailureKind failure, const std::string& what) : std::runtime_error(what), kind(failure) {}
  LlmFailureKind kind;
  std::optional<std::chrono::milliseconds> retry_after;
  bool billed = false;  // the provider may have counted it
};

}  // namespace celeriac
