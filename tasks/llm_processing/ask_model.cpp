#include "tasks/llm_processing/answer.hpp"
#include "tasks/llm_processing/llm_options.hpp"
#include "tasks/llm_processing/tasks.hpp"
#include "tasks/store/log_levels.hpp"

namespace celeriac {
namespace {

constexpr std::size_t max_prompt = 1u << 20;  // bytes

}  // namespace

boost::asio::awaitable<Json> ask_model(LlmServicePtr service, Context& context, std::string prompt,
                                       Json schema, Json options) {
  if (prompt.empty()) throw BadArguments("complete: the prompt is empty");
  if (prompt.size() > max_prompt)
    throw BadArguments("complete: the prompt has more than " + std::to_string(max_prompt) + " bytes");
  if (!schema.is_null()) {
    if (const auto usable = check_schema(schema); !usable)
      throw BadArguments("complete: " + usable.error().what);
  }
  const LlmOptions taken = read_llm_options("complete", options);
  Question question;
  question.operation = taken.operation.empty() ? "complete" : taken.operation;
  question.tenant = taken.tenant;
  question.user_id = taken.user_id;
  question.invoice_id = taken.invoice_id;
  question.task_id = context.task_id();
  question.attempt = static_cast<int>(context.retries());
  question.system = taken.system;
  question.prompt = std::move(prompt);
  question.schema = std::move(schema);
  question.model = taken.model;
  question.max_tokens = taken.max_tokens;
  question.temperature = taken.temperature;
  const Completion answer = co_await service->complete(std::move(question));
  for (const std::string& warning : answer.warnings) context.log(log_warning, warning);
  Json result = {{"status", "completed"},
                 {"value", answer.value},
                 {"provider", answer.provider},
                 {"model", answer.model},
                 {"cached", answer.cached},
                 {"repaired", answer.repaired},
                 {"prompt_tokens", answer.prompt_tokens},
                 {"completion_tokens", answer.completion_tokens},
                 {"cost", answer.cost}};
  co_return result;
}

}  // namespace celeriac
