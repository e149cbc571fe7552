// What a broken or hostile RabbitMQ sends, after a login that was in order.
#include "queues/amqp/session.hpp"

#include "check.hpp"

#include <cstddef>
#include <cstdint>

using namespace celeriac::amqp;

namespace {

struct Sink : ChannelEvents {
  void on_channel_closed(int, const std::string&) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Sink sink;
  int ends = 0;
  bool opened = false;
  Session* current = nullptr;
  Session::Events events;
  events.on_open = [&] {
    opened = true;
    current->open_channel(sink);
    current->open_channel(sink);
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
