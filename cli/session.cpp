#include "cli/session.hpp"

#include "config/load.hpp"

#include <ostream>

namespace celeriac {

std::optional<Settings> load_command_settings(CommandContext& context) {
  SettingSources sources;
  sources.file = context.globals.config;
  sources.environment = process_environment();
  if (!context.globals.broker.empty())
    sources.command_line.push_back({"broker_url", context.globals.broker, "--broker"});
  if (!context.globals.result_backend.empty())
    sources.command_line.push_back({"result_backend", context.globals.result_backend, "--result-backend"});
  auto loaded = load_settings(sources);
  if (!loaded) {
    context.err << "Error: " << loaded.error().what << "\n";
    return std::nullopt;
  }
  if (!context.globals.quiet)
    for (const auto& warning : loaded->warnings) context.err << "Warning: " << warning << "\n";
  return std::move(loaded->settings);
}

Session::Session(Settings settings) : settings_(std::move(settings)) {}

Session::~Session() {
  bool broker_open = broker_ != nullptr, results_open = results_ != nullptr;
  if (broker_open) broker_->stop([&](std::size_t) { broker_open = false; });
  if (results_open) results_->stop([&] { results_open = false; });
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  io_.restart();
  while ((broker_open || results_open) && std::chrono::steady_clock::now() < deadline)
    if (io_.run_one_until(deadline) == 0) break;
}

void Session::note(BrokerState state, const std::string& what) {
  if (state == BrokerState::lost || state == BrokerState::failed)
    lost_ = what.empty() ? "connection lost" : what;
}

std::string Session::run_until(const std::function<bool()>& ready, std::optional<Seconds> limit) {
  using Steady = std::chrono::steady_clock;
  auto deadline = limit ? Steady::now() + std::chrono::duration_cast<Steady::duration>(*limit)
                        : Steady::time_point::max();
  io_.restart();
  while (!ready()) {
    if (!lost_.empty()) return lost_;
    if (Steady::now() >= deadline) return "no answer in time";
    if (limit)
      io_.run_one_until(deadline);
    else
      io_.run_one();
    if (io_.stopped()) io_.restart();
  }
  return {};
}

Expected<Broker*> Session::broker() {
  if (!broker_) {
    auto made = make_broker(io_, settings_);
    if (!made) return tl::unexpected(made.error());
    broker_ = std::move(*made);
    Broker::Handlers handlers;
    handlers.on_deliveries = [](std::vector<Delivery>&&) {};
    handlers.on_state = [this](BrokerState state, std::string what) {
      broker_state_ = state;
      note(state, what);
    };
    broker_->start(std::move(handlers));
  }
  auto failure = run_until([this] { return broker_state_ == BrokerState::connected; },
                           Seconds(settings_.broker_connection_timeout + 1));
  if (!failure.empty())
    return unexpected("cannot connect to the message broker " + broker_->display_url() + ": " + failure);
  return broker_.get();
}

Expected<ResultBackend*> Session::results() {
  if (results_) return results_.get();
  auto url = settings_.result_backend.substr(0, settings_.result_backend.find(','));
  auto made = make_backend(io_, settings_, url);
  if (!made) return tl::unexpected(made.error());
  if (!*made) return unexpected("no result store is configured: give --result-backend URL");
  results_ = std::move(*made);
  results_->start([this](BrokerState state, std::string what) { note(state, what); });
  return results_.get();
}

Expected<void> Session::wait_done(const std::function<void(Done)>& start) {
  auto done = wait<bool>([&](std::function<void(Expected<bool>)> answer) {
    start([answer](Status status) {
      if (status.ok())
        answer(true);
      else
        answer(unexpected(status.what));
    });
  });
  if (!done) return tl::unexpected(done.error());
  return {};
}

}  // namespace celeriac
