#include "queues/result_poll.hpp"

#include "protocol/result.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace celeriac {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds first_pause{10}, longest_pause{500};

bool ready(const std::optional<Json>& meta) {
  if (!meta || !meta->is_object()) return false;
  const auto status = meta->find("status");
  return status != meta->end() && status->is_string() && is_ready(status->get_ref<const std::string&>());
}

struct Waiter {
  Waiter(boost::asio::io_context& io, std::string id, steady_clock::time_point limit, ResultPoll::Done then)
      : task_id(std::move(id)), deadline(limit), done(std::move(then)), timer(io) {}

  void complete(Expected<Json> meta) {
    timer.cancel();
    if (auto then = std::exchange(done, nullptr)) then(std::move(meta));
  }

  std::string task_id;
  steady_clock::time_point deadline;
  ResultPoll::Done done;
  boost::asio::steady_timer timer;
  milliseconds pause = first_pause;
};

}  // namespace

struct ResultPoll::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io_in, Fetch fetch_in) : io(io_in), fetch(std::move(fetch_in)) {}

  void ask(std::shared_ptr<Waiter> waiter) {
    waiter->timer.expires_at(waiter->deadline);
    waiter->timer.async_wait([waiter](boost::system::error_code ec) {
      if (!ec) waiter->complete(unexpected("task " + waiter->task_id + ": not ready in time"));
    });
    fetch(waiter->task_id, [self = weak_from_this(), waiter](Expected<std::optional<Json>> meta) {
      if (!waiter->done) return;
      if (!meta) return waiter->complete(tl::unexpected(meta.error()));
      if (ready(*meta)) return waiter->complete(std::move(**meta));
      const auto next = steady_clock::now() + waiter->pause;
      if (next >= waiter->deadline) return;  // the timer set above ends it
      waiter->pause = std::min(waiter->pause * 2, longest_pause);
      waiter->timer.expires_at(next);
      waiter->timer.async_wait([self, waiter](boost::system::error_code ec) {
        const auto alive = self.lock();
        if (!ec && alive && alive->fetch) alive->ask(waiter);
      });
    });
  }

  boost::asio::io_context& io;
  Fetch fetch;
};

ResultPoll::ResultPoll(boost::asio::io_context& io, Fetch fetch)
    : state_(std::make_shared<State>(io, std::move(fetch))) {}

ResultPoll::~ResultPoll() { state_->fetch = nullptr; }

void ResultPoll::wait(std::string task_id, milliseconds timeout, Done done) {
  state_->ask(std::make_shared<Waiter>(state_->io, std::move(task_id), steady_clock::now() + timeout,
                                       std::move(done)));
}

}  // namespace celeriac
