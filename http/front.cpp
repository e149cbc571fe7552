#include "http/front.hpp"

#include "http/api_keys.hpp"
#include "http/counts.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "queues/connect.hpp"

#include <spdlog/spdlog.h>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace celeriac::http {
namespace {

constexpr std::size_t database_threads = 4;

Expected<std::string> key_of(const Settings& settings) {
  if (settings.http_jwt_algorithm != "RS256" || settings.http_jwt_key.empty()) return settings.http_jwt_key;
  std::ifstream file(settings.http_jwt_key);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return unexpected("http_jwt_key: cannot read " + settings.http_jwt_key);
  return text.str();
}

}  // namespace

Front::Front(boost::asio::io_context& io, const Settings& settings, std::vector<TaskEntry> tasks,
             TokenVerifier tokens)
    : io_(io),
      settings_(settings),
      tasks_(std::move(tasks)),
      tokens_(std::move(tokens)),
      rates_(io, settings),
      watch_timer_(io),
      ask_timer_(io),
      rooms_(io),
      counts_(std::make_unique<Counts>()) {
  add_overview_pages();
  add_queue_pages();
  add_task_pages();
  add_dead_pages();
  add_upload_pages();
  add_health_routes();
  add_task_routes();
  add_event_routes();
  add_invoice_routes();
  add_job_routes();
  add_review_routes();
  add_export_routes();
  add_callback_routes();
  add_document_routes();
}

Front::~Front() = default;

Expected<std::unique_ptr<Front>> Front::create(boost::asio::io_context& io, const Settings& settings,
                                               std::vector<TaskEntry> tasks) {
  if (settings.database_url.empty()) return unexpected("database_url: the front end needs PostgreSQL");
  if (settings.http_port < 0 || settings.http_port > 65535)
    return unexpected("http_port: must be from 0 to 65535");
  auto key = key_of(settings);
  if (!key) return tl::unexpected(key.error());
  auto tokens = TokenVerifier::create(settings.http_jwt_algorithm, *key);
  if (!tokens) return tl::unexpected(tokens.error());
  std::unique_ptr<Front> front(new Front(io, settings, std::move(tasks), std::move(*tokens)));
  auto broker = make_broker(io, settings);
  if (!broker) return tl::unexpected(broker.error());
  front->broker_ = std::move(*broker);
  auto results =
      make_backend(io, settings, settings.result_backend.substr(0, settings.result_backend.find(',')));
  if (!results) return tl::unexpected(results.error());
  front->results_ = std::move(*results);
  auto ledger = Ledger::connect(io, settings);
  if (!ledger) return tl::unexpected(ledger.error());
  front->ledger_ = std::move(*ledger);
  auto keeper = make_queue_keeper(io, settings);
  if (keeper)
    front->keeper_ = std::move(*keeper);
  else
    front->keeper_problem_ = keeper.error().what;
  front->database_ = std::make_unique<DatabaseThreads>(io, settings.database_url, database_threads);
  front->outbox_ = std::make_unique<OutboxRelay>(io, *front->database_, *front->broker_);
  if (!settings.http_callback_hosts.empty()) {
    if (settings.http_callback_key.size() < 32)
      return unexpected("http_callback_key: callbacks are signed, with a key of at least 32 bytes");
    if (!front->results_) return unexpected("http_callback_hosts: callbacks need a result_backend");
    front->callbacks_ =
        std::make_unique<Callbacks>(io, *front->database_, *front->results_, settings.http_callback_key);
  }
  front->job_states_ = std::make_unique<JobStates>(io, *front->database_);
  return front;
}

Expected<void> Front::start() {
  ServerOptions options;
  options.host = settings_.http_host;
  options.port = static_cast<std::uint16_t>(settings_.http_port);
  options.spool_folder = std::filesystem::temp_directory_path().string();
  auto server = Server::listen(io_, std::move(options), *this);
  if (!server) return tl::unexpected(server.error());
  server_ = std::move(*server);
  Broker::Handlers handlers;
  handlers.on_deliveries = [](std::vector<Delivery>&&) {};
  handlers.on_state = [this](BrokerState state, const std::string& what) {
    connected_ = state == BrokerState::connected;
    if (state == BrokerState::lost || state == BrokerState::failed)
      spdlog::error("broker {}: {}", broker_->display_url(), what);
    outbox_->on_broker(connected_);
  };
  broker_->start(std::move(handlers));
  rates_.start();
  if (broker_->can_broadcast())
    broker_->subscribe("celeryev", "worker.#", settings_.event_queue_prefix + "." + uuid4(),
                       [this](Message&& message) { live_workers_.on_message(message, unix_now()); });
  if (ledger_)
    ledger_->start([this](BrokerState state, const std::string& what) {
      if (std::exchange(ledger_up_, state == BrokerState::connected) && !ledger_up_)
        spdlog::error("ledger {}: {}", ledger_->display_url(), what);
    });
  if (results_)
    results_->start([](BrokerState state, const std::string& what) {
      if (state == BrokerState::lost) spdlog::error("result store: {}", what);
    });
  if (callbacks_) callbacks_->start();
  outbox_->wake();
  watch_queues();
  return {};
}

void Front::stop(std::function<void()> done) {
  stopping_ = true;
  outbox_->stop();
  if (callbacks_) callbacks_->stop();
  watch_timer_.cancel();
  ask_timer_.cancel();
  const auto disconnect = [this, done = std::move(done)] {
    broker_->stop([this, done](std::size_t) { outbox_->settle(done); });
  };
  server_->stop([this, disconnect] {
    if (!results_) return disconnect();
    results_->stop(disconnect);
  });
  for (const auto& late : std::exchange(waiting_, {})) (*late)();
}

}  // namespace celeriac::http
