#include "queues/rpc_backend.hpp"

#include "protocol/json.hpp"

#include <boost/asio/post.hpp>

namespace celeriac {
namespace {

constexpr const char* unreadable =
    "rpc:// results go to the client that sent the task, which alone can read them";
constexpr int transient = 1;

// What Celery 5.2 to 5.6 send: no date and no extended fields.
std::string body_of(const TaskResult& result) {
  std::string out = "{\"task_id\": ";
  dump_json_string(result.task_id, out);
  out += ", \"status\": ";
  dump_json_string(result.status, out);
  out += ", \"result\": " + result.result + ", \"traceback\": ";
  if (result.traceback.empty())
    out += "null";
  else
    dump_json_string(result.traceback, out);
  return out + ", \"children\": " + result.children + "}";
}

class RpcBackend final : public ResultBackend {
 public:
  RpcBackend(boost::asio::io_context& io, std::unique_ptr<Broker> broker)
      : io_(io), broker_(std::move(broker)) {}

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    Broker::Handlers handlers;
    handlers.on_state = std::move(on_state);
    broker_->start(std::move(handlers));
  }

  // Without a place to send it to nobody waits. A client that has gone is no failure either.
  void store(TaskResult result, Done done) override {
    if (result.reply_to.empty()) {
      boost::asio::post(io_, [done = std::move(done)] { done({}); });
      return;
    }
    Message message;
    message.body = body_of(result);
    message.properties.routing_key = std::move(result.reply_to);
    message.properties.correlation_id =
        result.correlation_id.empty() ? std::move(result.task_id) : std::move(result.correlation_id);
    message.properties.delivery_mode = transient;
    broker_->publish(std::move(message), std::move(done));
  }

  void fetch(std::string, std::function<void(Expected<std::optional<Json>>)> done) override {
    done(unexpected(unreadable));
  }
  void wait(std::string, std::chrono::milliseconds, std::function<void(Expected<Json>)> done) override {
    done(unexpected(unreadable));
  }
  void forget(std::string, std::function<void(Expected<bool>)> done) override {
    done(unexpected(unreadable));
  }

  void stop(std::function<void()> done) override {
    broker_->stop([done = std::move(done)](std::size_t) { done(); });
  }
  std::string display_url() const override { return "rpc://"; }

 private:
  boost::asio::io_context& io_;
  std::unique_ptr<Broker> broker_;
};

}  // namespace

std::unique_ptr<ResultBackend> make_rpc_backend(boost::asio::io_context& io, std::unique_ptr<Broker> broker) {
  return std::make_unique<RpcBackend>(io, std::move(broker));
}

}  // namespace celeriac
