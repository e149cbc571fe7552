#include "tasks/llm_processing/complete.hpp"

#include "protocol/time.hpp"
#include "tasks/engines/http_await.hpp"
#include "tasks/llm_processing/answer.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "worker/async_task.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <optional>

namespace celeriac {
namespace {

namespace this_coro = boost::asio::this_coro;
using Clock = std::chrono::steady_clock;

// A killed worker's reservation counts as used after the longest call plus this.
constexpr std::chrono::seconds reservation_slack{60};

constexpr std::string_view repair_request =
    "Your answer cannot be used. {fault}\nAnswer again with JSON only, all of it, and nothing else.";

std::string repair_prompt(const std::string& fault) {
  std::string out(repair_request);
  const std::string_view mark = "{fault}";
  return out.replace(out.find(mark), mark.size(), fault);
}

// The same question to the same model.
std::string cache_key(const Provider& provider, const ChatRequest& chat) {
  Json question = {{"provider", provider.base_url}, {"model", chat.model},
                   {"system", chat.system},         {"schema", chat.schema},
                   {"max", chat.max_tokens},        {"temperature", chat.temperature}};
  for (const auto& message : chat.messages) question["messages"].push_back({message.role, message.content});
  return sha256_hex(dump_json(question));
}

std::string model_breaker(const Provider& provider, const ChatRequest& chat) {
  return provider.base_url + " " + chat.model;
}

}  // namespace

// One request to a provider and what becomes of it.
struct LlmService::Call {
  const Question& question;
  ChatRequest chat;
  LlmUsage usage;
  CachedAnswer cached;  // filled when the answer is to be kept
  Spending used;
  std::shared_ptr<AnswerStream> stream;
  bool was_cancelled = false;
};

LlmService::LlmService(LlmConfig config)
    : config_(std::move(config)),
      provider_(find_provider(config_.provider, config_.base_url, config_.api_key)),
      breakers_(config_.circuit_breaker_url) {}

// A breaker that others share is asked over the network.
boost::asio::awaitable<void> LlmService::check_breakers(const Call& call) {
  auto waiting = [this, &call] {
    auto wait = breakers_.wait_before_call(provider_->base_url);
    return wait ? wait : breakers_.wait_before_call(model_breaker(*provider_, call.chat));
  };
  std::optional<std::chrono::milliseconds> wait;
  if (config_.circuit_breaker_url.empty())
    wait = waiting();
  else
    wait = co_await run_blocking(waiting);
  if (!wait) co_return;
  LlmError error(LlmFailureKind::unavailable, provider_->name + " is left alone for " +
                                                  std::to_string(wait->count() / 1000 + 1) +
                                                  " s after failures or because its rate limit is used up");
  error.retry_after = *wait;
  throw error;
}

// What the transfer says of the server.
boost::asio::awaitable<void> LlmService::note(const Call& call, const HttpResult& result) {
  const bool broken = call.stream && !call.stream->error().empty();
  if (!result && (call.was_cancelled || broken)) co_return;
  auto noting = [this, &call, &result] {
    if (!result || result->status >= 500)
      breakers_.failed(provider_->base_url);
    else
      breakers_.succeeded(provider_->base_url);
    if (!result) return;
    if (const auto pause = exhausted_for(*result, unix_now()))
      breakers_.pause(model_breaker(*provider_, call.chat),
                      std::chrono::ceil<std::chrono::milliseconds>(*pause));
  };
  if (config_.circuit_breaker_url.empty())
    noting();
  else
    co_await run_blocking(noting);
}

// What the transfer brought, as an answer; throws LlmError when it brought none.
Expected<ChatAnswer> LlmService::answer_of(Call& call, HttpResult result) {
  if (!result) {
    const bool broken = call.stream && !call.stream->error().empty();
    if (broken) throw LlmError(LlmFailureKind::unavailable, provider_->name + ": " + call.stream->error());
    throw failure(*provider_, result.error());
  }
  if (result->status < 200 || result->status > 299) throw refusal(*provider_, *result);
  if (!call.stream) return read_answer(provider_->form, result->body);
  const ChatAnswer& answer = call.stream->answer();
  if (answer.finish_reason.empty()) {
    LlmError cut(LlmFailureKind::unavailable,
                 provider_->name + ": the stream ended in the middle of the answer");
    cut.billed = true;
    throw cut;
  }
  return answer;
}

// Reserves, calls, settles. A cancellation meanwhile is taken up after the settlement.
boost::asio::awaitable<ChatAnswer> LlmService::call(Call& call) {
  co_await this_coro::throw_if_cancelled(false);
  std::optional<ChatAnswer> answer;
  std::exception_ptr thrown;
  try {
    answer = co_await call_reserved(call);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await this_coro::throw_if_cancelled(true);
  if (call.was_cancelled) throw boost::system::system_error(boost::asio::error::operation_aborted);
  if (thrown) std::rethrow_exception(thrown);
  co_return std::move(*answer);
}

boost::asio::awaitable<ChatAnswer> LlmService::call_reserved(Call& call) {
  co_await check_breakers(call);
  const int prompt_tokens = estimate_prompt_tokens(call.chat);
  Spending most{1, prompt_tokens + call.chat.max_tokens,
                price_of(config_, call.chat.model, prompt_tokens, call.chat.max_tokens)};
  const auto valid_for =
      std::chrono::duration_cast<std::chrono::seconds>(config_.timeout) + reservation_slack;
  auto reserving = [this, &call, most, valid_for] {
    BudgetScope scope{call.question.tenant, call.chat.model};
    reserve(slot_database(config_.database_url), scope, call.usage.request_key, most, valid_for);
  };
  co_await run_blocking(reserving);

  HttpRequest request = chat_request(*provider_, call.chat);
  request.deadline = config_.timeout;
  if (call.chat.stream) {
    call.stream = std::make_shared<AnswerStream>(provider_->form);
    request.on_data = [stream = call.stream](std::string_view piece) { return stream->feed(piece); };
  }
  const auto began = Clock::now();
  HttpResult result = co_await http_await(std::move(request));
  call.usage.latency = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
  const auto state = co_await this_coro::cancellation_state;
  call.was_cancelled = state.cancelled() != boost::asio::cancellation_type::none;

  co_await note(call, result);

  const bool was_sent = result ? true : result.error().was_sent;
  const bool may_be_billed = result ? result->status < 300 : was_sent;
  ChatAnswer answer;
  std::exception_ptr thrown;
  try {
    auto read = answer_of(call, std::move(result));
    if (!read) {
      LlmError error(LlmFailureKind::unavailable, provider_->name + " gave " + read.error().what);
      throw error;
    }
    answer = std::move(*read);
    call.usage.status = "succeeded";
  } catch (const LlmError& error) {
    thrown = std::current_exception();
    call.usage.status = "failed";
    call.usage.error_code = call.was_cancelled ? "Cancelled" : std::string(exception_type(error.kind));
    if (call.stream) answer = call.stream->answer();
  }
  call.used.requests = was_sent ? 1 : 0;
  if (may_be_billed) {
    call.usage.prompt_tokens = answer.prompt_tokens >= 0 ? answer.prompt_tokens : prompt_tokens;
    call.usage.completion_tokens =
        answer.completion_tokens >= 0 ? answer.completion_tokens : static_cast<int>(answer.text.size() / 3);
    call.usage.cost =
        price_of(config_, call.chat.model, call.usage.prompt_tokens, call.usage.completion_tokens);
    call.used.tokens = call.usage.prompt_tokens + call.usage.completion_tokens;
    call.used.cost = call.usage.cost;
  }
  if (!thrown) co_return answer;  // settled by complete(), with its verdict on the answer
  auto settling = [this, &call] { settle(slot_database(config_.database_url), call.used, call.usage, {}); };
  co_await run_blocking(settling);
  std::rethrow_exception(thrown);
}

boost::asio::awaitable<void> LlmService::prepare() {
  if (!provider_) throw LlmError(LlmFailureKind::not_configured, provider_.error().what);
  {
    std::lock_guard lock(mutex_);
    if (prepared_) co_return;
  }
  auto making = [this] {
    ensure_default_budgets(slot_database(config_.database_url), config_.daily_cost, config_.monthly_cost);
  };
  co_await run_blocking(making);
  std::lock_guard lock(mutex_);
  prepared_ = true;
}

boost::asio::awaitable<Completion> LlmService::complete(Question question) {
  co_await prepare();
  std::vector<std::string> models = models_for(config_, question.difficulty);
  if (!question.model.empty()) models = {question.model};
  if (models.empty()) throw LlmError(LlmFailureKind::not_configured, "no model is configured: set llm_model");

  ChatRequest chat;
  chat.system = question.system;
  chat.messages = {ChatMessage{"user", question.prompt}};
  chat.schema = question.schema;
  chat.max_tokens = question.max_tokens > 0 ? question.max_tokens : config_.max_tokens;
  chat.temperature = question.temperature >= 0 ? question.temperature : config_.temperature;
  chat.stream = config_.stream;
  chat.model = models.front();
  const std::string key = cache_key(*provider_, chat);

  Completion out;
  out.provider = provider_->name;
  LlmUsage usage;
  usage.tenant = question.tenant;
  usage.user_id = question.user_id;
  usage.invoice_id = question.invoice_id;
  usage.task_id = question.task_id;
  usage.provider = provider_->name;
  usage.operation = question.operation;
  const std::string key_prefix = question.task_id + ":" + std::to_string(question.attempt) + ":";

  if (config_.cache_expires.count() > 0) {
    auto looking = [this, &key, &usage, &key_prefix] {
      Database& database = slot_database(config_.database_url);
      KnownAnswer known = find_cached(database, key);
      if (known.response.is_null()) return known;
      LlmUsage hit = usage;
      hit.request_key = key_prefix + "cached";
      hit.model = known.model;
      hit.status = "cached";
      settle(database, {}, hit, {});
      return known;
    };
    KnownAnswer known = co_await run_blocking(looking);
    if (!known.response.is_null()) {
      out.value = std::move(known.response);
      out.model = known.model;
      out.request_key = key_prefix + "cached";
      out.cached = true;
      co_return out;
    }
  }

  int number = 0;
  std::string fault;
  for (std::size_t model = 0; model < models.size();) {
    chat.model = models[model];
    Call call{question, chat, usage, {}, {}, nullptr, false};
    call.usage.model = chat.model;
    call.usage.request_key = key_prefix + std::to_string(++number);
    std::optional<ChatAnswer> answer;
    std::optional<LlmError> error;
    try {
      answer = co_await this->call(call);
    } catch (const LlmError& failed) {
      error = failed;
    }
    out.prompt_tokens += call.usage.prompt_tokens;
    out.completion_tokens += call.usage.completion_tokens;
    out.cost += call.usage.cost;
    if (error) {
      // Our own minute's budget is the same for the next model; a server's troubles need not be.
      const bool another =
          is_passing(error->kind) && call.usage.status == "failed" && model + 1 < models.size();
      if (!another) throw *error;
      ++model;
      continue;
    }
    Expected<Json> value = chat.schema.is_null() ? Expected<Json>(Json(answer->text))
                                                 : read_structured(answer->text, chat.schema);
    if (value) {
      call.cached = CachedAnswer{key, *value, config_.cache_expires};
    } else {
      call.usage.status = "refused";
      call.usage.error_code = exception_type(LlmFailureKind::bad_answer);
    }
    auto settling = [this, &call] {
      return settle(slot_database(config_.database_url), call.used, call.usage, call.cached);
    };
    std::vector<std::string> warnings = co_await run_blocking(settling);
    out.warnings.insert(out.warnings.end(), warnings.begin(), warnings.end());
    if (value) {
      out.value = std::move(*value);
      out.model = chat.model;
      out.request_key = call.usage.request_key;
      co_return out;
    }
    if (out.repaired)
      throw LlmError(LlmFailureKind::bad_answer,
                     chat.model + " gave no usable answer, also when asked again. " + value.error().what);
    out.repaired = true;
    chat.messages.push_back(ChatMessage{"assistant", answer->text});
    chat.messages.push_back(ChatMessage{"user", repair_prompt(value.error().what)});
  }
  throw LlmError(LlmFailureKind::unavailable, "no model answered");
}

}  // namespace celeriac
