// Asks a language model one question, all precautions included: the cache, the choice of the
// model, budgets, the circuit breaker, the schema of the answer, one repair of it, and the
// usage rows.
#pragma once

#include "tasks/engines/shared_breakers.hpp"
#include "tasks/llm_processing/budget.hpp"
#include "tasks/llm_processing/llm_config.hpp"
#include "tasks/llm_processing/provider.hpp"
#include "tasks/llm_processing/routing.hpp"

#include <boost/asio/awaitable.hpp>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace celeriac {

struct Question {
  std::string operation;  // "patch_fields", ...
  std::string tenant = "default", user_id, invoice_id, task_id;
  int attempt = 0;  // of the task: its retries so far
  std::string system, prompt;
  Json schema = nullptr;
  Difficulty difficulty = Difficulty::normal;
  std::string model;        // instead of the configured ones
  int max_tokens = 0;       // 0: the configured number
  double temperature = -1;  // below 0: the configured one
};

struct Completion {
  Json value;  // fits the schema; a text without one
  std::string model, provider, request_key;
  bool cached = false, repaired = false;
  int prompt_tokens = 0, completion_tokens = 0;  // of all calls made
  double cost = 0;
  std::vector<std::string> warnings;  // budgets that passed a mark
};

// One per process; its members may be called by several threads.
class LlmService {
 public:
  explicit LlmService(LlmConfig config);

  const LlmConfig& config() const { return config_; }

  // Throws LlmError and DatabaseError. When it is cancelled, what was reserved is settled first.
  boost::asio::awaitable<Completion> complete(Question question);

 private:
  struct Call;
  boost::asio::awaitable<ChatAnswer> call(Call& call);
  boost::asio::awaitable<ChatAnswer> call_reserved(Call& call);
  boost::asio::awaitable<void> prepare();

  boost::asio::awaitable<void> check_breakers(const Call& call);
  boost::asio::awaitable<void> note(const Call& call, const HttpResult& result);
  Expected<ChatAnswer> answer_of(Call& call, HttpResult result);

  const LlmConfig config_;
  Expected<Provider> provider_;
  std::mutex mutex_;
  SharedBreakers breakers_;  // of the server, and of each model there
  bool prepared_ = false;
};

}  // namespace celeriac
