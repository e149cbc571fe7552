// Anthropic's messages: https://docs.anthropic.com/en/api/messages. An answer of a given form is asked for as
// the input of a tool that the model must use.
#include "tasks/llm_processing/provider.hpp"

namespace celeriac::anthropic {
namespace {

constexpr const char* tool = "answer";

void read_usage(const Json& holder, ChatAnswer& answer) {
  const auto usage = holder.find("usage");
  if (usage == holder.end() || !usage->is_object()) return;
  answer.prompt_tokens = usage->value("input_tokens", answer.prompt_tokens);
  answer.completion_tokens = usage->value("output_tokens", answer.completion_tokens);
}

void read_finish(const Json& holder, ChatAnswer& answer) {
  const auto reason = holder.find("stop_reason");
  if (reason == holder.end() || !reason->is_string()) return;
  answer.finish_reason = reason->get<std::string>();
  answer.complete = answer.finish_reason == "end_turn" || answer.finish_reason == "tool_use" ||
                    answer.finish_reason == "stop_sequence";
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Json body(const ChatRequest& chat) {
  Json messages = Json::array();
  for (const auto& message : chat.messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  Json out = {{"model", chat.model},
              {"max_tokens", chat.max_tokens},
              {"temperature", chat.temperature},
              {"messages", std::move(messages)}};
  if (!chat.system.empty()) out["system"] = chat.system;
  if (!chat.schema.is_null()) {
    const Json answer_tool = {
        {"name", tool}, {"description", "Gives the answer."}, {"input_schema", chat.schema}};
    out["tools"] = Json::array({answer_tool});
    out["tool_choice"] = {{"type", "tool"}, {"name", tool}};
  }
  if (chat.stream) out["stream"] = true;
  return out;
}

Expected<ChatAnswer> answer(const Json& body) {
  const auto content = body.find("content");
  if (content == body.end() || !content->is_array()) return unexpected("an answer without content");
  ChatAnswer out;
  std::string input;
  for (const auto& block : *content) {
    if (!block.is_object()) return unexpected("a block that is no object");
    const std::string type = text_of(block, "type");
    if (type == "text") out.text += text_of(block, "text");
    if (type == "tool_use" && block.contains("input")) input = dump_json(block.at("input"));
  }
  if (!input.empty()) out.text = std::move(input);
  read_finish(body, out);
  read_usage(body, out);
  return out;
}

Expected<bool> event(const Json& data, ChatAnswer& so_far) {
  const std::string type = text_of(data, "type");
  if (type == "error") return unexpected("the provider reported an error in the stream");
  if (type == "message_start") {
    if (const auto message = data.find("message"); message != data.end() && message->is_object())
      read_usage(*message, so_far);
  } else if (type == "content_block_delta") {
    const auto delta = data.find("delta");
    if (delta == data.end() || !delta->is_object()) return unexpected("a delta that is no object");
    so_far.text += text_of(*delta, "text") + text_of(*delta, "partial_json");
  } else if (type == "message_delta") {
    read_usage(data, so_far);
    if (const auto delta = data.find("delta"); delta != data.end() && delta->is_object())
      read_finish(*delta, so_far);
  }
  return true;
}

}  // namespace celeriac::anthropic
