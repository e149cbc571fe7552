// OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat
#include "tasks/llm_processing/provider.hpp"

namespace celeriac::openai {
namespace {

void read_usage(const Json& body, ChatAnswer& answer) {
  const auto usage = body.find("usage");
  if (usage == body.end() || !usage->is_object()) return;
  answer.prompt_tokens = usage->value("prompt_tokens", -1);
  answer.completion_tokens = usage->value("completion_tokens", -1);
}

void read_finish(const Json& choice, ChatAnswer& answer) {
  const auto reason = choice.find("finish_reason");
  if (reason == choice.end() || !reason->is_string()) return;
  answer.finish_reason = reason->get<std::string>();
  answer.complete = answer.finish_reason == "stop" || answer.finish_reason == "tool_calls";
}

}  // namespace

Json body(const ChatRequest& chat) {
  Json messages = Json::array();
  if (!chat.system.empty()) messages.push_back({{"role", "system"}, {"content", chat.system}});
  for (const auto& message : chat.messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  Json out = {{"model", chat.model},
              {"messages", std::move(messages)},
              {"max_tokens", chat.max_tokens},
              {"temperature", chat.temperature}};
  if (!chat.schema.is_null()) {
    const Json form = {{"name", "answer"}, {"strict", true}, {"schema", chat.schema}};
    out["response_format"] = {{"type", "json_schema"}, {"json_schema", form}};
  }
  if (chat.stream) {
    out["stream"] = true;
    out["stream_options"] = {{"include_usage", true}};
  }
  return out;
}

Expected<ChatAnswer> answer(const Json& body) {
  const auto choices = body.find("choices");
  if (choices == body.end() || !choices->is_array() || choices->empty() || !choices->front().is_object())
    return unexpected("an answer without choices");
  const Json& choice = choices->front();
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object()) return unexpected("a choice without message");
  ChatAnswer out;
  const auto content = message->find("content");
  if (content != message->end() && content->is_string()) out.text = content->get<std::string>();
  read_finish(choice, out);
  read_usage(body, out);
  return out;
}

Expected<bool> event(const Json& data, ChatAnswer& so_far) {
  if (const auto error = data.find("error"); error != data.end() && !error->is_null())
    return unexpected("the provider reported an error in the stream");
  read_usage(data, so_far);
  const auto choices = data.find("choices");
  if (choices == data.end() || !choices->is_array() || choices->empty()) return true;
  const Json& choice = choices->front();
  if (!choice.is_object()) return unexpected("a choice that is no object");
  if (const auto delta = choice.find("delta"); delta != choice.end() && delta->is_object()) {
    const auto content = delta->find("content");
    if (content != delta->end() && content->is_string())
      so_far.text += content->get_ref<const std::string&>();
  }
  read_finish(choice, so_far);
  return true;
}

}  // namespace celeriac::openai
