// What pages ask of broker, keeper and ledger, each in bounded time.
#include "http/front.hpp"
#include "http/pages/patience.hpp"
#include "protocol/envelope.hpp"
#include "protocol/message.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/control/mailbox.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <set>

namespace celeriac::http {
namespace {

constexpr const char* no_ledger = "Runs are shown from the ledger, and ledger_url is not set.";
constexpr std::chrono::seconds looks{10}, reply_patience{5};

// What tells a waiting message from another.
std::string identity(const WaitingMessage& message) {
  const auto envelope = decode_envelope(message.bytes);
  if (envelope && !envelope->properties.correlation_id.empty()) return envelope->properties.correlation_id;
  return std::to_string(std::hash<std::string>()(message.bytes));
}

}  // namespace

std::vector<std::string> Front::queue_names() {
  std::set<std::string> names;
  for (const auto& task : tasks_) names.insert(task.queue);
  for (const auto& worker : live_workers_.list(unix_now()))
    if (worker.queues) names.insert(worker.queues->begin(), worker.queues->end());
  return {names.begin(), names.end()};
}

void Front::with_queues(std::vector<std::string> names, Then<std::vector<QueueInfo>> then) {
  if (!connected_) return then(unexpected("The broker cannot be reached."));
  broker_->inspect(std::move(names), in_time<std::vector<QueueInfo>>(io_, broker_late, std::move(then)));
}

void Front::with_runs(const LedgerQuery& query, Then<std::vector<LedgerRow>> then) {
  if (!ledger_) return then(unexpected(no_ledger));
  if (!ledger_up_) return then(unexpected("The ledger's server cannot be reached."));
  ledger_->find(query, in_time<std::vector<LedgerRow>>(io_, "The ledger does not answer.", std::move(then)));
}

void Front::with_picture(std::vector<std::string> names, std::function<void(const QueuesPicture&)> then) {
  struct Gathering {
    QueuesPicture picture;
    std::function<void(const QueuesPicture&)> then;
    int open = 3;
    void done() {
      if (--open == 0) then(picture);
    }
  };
  const auto all = std::make_shared<Gathering>();
  all->then = std::move(then);
  all->picture.asked = true;
  for (const auto& worker : live_workers_.list(unix_now())) {
    if (!worker.queues) all->picture.asked = false;
    for (const auto& queue : worker.queues.value_or(std::vector<std::string>())) {
      auto& [ours, others] = all->picture.takers[queue];
      ++(worker.native() ? ours : others);
    }
  }
  with_queues(std::move(names), [all](const Expected<std::vector<QueueInfo>>& queues) {
    all->picture.queues = queues;
    all->done();
  });
  using Pauses = std::vector<std::pair<std::string, std::string>>;
  const Then<Pauses> with_pauses = [all](const Expected<Pauses>& pauses) {
    if (pauses) all->picture.paused.insert(pauses->begin(), pauses->end());
    all->done();
  };
  if (keeper_ && connected_)
    keeper_->paused(in_time<Pauses>(io_, broker_late, with_pauses));
  else
    with_pauses(unexpected(keeper_problem_));
  const Then<std::vector<QueueRate>> with_rates = [all](const Expected<std::vector<QueueRate>>& rates) {
    all->picture.rates = rates;
    all->done();
  };
  if (ledger_ && ledger_up_)
    ledger_->rates(in_time<std::vector<QueueRate>>(io_, "The ledger does not answer.", with_rates));
  else
    with_rates(unexpected(no_ledger));
}

// Whether queues grow and how long their next message waits is known from looking again and again.
void Front::watch_queues() {
  watch_timer_.expires_after(looks);
  watch_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_queues();
  });
  if (!connected_) return;
  ask_workers();
  with_queues(queue_names(), [this](const Expected<std::vector<QueueInfo>>& queues) {
    if (!queues) return;
    for (const auto& queue : *queues) {
      const auto backlog = queue.ready + queue.unacked + queue.delayed;
      if (queue.ready == 0 || !keeper_) {
        trend_.note(queue.name, backlog, "", unix_now());
        continue;
      }
      keeper_->waiting(
          queue.name, 0, 1,
          in_time<std::vector<WaitingMessage>>(
              io_, broker_late,
              [this, name = queue.name, backlog](const Expected<std::vector<WaitingMessage>>& next) {
                const bool some = next && !next->empty();
                trend_.note(name, backlog, some ? identity(next->front()) : "", unix_now());
              }));
    }
  });
}

// From which queues each node takes; the replies come as they will.
void Front::ask_workers() {
  if (!broker_->can_broadcast() || asking_) return;
  asking_ = true;
  const auto key = uuid4();
  ControlRequest request;
  request.method = "active_queues";
  request.ticket = uuid4();
  request.clock = 1;
  request.reply_to_exchange = reply_exchange;
  request.reply_to_key = key;
  broker_->open_inbox(
      reply_queue(key), std::string(reply_exchange), key,
      [this](Message&& message) {
        if (const auto reply = read_control_reply(message))
          live_workers_.on_queues(reply->node, reply->value);
      },
      [this, request](const Status& status) {
        if (!status.ok()) return spdlog::info("the workers' queues cannot be asked for: {}", status.what);
        broker_->broadcast(write_control_request(request, unix_now() + 5));
      });
  ask_timer_.expires_after(reply_patience);
  ask_timer_.async_wait([this, key](const boost::system::error_code& error) {
    asking_ = false;
    if (!error) broker_->close_inbox(reply_queue(key));
  });
}

}  // namespace celeriac::http
