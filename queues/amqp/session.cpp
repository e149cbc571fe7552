#include "queues/amqp/session.hpp"

#include "config/version.hpp"
#include "queues/amqp/content.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

namespace celeriac::amqp {
namespace {

constexpr std::uint64_t max_body = 512u << 20;       // bytes; RabbitMQ's own upper limit
constexpr std::size_t first_reservation = 1u << 20;  // bytes taken on the word of a header
constexpr std::uint32_t least_frame_max = 4096;      // AMQP 0-9-1, 4.2.3
constexpr int most_silent_ticks = 4;                 // two heartbeats, at two ticks each

enum ReplyCode {
  frame_error = 501,
  syntax_error = 502,
  command_invalid = 503,
  channel_error = 504,
  unexpected_frame = 505
};

// A table of string and flag fields for connection.start-ok.
std::string text_field(const amqp_table_t& table, std::string_view name) {
  for (int i = 0; i < table.num_entries; ++i) {
    const auto& entry = table.entries[i];
    if (view(entry.key) != name) continue;
    if (entry.value.kind == AMQP_FIELD_KIND_UTF8 || entry.value.kind == AMQP_FIELD_KIND_BYTES)
      return std::string(view(entry.value.value.bytes));
  }
  return {};
}

template <class T>
T smaller_limit(T ours, T theirs) {  // 0: no limit
  return ours == 0 ? theirs : theirs == 0 ? ours : std::min(ours, theirs);
}

bool has_word(std::string_view list, std::string_view word) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(' ', begin), list.size());
    if (list.substr(begin, end - begin) == word) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

Session::Session(SessionOptions options, Events events)
    : options_(std::move(options)), events_(std::move(events)) {}

void Session::start(Time) {
  state_ = State::greeting;
  writer_.greeting(out_);
}

std::string Session::take_output() { return std::exchange(out_, std::string()); }

std::chrono::milliseconds Session::heartbeat_interval() const {
  return std::chrono::milliseconds(heartbeat_ * 500);
}

int Session::server_major() const {
  int major = 0;
  std::from_chars(version_.data(), version_.data() + version_.size(), major);
  return major;
}

// ---- in ----

void Session::received(std::string_view bytes, Time) {
  if (state_ == State::closed) return;
  heard_ = true;
  auto fed = reader_.feed(bytes, [this](const amqp_frame_t& frame) { return on_frame(frame); });
  if (!fed && state_ != State::closed) fail(frame_error, fed.error().what);
}

// While closing only the farewell counts; everything else was on its way already.
bool Session::on_frame(const amqp_frame_t& frame) {
  if (frame.frame_type == greeting_frame) {
    const auto& header = frame.payload.protocol_header;
    end({0,
         fmt::format("the server does not speak AMQP 0-9-1 but {}.{}", header.protocol_version_major,
                     header.protocol_version_minor),
         false});
    return false;
  }
  if (frame.frame_type == AMQP_FRAME_HEARTBEAT) return true;
  if (frame.channel == 0) {
    if (frame.frame_type != AMQP_FRAME_METHOD)
      fail(unexpected_frame, "content on channel 0");
    else
      on_connection_method(frame.payload.method);
    return state_ != State::closed;
  }
  if (state_ == State::closing) return true;
  const auto found = channels_.find(frame.channel);
  if (state_ != State::open || found == channels_.end()) {
    fail(channel_error, fmt::format("a frame on channel {}, which is not open", frame.channel));
    return state_ != State::closed;
  }
  Channel& channel = found->second;
  switch (frame.frame_type) {
    case AMQP_FRAME_METHOD:
      on_channel_method(frame.channel, channel, frame.payload.method);
      break;
    case AMQP_FRAME_HEADER:
      on_header(frame.channel, channel, frame);
      break;
    default:
      on_body(frame.channel, channel, view(frame.payload.body_fragment));
  }
  return state_ != State::closed;
}

void Session::on_connection_method(const amqp_method_t& method) {
  switch (method.id) {
    case AMQP_CONNECTION_START_METHOD:
      if (state_ != State::greeting) return fail(command_invalid, "connection.start a second time");
      return on_start(*static_cast<const amqp_connection_start_t*>(method.decoded));
    case AMQP_CONNECTION_TUNE_METHOD:
      if (state_ != State::tuning) return fail(command_invalid, "connection.tune out of turn");
      return on_tune(*static_cast<const amqp_connection_tune_t*>(method.decoded));
    case AMQP_CONNECTION_OPEN_OK_METHOD:
      if (state_ != State::opening) return fail(command_invalid, "connection.open-ok out of turn");
      state_ = State::open;
      if (events_.on_open) events_.on_open();
      return;
    case AMQP_CONNECTION_CLOSE_METHOD: {
      const auto& close = *static_cast<const amqp_connection_close_t*>(method.decoded);
      Closed closed{close.reply_code, std::string(view(close.reply_text)), false};
      amqp_connection_close_ok_t ok{};
      write(0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
      return end(std::move(closed));
    }
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
      if (state_ != State::closing) return fail(command_invalid, "connection.close-ok out of turn");
      return end({0, problem_, problem_.empty()});
    case AMQP_CONNECTION_BLOCKED_METHOD: {
      const auto& blocked = *static_cast<const amqp_connection_blocked_t*>(method.decoded);
      blocked_ = true;
      std::string reason(view(blocked.reason));
      if (events_.on_blocked) events_.on_blocked(reason.empty() ? "no reason given" : std::move(reason));
      return;
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      blocked_ = false;
      if (events_.on_blocked) events_.on_blocked({});
      return;
    default:
      if (state_ == State::closing) return;
      return fail(command_invalid, fmt::format("method {:#x} on channel 0", method.id));
  }
}

void Session::on_start(const amqp_connection_start_t& start) {
  if (start.version_major != 0 || start.version_minor != 9)
    return end(
        {0, fmt::format("the server speaks AMQP {}.{}", start.version_major, start.version_minor), false});
  const auto mechanisms = view(start.mechanisms);
  if (!has_word(mechanisms, options_.login_method))
    return end({403,
                fmt::format("the server does not offer the login method {} (it offers {})",
                            options_.login_method, mechanisms),
                false});
  version_ = text_field(start.server_properties, "version");

  Json properties = Json::object();
  properties["product"] = "celeriac";
  properties["product_version"] = std::string(version());
  properties["platform"] = "C++";
  if (!options_.connection_name.empty()) properties["connection_name"] = options_.connection_name;
  for (const char* can : {"consumer_cancel_notify", "connection.blocked", "authentication_failure_close",
                          "publisher_confirms", "basic.nack"})
    properties["capabilities"][can] = true;
  FieldTable table;
  if (auto made = table.assign(properties); !made) return end({0, made.error().what, false});

  std::string response;
  if (options_.login_method == "AMQPLAIN") {
    FieldTable login;
    if (auto made = login.assign({{"LOGIN", options_.user}, {"PASSWORD", options_.password}}); !made)
      return end({0, made.error().what, false});
    std::string room(32 + options_.user.size() + options_.password.size() + 64, '\0');
    std::size_t used = 0;
    amqp_table_t copy = login.table();
    const int status = amqp_encode_table({room.size(), room.data()}, &copy, &used);
    if (status < 0 || used < 4) return end({0, "user or password cannot be encoded", false});
    response = room.substr(4, used - 4);  // without the table's length, as AMQPLAIN wants it
  } else if (options_.login_method == "PLAIN") {
    response += '\0';
    response += options_.user;
    response += '\0';
    response += options_.password;
  }
  amqp_connection_start_ok_t ok{};
  ok.client_properties = table.table();
  ok.mechanism = bytes(options_.login_method);
  ok.response = bytes(response);
  ok.locale = bytes("en_US");
  state_ = State::tuning;
  write(0, AMQP_CONNECTION_START_OK_METHOD, &ok);
}

void Session::on_tune(const amqp_connection_tune_t& tune) {
  channel_max_ = smaller_limit<std::uint16_t>(options_.channel_max, tune.channel_max);
  const auto frame_max = smaller_limit<std::uint32_t>(options_.frame_max, tune.frame_max);
  heartbeat_ = options_.heartbeat == 0 || tune.heartbeat == 0
                   ? options_.heartbeat
                   : std::min<unsigned>(options_.heartbeat, tune.heartbeat);
  if (frame_max < least_frame_max) return fail(syntax_error, "a frame size below 4096");
  if (auto set = reader_.set_frame_max(frame_max); !set) return fail(syntax_error, set.error().what);
  writer_.set_frame_max(frame_max);
  amqp_connection_tune_ok_t ok{};
  ok.channel_max = channel_max_;
  ok.frame_max = frame_max;
  ok.heartbeat = static_cast<std::uint16_t>(heartbeat_);
  write(0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
  amqp_connection_open_t open{};
  open.virtual_host = bytes(options_.vhost);
  state_ = State::opening;
  write(0, AMQP_CONNECTION_OPEN_METHOD, &open);
}

void Session::on_channel_method(ChannelId id, Channel& channel, const amqp_method_t& method) {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto& close = *static_cast<const amqp_channel_close_t*>(method.decoded);
    const int code = close.reply_code;
    const std::string text(view(close.reply_text));
    amqp_channel_close_ok_t ok{};
    write(id, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    // Our own close may have crossed it: its answer still comes (AMQP 0-9-1, 1.5.2.5).
    if (channel.closing) return;
    ChannelEvents* events = channel.events;
    channels_.erase(id);
    events->on_channel_closed(code, text);
    return;
  }
  if (channel.closing) {
    if (method.id == AMQP_CHANNEL_CLOSE_OK_METHOD) channels_.erase(id);
    return;
  }
  if (channel.content) return fail(unexpected_frame, "a method in the middle of a message");
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD: {
      const auto& deliver = *static_cast<const amqp_basic_deliver_t*>(method.decoded);
      Content content;
      content.incoming.consumer_tag = view(deliver.consumer_tag);
      content.incoming.tag = deliver.delivery_tag;
      auto& properties = content.incoming.message.properties;
      properties.redelivered = deliver.redelivered;
      properties.exchange = view(deliver.exchange);
      properties.routing_key = view(deliver.routing_key);
      return begin_content(id, channel, std::move(content));
    }
    case AMQP_BASIC_GET_OK_METHOD: {
      const auto asked = std::find_if(
          channel.questions.begin(), channel.questions.end(),
          [](const Question& question) { return question.expected == AMQP_BASIC_GET_EMPTY_METHOD; });
      if (asked == channel.questions.end())
        return fail(command_invalid, fmt::format("an unasked basic.get-ok on channel {}", id));
      channel.questions.erase(asked);
      const auto& got = *static_cast<const amqp_basic_get_ok_t*>(method.decoded);
      Content content;
      content.incoming.tag = got.delivery_tag;
      auto& properties = content.incoming.message.properties;
      properties.redelivered = got.redelivered;
      properties.exchange = view(got.exchange);
      properties.routing_key = view(got.routing_key);
      return begin_content(id, channel, std::move(content));
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto& back = *static_cast<const amqp_basic_return_t*>(method.decoded);
      Content content;
      content.returned = true;
      content.back.code = back.reply_code;
      content.back.text = view(back.reply_text);
      content.back.exchange = view(back.exchange);
      content.back.routing_key = view(back.routing_key);
      return begin_content(id, channel, std::move(content));
    }
    case AMQP_BASIC_ACK_METHOD: {
      const auto& ack = *static_cast<const amqp_basic_ack_t*>(method.decoded);
      return channel.events->on_confirmed(ack.delivery_tag, ack.multiple, true);
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& nack = *static_cast<const amqp_basic_nack_t*>(method.decoded);
      return channel.events->on_confirmed(nack.delivery_tag, nack.multiple, false);
    }
    case AMQP_BASIC_CANCEL_METHOD: {
      const auto& cancel = *static_cast<const amqp_basic_cancel_t*>(method.decoded);
      const std::string tag(view(cancel.consumer_tag));
      if (!cancel.nowait) {
        amqp_basic_cancel_ok_t ok{bytes(tag)};
        write(id, AMQP_BASIC_CANCEL_OK_METHOD, &ok);
      }
      return channel.events->on_consumer_cancelled(tag);
    }
    case AMQP_CHANNEL_FLOW_METHOD: {
      amqp_channel_flow_ok_t ok{static_cast<const amqp_channel_flow_t*>(method.decoded)->active};
      return write(id, AMQP_CHANNEL_FLOW_OK_METHOD, &ok);
    }
    default:
      break;
  }
  // Of one kind in order, but not across kinds: RabbitMQ asks the queue before it answers a basic.cancel and
  // meanwhile answers what came later.
  const auto asked = std::find_if(channel.questions.begin(), channel.questions.end(),
                                  [&](const Question& question) { return question.expected == method.id; });
  if (asked == channel.questions.end())
    return fail(command_invalid, fmt::format("method {:#x} on channel {} answers nothing", method.id, id));
  Question question = std::move(*asked);
  channel.questions.erase(asked);
  if (question.answer) question.answer(method);
}

void Session::begin_content(ChannelId, Channel& channel, Content content) {
  channel.content = std::move(content);
}

void Session::on_header(ChannelId id, Channel& channel, const amqp_frame_t& frame) {
  if (channel.closing) return;
  if (!channel.content || channel.content->has_header ||
      frame.payload.properties.class_id != AMQP_BASIC_CLASS)
    return fail(unexpected_frame, fmt::format("a header frame out of turn on channel {}", id));
  Content& content = *channel.content;
  content.has_header = true;
  content.missing = frame.payload.properties.body_size;
  if (content.missing > max_body) return fail(frame_error, "a message larger than 512 MiB");
  Message& message = content.returned ? content.back.message : content.incoming.message;
  read_properties(*static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded), message,
                  content.incoming.error);
  message.body.reserve(std::min<std::uint64_t>(content.missing, first_reservation));
  if (content.missing == 0) complete(channel);
}

void Session::on_body(ChannelId id, Channel& channel, std::string_view part) {
  if (channel.closing) return;
  if (!channel.content || !channel.content->has_header || part.size() > channel.content->missing)
    return fail(unexpected_frame, fmt::format("a body frame out of turn on channel {}", id));
  Content& content = *channel.content;
  (content.returned ? content.back.message : content.incoming.message).body += part;
  content.missing -= part.size();
  if (content.missing == 0) complete(channel);
}

void Session::complete(Channel& channel) {
  Content content = std::move(*channel.content);
  channel.content.reset();
  if (content.returned)
    channel.events->on_returned(std::move(content.back));
  else
    channel.events->on_delivery(std::move(content.incoming));
}

// ---- time ----

void Session::tick(Time) {
  if (heartbeat_ == 0 || (state_ != State::open && state_ != State::closing)) return;
  // Counted in ticks, not seconds: after this process was stopped for a while, what the peer sent
  // meanwhile is read first.
  silent_ticks_ = heard_ ? 0 : silent_ticks_ + 1;
  heard_ = false;
  if (silent_ticks_ >= most_silent_ticks)
    return end({0, fmt::format("nothing heard for {} s", 2 * heartbeat_), false});
  if (!std::exchange(spoke_, false)) writer_.heartbeat(out_);
}

// ---- out ----

void Session::write(ChannelId channel, amqp_method_number_t method, void* arguments) {
  spoke_ = true;
  auto written = writer_.method(out_, channel, method, arguments);
  if (!written) fail(frame_error, written.error().what);
}

std::optional<ChannelId> Session::open_channel(ChannelEvents& events) {
  if (state_ != State::open) return std::nullopt;
  const std::uint32_t most = channel_max_ == 0 ? 65535 : channel_max_;
  for (std::uint32_t tried = 0; tried < most; ++tried) {
    const ChannelId id = next_channel_;
    next_channel_ = next_channel_ >= most ? 1 : static_cast<ChannelId>(next_channel_ + 1);
    if (channels_.count(id)) continue;
    channels_[id].events = &events;
    amqp_channel_open_t open{};
    call(id, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD, nullptr);
    return id;
  }
  return std::nullopt;
}

void Session::close_channel(ChannelId id) {
  const auto found = channels_.find(id);
  if (state_ != State::open || found == channels_.end() || found->second.closing) return;
  found->second.closing = true;
  found->second.questions.clear();
  found->second.content.reset();
  amqp_channel_close_t close{};
  close.reply_code = AMQP_REPLY_SUCCESS;
  close.reply_text = bytes("");
  write(id, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

bool Session::has_channel(ChannelId id) const {
  const auto found = channels_.find(id);
  return found != channels_.end() && !found->second.closing;
}

void Session::call(ChannelId id, amqp_method_number_t method, void* arguments, amqp_method_number_t expected,
                   Answer answer) {
  if (state_ != State::open || !has_channel(id)) return;
  channels_[id].questions.push_back({expected, std::move(answer)});
  write(id, method, arguments);
}

void Session::send(ChannelId id, amqp_method_number_t method, void* arguments) {
  if (state_ == State::open && has_channel(id)) write(id, method, arguments);
}

Expected<void> Session::publish(ChannelId id, std::string_view exchange, std::string_view routing_key,
                                bool mandatory, const Message& message) {
  if (exchange.size() > 255 || routing_key.size() > 255)
    return unexpected("exchange and routing key may have 255 bytes each");
  FieldTable headers;
  auto properties = write_properties(message, headers);
  if (!properties) return tl::unexpected(properties.error());
  const auto before = out_.size();
  amqp_basic_publish_t publish{};
  publish.exchange = bytes(exchange);
  publish.routing_key = bytes(routing_key);
  publish.mandatory = mandatory;
  auto written = writer_.method(out_, id, AMQP_BASIC_PUBLISH_METHOD, &publish);
  if (written) written = writer_.content(out_, id, *properties, message.body);
  if (!written)
    out_.resize(before);
  else
    spoke_ = true;
  return written;
}

// ---- the end ----

void Session::close() {
  if (state_ == State::closed || state_ == State::closing) return;
  if (state_ != State::open) return end({0, {}, true});
  state_ = State::closing;
  amqp_connection_close_t close{};
  close.reply_code = AMQP_REPLY_SUCCESS;
  close.reply_text = bytes("");
  write(0, AMQP_CONNECTION_CLOSE_METHOD, &close);
}

void Session::lost(const std::string& why) { end({0, problem_.empty() ? why : problem_, false}); }

void Session::fail(int code, const std::string& text) {
  if (state_ == State::closed) return;
  const std::string what = "protocol error: " + text;
  if (state_ == State::open || state_ == State::opening || state_ == State::tuning) {
    amqp_connection_close_t close{};
    close.reply_code = static_cast<std::uint16_t>(code);
    const auto shown = std::string_view(text).substr(0, 200);
    close.reply_text = bytes(shown);
    auto written = writer_.method(out_, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    (void)written;  // a courtesy: the connection ends either way
  }
  end({0, what, false});
}

void Session::end(Closed closed) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  channels_.clear();
  if (events_.on_closed) events_.on_closed(closed);
}

}  // namespace celeriac::amqp
