#include "queues/amqp/visit.hpp"

#include "queues/amqp/field_table.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <utility>

namespace celeriac::amqp {
void Visit::take(std::size_t count, Taken done) {
  done_ = std::move(done);
  if (!connection_.ready()) return finish(unexpected("the connection was lost"));
  Session& session = connection_.session();
  if (!channel_) channel_ = session.open_channel(*this);
  if (!channel_) return finish(unexpected("no channel number is free"));
  if (count == 0) return finish(std::vector<Incoming>());
  asked_ = count, answered_ = 0;
  amqp_basic_get_t get{};
  get.queue = bytes(queue_);
  for (std::size_t n = 0; n < count; ++n)
    session.call(*channel_, AMQP_BASIC_GET_METHOD, &get, AMQP_BASIC_GET_EMPTY_METHOD,
                 [this](const amqp_method_t&) { answered(); });
}

void Visit::ack(std::uint64_t tag) {
  if (!channel_ || !connection_.ready()) return;
  amqp_basic_ack_t ack{};
  ack.delivery_tag = tag;
  connection_.session().send(*channel_, AMQP_BASIC_ACK_METHOD, &ack);
}

void Visit::leave(std::function<void()> then) {
  left_ = std::move(then);
  if (!channel_ || !connection_.ready()) return left();
  amqp_basic_recover_t recover{};
  recover.requeue = true;
  connection_.session().call(*channel_, AMQP_BASIC_RECOVER_METHOD, &recover, AMQP_BASIC_RECOVER_OK_METHOD,
                             [self = shared_from_this()](const amqp_method_t&) {
                               self->close();
                               self->left();
                             });
}

void Visit::close() {
  if (channel_ && connection_.ready()) connection_.session().close_channel(*channel_);
  channel_.reset();
}

void Visit::left() {
  if (auto then = std::exchange(left_, nullptr)) then();
}

void Visit::lost(const std::string& why) {
  channel_.reset();
  finish(unexpected(why));
  left();
}

void Visit::on_delivery(Incoming&& incoming) {
  taken_.push_back(std::move(incoming));
  answered();
}

void Visit::answered() {
  if (++answered_ == asked_) finish(std::exchange(taken_, {}));
}

void Visit::on_channel_closed(int code, const std::string& text) {
  channel_.reset();
  if (code == not_found)
    finish(std::vector<Incoming>());
  else
    finish(unexpected(text));
  left();
}

void Visit::finish(Expected<std::vector<Incoming>> what) {
  if (auto done = std::exchange(done_, nullptr)) done(std::move(what));
}

}  // namespace celeriac::amqp
