#include "tasks/llm_processing/chat.hpp"

namespace celeriac {

std::string_view exception_type(LlmFailureKind kind) {
  switch (kind) {
    case LlmFailureKind::rate_limited:
      return "LlmRateLimited";
    case LlmFailureKind::unavailable:
      return "LlmUnavailable";
    case LlmFailureKind::timeout:
      return "LlmTimeout";
    case LlmFailureKind::refused:
      return "LlmRequestRefused";
    case LlmFailureKind::bad_answer:
      return "LlmAnswerRefused";
    case LlmFailureKind::budget_exceeded:
      return "LlmBudgetExceeded";
    case LlmFailureKind::not_configured:
      return "LlmNotConfigured";
  }
  return "LlmUnavailable";
}

bool is_passing(LlmFailureKind kind) {
  return kind == LlmFailureKind::rate_limited || kind == LlmFailureKind::unavailable ||
         kind == LlmFailureKind::timeout;
}

}  // namespace celeriac
