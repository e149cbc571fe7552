// The wire forms, the reading of answers and the choice of models: no sockets, no database.
#include "tasks/llm_processing/answer.hpp"
#include "tasks/llm_processing/provider.hpp"
#include "tasks/llm_processing/routing.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace std::chrono_literals;

namespace {

Json schema() {
  return *parse_json(R"({"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"],
                         "additionalProperties": false})");
}

ChatRequest chat() {
  ChatRequest request;
  request.model = "m";
  request.system = "rules";
  request.messages = {ChatMessage{"user", "question"}};
  request.schema = schema();
  return request;
}

std::string header(const HttpRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return "";
}

bool feed(AnswerStream& stream, const std::string& bytes, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step)
    if (!stream.feed(std::string_view(bytes).substr(at, step))) return false;
  return true;
}

}  // namespace

TEST_CASE("each provider gets its own form") {
  const auto openai = find_provider("openai", "", "key");
  const HttpRequest first = chat_request(*openai, chat());
  CHECK(first.url == "https://api.openai.com/v1/chat/completions");
  CHECK(header(first, "Authorization") == "Bearer key");
  const Json body = *parse_json(first.body);
  CHECK(body.at("messages").size() == 2);
  CHECK(body.at("response_format").at("json_schema").at("schema") == schema());
  CHECK_FALSE(body.contains("stream"));

  const auto anthropic = find_provider("anthropic", "http://127.0.0.1:1/v1/", "key");
  ChatRequest streaming = chat();
  streaming.stream = true;
  const HttpRequest second = chat_request(*anthropic, streaming);
  CHECK(second.url == "http://127.0.0.1:1/v1/messages");
  CHECK(header(second, "x-api-key") == "key");
  CHECK(header(second, "anthropic-version") == "2023-06-01");
  const Json other = *parse_json(second.body);
  CHECK(other.at("system") == "rules");
  CHECK(other.at("messages").size() == 1);
  CHECK(other.at("tools").at(0).at("input_schema") == schema());
  CHECK(other.at("stream") == true);

  CHECK(find_provider("openrouter", "", "")->base_url == "https://openrouter.ai/api/v1");
  CHECK(find_provider("huggingface", "", "")->base_url == "https://router.huggingface.co/v1");
  CHECK(find_provider("local", "", "").error().what.find("llm_base_url") != std::string::npos);
  CHECK(find_provider("oracle", "", "").error().what.find("openrouter") != std::string::npos);
}

TEST_CASE("whole answers") {
  const auto first = read_answer(WireForm::openai, R"({"choices": [{"message": {"content": "{\"a\": 1}"},
      "finish_reason": "stop"}], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})");
  REQUIRE(first);
  CHECK(first->text == "{\"a\": 1}");
  CHECK(first->complete);
  CHECK(first->prompt_tokens == 11);
  CHECK(first->completion_tokens == 7);
  const auto second = read_answer(WireForm::anthropic, R"({"content": [{"type": "text", "text": "Well."},
      {"type": "tool_use", "input": {"total": "1"}}], "stop_reason": "tool_use",
      "usage": {"input_tokens": 3, "output_tokens": 4}})");
  REQUIRE(second);
  CHECK(second->text == R"({"total": "1"})");
  CHECK(second->completion_tokens == 4);
  for (const char* broken : {"", "[]", "{}", "{\"choices\": []}", "{\"choices\": [1]}", "{\"choices\": {}}",
                             R"({"choices": [{"message": 1}]})",
                             R"({"choices": [{"message": {}}], "usage": {"prompt_tokens": "many"}})"})
    CHECK_MESSAGE(!read_answer(WireForm::openai, broken), broken);
  for (const char* broken : {"{}", R"({"content": 1})", R"({"content": [1]})"})
    CHECK_MESSAGE(!read_answer(WireForm::anthropic, broken), broken);
}

TEST_CASE("streamed answers, however they are cut into pieces") {
  const std::string openai =
      ": comment\r\n\r\ndata: {\"choices\": [{\"delta\": {\"content\": \"{\\\"total\\\"\"}}]}\r\n\r\n"
      "data: {\"choices\": [{\"delta\": {\"content\": \": \\\"1\\\"}\"}, \"finish_reason\": \"stop\"}]}\n\n"
      "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 6}}\n\ndata: "
      "[DONE]\n\n";
  const std::string anthropic =
      "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"usage\": {\"input_tokens\": "
      "5}}}\n\n"
      "data: {\"type\": \"content_block_delta\", \"delta\": {\"partial_json\": \"{\\\"total\\\": \"}}\n\n"
      "data: {\"type\": \"content_block_delta\", \"delta\": {\"partial_json\": \"\\\"1\\\"}\"}}\n\n"
      "data: {\"type\": \"message_delta\", \"delta\": {\"stop_reason\": \"tool_use\"}, \"usage\": "
      "{\"output_tokens\": 6}}\n\n";
  for (const auto& [form, text] :
       {std::pair{WireForm::openai, openai}, std::pair{WireForm::anthropic, anthropic}}) {
    for (const std::size_t step : {std::size_t(1), std::size_t(7), text.size()}) {
      AnswerStream stream(form);
      REQUIRE(feed(stream, text, step));
      CHECK(*parse_json(stream.answer().text) == *parse_json(R"({"total": "1"})"));
      CHECK(stream.answer().complete);
      CHECK(stream.answer().prompt_tokens == 5);
      CHECK(stream.answer().completion_tokens == 6);
    }
  }
  AnswerStream broken(WireForm::openai);
  CHECK_FALSE(broken.feed("data: {no json}\n\n"));
  CHECK_FALSE(broken.error().empty());
  AnswerStream endless(WireForm::openai);
  CHECK_FALSE(endless.feed("data: " + std::string(max_answer_bytes + 1, 'x')));
}

TEST_CASE("JSON is found in the text and held against the schema") {
  CHECK(read_structured(R"({"total": "1"})", schema()));
  CHECK(read_structured("Here it is:\n```json\n{\"total\": \"1\"}\n```\nDone.", schema()));
  CHECK(read_structured("no JSON", schema()).error().what.find("no JSON") != std::string::npos);
  CHECK(read_structured(R"({"total": 1})", schema()).error().what.find("schema") != std::string::npos);
  CHECK_FALSE(read_structured(R"({"total": "1", "more": 2})", schema()));
  CHECK_FALSE(read_structured(std::string(5000, '['), schema()));
  CHECK(check_schema(schema()));
  CHECK_FALSE(check_schema(Json("text")));
  CHECK_FALSE(check_schema(*parse_json(R"({"type": 7})")));
}

TEST_CASE("refusals and rate limits") {
  const auto provider = find_provider("openai", "", "");
  HttpResponse response;
  response.status = 429;
  response.body = R"({"error": {"message": "slow down"}})";
  response.retry_after = 7s;
  const LlmError limited = refusal(*provider, response);
  CHECK(limited.kind == LlmFailureKind::rate_limited);
  CHECK(limited.retry_after == 7s);
  CHECK(std::string(limited.what()).find("slow down") != std::string::npos);
  response.status = 503;
  CHECK(refusal(*provider, response).kind == LlmFailureKind::unavailable);
  response.status = 401;
  CHECK(refusal(*provider, response).kind == LlmFailureKind::refused);

  CHECK_FALSE(exhausted_for(response, 0));
  response.headers = {{"x-ratelimit-remaining-requests", "0"}, {"x-ratelimit-reset-requests", "1m2.5s"}};
  CHECK(exhausted_for(response, 0) == 62'500ms);
  response.headers = {{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "20ms"}};
  CHECK(exhausted_for(response, 0) == 20ms);
  response.headers = {{"anthropic-ratelimit-tokens-remaining", "0"},
                      {"anthropic-ratelimit-tokens-reset", "1970-01-01T00:01:00Z"}};
  CHECK(exhausted_for(response, 45) == 15s);
  response.headers = {{"x-ratelimit-remaining-requests", "0"}, {"x-ratelimit-reset-requests", "soon"}};
  CHECK_FALSE(exhausted_for(response, 0));
}

TEST_CASE("models by difficulty, prices by model") {
  LlmConfig config;
  CHECK(models_for(config, Difficulty::normal).empty());
  config.model = "normal";
  config.model_simple = "small";
  config.model_complex = "large";
  config.fallback_models = {"other", "normal"};
  CHECK(models_for(config, Difficulty::simple) == std::vector<std::string>{"small", "normal", "other"});
  CHECK(models_for(config, Difficulty::normal) == std::vector<std::string>{"normal", "other"});
  CHECK(models_for(config, Difficulty::hard).front() == "large");
  CHECK(difficulty_of(1, 0.8, 500) == Difficulty::simple);
  CHECK(difficulty_of(4, 0.8, 500) == Difficulty::normal);
  CHECK(difficulty_of(4, 0.4, 500) == Difficulty::hard);
  CHECK(price_of(config, "normal", 1000, 1000) == doctest::Approx(0.003));
  config.prices["normal"] = {1, 2};
  CHECK(price_of(config, "normal", 500, 1000) == doctest::Approx(2.5));
}
