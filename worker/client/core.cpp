#include "worker/client/core.hpp"

#include "protocol/json.hpp"
#include "queues/connect.hpp"

#include <pthread.h>
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

namespace celeriac {
namespace {

// With and without messages that have no answer yet.
constexpr std::chrono::seconds longest_close{5}, shortest_close{1};

std::size_t servers_in(const std::string& urls) {
  return 1 + static_cast<std::size_t>(std::count(urls.begin(), urls.end(), ';'));
}

// Signals belong to the program's own threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

std::string seconds_text(double seconds) {
  std::string text = python_float(seconds);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " s";
}

ClientCore::ClientCore(const Settings& settings, const ClientOptions& options)
    : settings_(settings),
      timeout_(options.timeout),
      no_app_(options.app ? nullptr : std::make_unique<const App>()),
      app_(options.app ? options.app : no_app_.get()),
      io_(1),
      work_(boost::asio::make_work_guard(io_)) {}

ClientCore::~ClientCore() { close(); }

Expected<void> ClientCore::connect() {
  auto broker = make_broker(io_, settings_);
  if (!broker) return tl::unexpected(broker.error());
  auto stores = ResultStores::connect(io_, settings_);
  if (!stores) return tl::unexpected(stores.error());
  broker_ = std::move(*broker);
  stores_ = std::make_unique<ResultStores>(std::move(*stores));
  runner_ = std::make_unique<canvas::CanvasRunner>(*broker_, *stores_, settings_, *app_);
  run();

  Lock lock(mutex_);
  const std::size_t attempts = servers_in(settings_.broker_url);
  const auto broker_refused = [&] {
    return broker_state_ == BrokerState::failed || broker_losses_ >= attempts;
  };
  const auto store_refused = [&] {
    return store_state_ == BrokerState::failed || store_state_ == BrokerState::lost;
  };
  const auto connected = [&] {
    return broker_state_ == BrokerState::connected &&
           (stores_->empty() || store_state_ == BrokerState::connected);
  };
  const Seconds limit(settings_.broker_connection_timeout + 1);
  state_changed_.wait_for(lock, limit, [&] { return connected() || broker_refused() || store_refused(); });
  if (connected()) return {};
  const auto why = [](const std::string& trouble) {
    return trouble.empty() ? std::string("no answer in time") : trouble;
  };
  if (broker_refused() || (broker_state_ != BrokerState::connected && !store_refused()))
    return unexpected("cannot connect to the message broker " + broker_->display_url() + ": " +
                      why(broker_trouble_));
  return unexpected("cannot connect to the result store " + stores_->display() + ": " + why(store_trouble_));
}

void ClientCore::run() {
  Broker::Handlers handlers;
  handlers.on_deliveries = [](std::vector<Delivery>&&) {};
  handlers.on_state = [this](BrokerState state, std::string what) { broker_state(state, std::move(what)); };
  broker_->start(std::move(handlers));
  stores_->start([this](BrokerState state, std::string what) { store_state(state, std::move(what)); });
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { io_.run(); });
}

void ClientCore::close() {
  {
    const Lock lock(mutex_);
    if (std::exchange(closed_, true)) return;
    for (Call* call : calls_) {
      call->closed = true;
      call->changed.notify_all();
    }
  }
  if (!thread_.joinable()) return;
  boost::asio::steady_timer limit(io_);
  boost::asio::post(io_, [this, &limit] {
    held_.clear();
    {
      const Lock lock(mutex_);
      if (unanswered_ == 0 && broker_state_ != BrokerState::connected) return io_.stop();
    }
    auto open = std::make_shared<int>(2);
    const auto ended = [this, open] {
      if (--*open == 0) io_.stop();
    };
    limit.expires_after(unanswered_ > 0 ? longest_close : shortest_close);
    limit.async_wait([this](boost::system::error_code ec) {
      if (!ec) io_.stop();
    });
    broker_->stop([ended](std::size_t) { ended(); });
    stores_->stop(ended);
  });
  thread_.join();
}

void ClientCore::broker_state(BrokerState state, std::string what) {
  {
    const Lock lock(mutex_);
    broker_state_ = state;
    if (state == BrokerState::lost || state == BrokerState::failed) {
      ++broker_losses_;
      broker_trouble_ = std::move(what);
    } else if (state == BrokerState::connected) {
      broker_trouble_.clear();
    }
  }
  state_changed_.notify_all();
  if (state != BrokerState::connected) return;
  for (auto& [flight, part] : std::exchange(held_, {})) begin(flight, part);
}

void ClientCore::store_state(BrokerState state, std::string what) {
  {
    const Lock lock(mutex_);
    store_state_ = state;
    store_trouble_ = state == BrokerState::lost || state == BrokerState::failed ? std::move(what) : "";
  }
  state_changed_.notify_all();
}

canvas::Sender ClientCore::sender() const {
  return runner_->sender(TaskHeaders(), settings_.task_default_priority);
}

}  // namespace celeriac
