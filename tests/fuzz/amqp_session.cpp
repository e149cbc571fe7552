// What a broken or hostile RabbitMQ sends. The seeds are what a real one said to a worker (record_amqp.py).
#include "queues/amqp/session.hpp"

#include "check.hpp"

#include <cstddef>
#include <cstdint>

using namespace celeriac::amqp;

namespace {

constexpr amqp_method_number_t answers[] = {
    AMQP_QUEUE_DECLARE_OK_METHOD,  AMQP_QUEUE_BIND_OK_METHOD,       AMQP_QUEUE_PURGE_OK_METHOD,
    AMQP_QUEUE_DELETE_OK_METHOD,   AMQP_EXCHANGE_DECLARE_OK_METHOD, AMQP_EXCHANGE_BIND_OK_METHOD,
    AMQP_BASIC_QOS_OK_METHOD,      AMQP_BASIC_CONSUME_OK_METHOD,    AMQP_BASIC_CANCEL_OK_METHOD,
    AMQP_CONFIRM_SELECT_OK_METHOD, AMQP_CHANNEL_FLOW_OK_METHOD};
constexpr int channels = 6, rounds = 8;

// Uses what it is told, and gives up a channel in the middle.
struct Sink : ChannelEvents {
  Session* session = nullptr;
  std::size_t seen = 0, deliveries = 0;

  void on_delivery(Incoming&& incoming) override {
    seen += incoming.message.body.size() + incoming.message.headers.size() + incoming.consumer_tag.size();
    must(incoming.error.empty() || incoming.error.size() < 4096, "an error is a line");
    if (++deliveries % 16 == 0) session->close_channel(2);
  }
  void on_returned(Returned&& returned) override {
    seen += returned.text.size() + returned.message.body.size();
  }
  void on_confirmed(std::uint64_t tag, bool, bool) override { seen += tag & 1; }
  void on_consumer_cancelled(const std::string& tag) override { seen += tag.size(); }
  void on_channel_closed(int, const std::string& text) override { seen += text.size(); }

  // So that answers find their questions: asked without arguments, for nobody but us reads what is sent.
  void ask(ChannelId channel) {
    amqp_channel_flow_t flow{};
    for (int round = 0; round < rounds; ++round)
      for (const auto answer : answers)
        session->call(channel, AMQP_CHANNEL_FLOW_METHOD, &flow, answer,
                      [this](const amqp_method_t& method) { seen += method.id; });
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Sink sink;
  int ends = 0;
  Session* current = nullptr;
  Session::Events events;
  events.on_open = [&] {
    sink.session = current;
    for (int n = 0; n < channels; ++n)
      if (const auto id = current->open_channel(sink)) sink.ask(*id);
  };
  events.on_closed = [&](const Session::Closed&) { ++ends; };
  Session session({}, events);
  current = &session;
  session.start({});
  // In two pieces, so that frames are cut.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  session.received(bytes.substr(0, size / 2), {});
  session.received(bytes.substr(size / 2), {});
  must(ends <= 1, "a connection ends once");
  if (ends == 0) session.lost("end of input");
  must(ends == 1 && !session.is_open(), "a lost session is over");
  must(session.output_size() < (1u << 20), "answers are small");
  return 0;
}
