#include "worker/control/remote_control.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/control/command_table.hpp"
#include "worker/logging.hpp"

#include <fmt/format.h>

namespace celeriac {
namespace {

constexpr std::chrono::seconds mingle_patience{1};
constexpr std::size_t most_revoked_from_one = 50000;

}  // namespace

RemoteControl::RemoteControl(boost::asio::io_context& io, Broker& broker, ControlPanel panel)
    : broker_(broker), panel_(std::move(panel)), mingle_timer_(io) {}

void RemoteControl::listen() {
  broker_.subscribe(std::string(control_exchange), "", mailbox_queue(panel_.node),
                    [this](Message&& message) { received(std::move(message)); });
}

void RemoteControl::received(Message&& message) {
  const auto request = read_control_request(message);
  if (!request)
    return log(LogLevel::error, "remote control: a message cannot be read: " + request.error().what);
  panel_.clock.adjust(request->clock);
  if (!is_for(*request, panel_.node)) return;
  if (log_enabled(LogLevel::debug)) {
    log(LogLevel::debug, fmt::format("pidbox received method {}({}) [reply_to:{} ticket:{}]", request->method,
                                     dump_json(request->arguments), request->reply_to_key, request->ticket));
  }
  auto value = run_control_command(panel_, request->method, request->arguments);
  if (!value || request->reply_to_key.empty()) return;
  ControlReply reply;
  reply.node = panel_.node;
  reply.value = std::move(*value);
  reply.ticket = request->ticket;
  reply.clock = panel_.clock.forward();
  broker_.publish(write_control_reply(reply, *request), [](const Status& status) {
    if (!status.ok()) log(LogLevel::error, "remote control: a reply could not be sent: " + status.what);
  });
}

void RemoteControl::mingle() {
  log(LogLevel::info, "mingle: searching for neighbors");
  mingle_key_ = uuid4();
  mingle_ticket_ = uuid4();
  const auto ask = [this](const Status& status) {
    if (!status.ok() || mingle_key_.empty()) return;
    ControlRequest request;
    request.method = "hello";
    request.arguments["from_node"] = panel_.node;
    request.arguments["revoked"] = Json::object();
    request.ticket = mingle_ticket_;
    request.reply_to_exchange = reply_exchange;
    request.reply_to_key = mingle_key_;
    request.clock = panel_.clock.forward();
    broker_.broadcast(write_control_request(request, unix_now() + 1));
    mingle_timer_.expires_after(mingle_patience);
    mingle_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) end_mingle();
    });
  };
  broker_.open_inbox(
      reply_queue(mingle_key_), std::string(reply_exchange), mingle_key_,
      [this](Message&& message) { merge(message); }, ask);
}

void RemoteControl::merge(const Message& message) {
  const auto reply = read_control_reply(message);
  if (!reply || reply->ticket != mingle_ticket_ || reply->node == panel_.node) return;
  panel_.clock.adjust(reply->clock);
  if (!reply->value.is_object()) return;
  ++neighbours_;
  if (const auto clock = reply->value.find("clock");
      clock != reply->value.end() && clock->is_number_unsigned()) {
    panel_.clock.adjust(clock->get<std::uint64_t>());
  }
  const auto revoked = reply->value.find("revoked");
  if (revoked == reply->value.end() || !revoked->is_object() || revoked->size() > most_revoked_from_one)
    return;
  const double now = unix_now();  // their times are of a clock that means nothing here
  for (const auto& [id, when] : revoked->items()) panel_.consumer.revoked().add(id, now);
}

void RemoteControl::end_mingle() {
  if (mingle_key_.empty()) return;
  broker_.close_inbox(reply_queue(mingle_key_));
  mingle_key_.clear();
  log(LogLevel::info, neighbours_ == 0 ? std::string("mingle: all alone")
                                       : fmt::format("mingle: sync with {} nodes", neighbours_));
}

void RemoteControl::stop() {
  mingle_timer_.cancel();
  mingle_key_.clear();
}

}  // namespace celeriac
