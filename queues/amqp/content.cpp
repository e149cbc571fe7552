#include "queues/amqp/content.hpp"

#include "protocol/json.hpp"

#include <algorithm>

namespace celeriac::amqp {
namespace {

constexpr std::size_t max_short_text = 255;  // bytes of an AMQP short string

}  // namespace

void read_properties(const amqp_basic_properties_t& properties, Message& message, std::string& problem) {
  const auto has = [&](amqp_flags_t flag) { return (properties._flags & flag) != 0; };
  if (has(AMQP_BASIC_CONTENT_TYPE_FLAG)) message.content_type = view(properties.content_type);
  if (has(AMQP_BASIC_CONTENT_ENCODING_FLAG)) message.content_encoding = view(properties.content_encoding);
  if (has(AMQP_BASIC_HEADERS_FLAG)) {
    message.headers.clear();
    if (!append_json(properties.headers, message.headers, problem)) {
      message.headers = "{}";
      problem = "message headers: " + problem;
    }
  }
  auto& out = message.properties;
  out.delivery_mode = has(AMQP_BASIC_DELIVERY_MODE_FLAG) ? properties.delivery_mode : 1;
  if (has(AMQP_BASIC_PRIORITY_FLAG)) out.priority = properties.priority;
  if (has(AMQP_BASIC_CORRELATION_ID_FLAG)) out.correlation_id = view(properties.correlation_id);
  if (has(AMQP_BASIC_REPLY_TO_FLAG)) out.reply_to = view(properties.reply_to);
  if (has(AMQP_BASIC_EXPIRATION_FLAG)) out.expiration = view(properties.expiration);
  if (has(AMQP_BASIC_APP_ID_FLAG)) out.app_id = view(properties.app_id);
}

Expected<amqp_basic_properties_t> write_properties(const Message& message, FieldTable& headers) {
  amqp_basic_properties_t out{};
  const auto& in = message.properties;
  std::string too_long;
  const auto text = [&](amqp_flags_t flag, amqp_bytes_t& field, const std::string& value, const char* name) {
    if (value.empty()) return;
    if (value.size() > max_short_text) too_long = name;
    out._flags |= flag;
    field = bytes(value);
  };
  text(AMQP_BASIC_CONTENT_TYPE_FLAG, out.content_type, message.content_type, "content_type");
  text(AMQP_BASIC_CONTENT_ENCODING_FLAG, out.content_encoding, message.content_encoding, "content_encoding");
  text(AMQP_BASIC_CORRELATION_ID_FLAG, out.correlation_id, in.correlation_id, "correlation_id");
  text(AMQP_BASIC_REPLY_TO_FLAG, out.reply_to, in.reply_to, "reply_to");
  text(AMQP_BASIC_EXPIRATION_FLAG, out.expiration, in.expiration, "expiration");
  text(AMQP_BASIC_APP_ID_FLAG, out.app_id, in.app_id, "app_id");
  if (!too_long.empty()) return unexpected("message property " + too_long + ": longer than 255 bytes");

  if (!message.headers.empty()) {
    auto parsed = parse_json(message.headers);
    if (!parsed) return unexpected("message headers: " + parsed.error().what);
    if (auto made = headers.assign(*parsed); !made) return tl::unexpected(made.error());
    out._flags |= AMQP_BASIC_HEADERS_FLAG;
    out.headers = headers.table();
  }
  out._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
  out.delivery_mode = static_cast<std::uint8_t>(in.delivery_mode);
  if (in.priority) {
    out._flags |= AMQP_BASIC_PRIORITY_FLAG;
    out.priority = static_cast<std::uint8_t>(std::clamp(*in.priority, 0, 255));
  }
  return out;
}

}  // namespace celeriac::amqp
