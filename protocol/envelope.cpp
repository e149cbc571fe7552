#include "protocol/envelope.hpp"

#include "protocol/base64.hpp"
#include "protocol/json.hpp"
#include "protocol/json_scanner.hpp"
#include "protocol/uuid.hpp"

#include <charconv>

namespace celeriac {
namespace {

// Anything that is no string counts as absent, as null does.
bool read_text(JsonScanner& in, std::string& out) {
  if (in.peek() == '"') return in.read_string(out);
  out.clear();
  return in.skip_value();
}

bool read_integer(JsonScanner& in, std::optional<int>& out) {
  out.reset();
  const char c = in.peek();
  if (c != '-' && (c < '0' || c > '9')) return in.skip_value();
  std::string_view token;
  bool integer = false;
  if (!in.read_number(token, integer)) return false;
  int value = 0;
  if (integer && std::from_chars(token.data(), token.data() + token.size(), value).ec == std::errc())
    out = value;
  return true;
}

bool read_flag(JsonScanner& in, bool& out) {
  const char c = in.peek();
  return c == 't' || c == 'f' ? in.read_bool(out) : in.skip_value();
}

bool read_delivery_info(JsonScanner& in, Properties& properties) {
  if (in.peek() != '{') return in.skip_value();
  std::string_view key;
  in.enter_object();
  while (in.next_key(key)) {
    const bool ok = key == "exchange"      ? read_text(in, properties.exchange)
                    : key == "routing_key" ? read_text(in, properties.routing_key)
                    : key == "redelivered" ? read_flag(in, properties.redelivered)
                                           : in.skip_value();
    if (!ok) return false;
  }
  return !in.failed();
}

bool read_properties(JsonScanner& in, Properties& properties, std::string& body_encoding) {
  if (in.peek() != '{') return in.skip_value();
  std::string_view key;
  in.enter_object();
  while (in.next_key(key)) {
    bool ok = true;
    if (key == "correlation_id") {
      ok = read_text(in, properties.correlation_id);
    } else if (key == "reply_to") {
      ok = read_text(in, properties.reply_to);
    } else if (key == "delivery_tag") {
      ok = read_text(in, properties.delivery_tag);
    } else if (key == "delivery_info") {
      ok = read_delivery_info(in, properties);
    } else if (key == "priority") {
      ok = read_integer(in, properties.priority);
    } else if (key == "delivery_mode") {
      std::optional<int> mode;
      ok = read_integer(in, mode);
      properties.delivery_mode = mode.value_or(2);
    } else if (key == "expiration") {
      ok = read_text(in, properties.expiration);
    } else if (key == "app_id") {
      ok = read_text(in, properties.app_id);
    } else if (key == "body_encoding") {
      ok = read_text(in, body_encoding);
    } else {
      ok = in.skip_value();
    }
    if (!ok) return false;
  }
  return !in.failed();
}

void append_member(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  out += '"';
  out += name;
  out += "\": ";
  dump_json_string(value, out);
  out += ", ";
}

// Where the flags of mark_redelivered go: behind the last member of an object, or over an old value.
struct Place {
  std::size_t at = 0, length = 0;  // the text to replace
  enum class Form { none, value, member, first_member } form = Form::none;
};

struct Places {
  Place headers, delivery_info;
};

bool find_flag(JsonScanner& in, const char* begin, Place& place) {
  if (in.peek() != '{') return in.fail("expected an object");
  in.enter_object();
  std::string_view key, value;
  bool empty = true, found = false;
  while (in.next_key(key)) {
    empty = false;
    const bool flag = key == "redelivered";
    if (!in.skip_value(value)) return false;
    if (flag) {
      place = {static_cast<std::size_t>(value.data() - begin), value.size(), Place::Form::value};
      found = true;
    }
  }
  if (in.failed()) return false;
  if (!found) {
    const auto brace = static_cast<std::size_t>(in.position() - begin) - 1;
    place = {brace, 0, empty ? Place::Form::first_member : Place::Form::member};
  }
  return true;
}

void append_flag(Place::Form form, std::string& out) {
  if (form == Place::Form::member) out += ", ";
  if (form != Place::Form::value) out += "\"redelivered\": ";
  out += "true";
}

}  // namespace

Expected<Message> decode_envelope(std::string_view text) {
  Message message;
  JsonSlice body;
  std::string body_encoding;
  JsonScanner in(text);
  std::string_view key;
  if (!in.enter_object()) return unexpected("envelope: " + in.error());
  while (in.next_key(key)) {
    bool ok = true;
    if (key == "body") {
      body = {};
      ok = in.peek() == 'n' ? in.read_null() : in.read_string(body);
    } else if (key == "content-encoding") {
      ok = read_text(in, message.content_encoding);
    } else if (key == "content-type") {
      ok = read_text(in, message.content_type);
    } else if (key == "headers") {
      std::string_view headers;
      if (in.peek() != '{' && in.peek() != 'n') {
        ok = in.fail("headers are no object");
      } else if ((ok = in.skip_value(headers))) {
        message.headers = headers == "null" ? std::string_view("{}") : headers;
      }
    } else if (key == "properties") {
      ok = read_properties(in, message.properties, body_encoding);
    } else {
      ok = in.skip_value();
    }
    if (!ok) break;
  }
  if (!in.finish()) return unexpected("envelope: " + in.error());
  if (message.properties.delivery_tag.empty()) return unexpected("envelope: no properties.delivery_tag");
  if (body_encoding != "base64") {
    body.append_to(message.body);
    return message;
  }
  std::string unescaped;
  if (body.escaped) {
    body.append_to(unescaped);
    body.text = unescaped;
  }
  auto bytes = base64_decode(body.text);
  if (!bytes) return unexpected("envelope: body: " + bytes.error().what);
  message.body = std::move(*bytes);
  return message;
}

std::string encode_envelope(const Message& message) {
  const Properties& p = message.properties;
  std::string out;
  out.reserve(message.body.size() / 3 * 4 + message.headers.size() + 512);
  out += "{\"body\": \"";
  base64_encode(message.body, out);
  out += "\", \"content-encoding\": ";
  dump_json_string(message.content_encoding, out);
  out += ", \"content-type\": ";
  dump_json_string(message.content_type, out);
  out += ", \"headers\": ";
  out += message.headers.empty() ? "{}" : message.headers;
  out += ", \"properties\": {";
  append_member("correlation_id", p.correlation_id, out);
  append_member("reply_to", p.reply_to, out);
  out += "\"delivery_mode\": " + std::to_string(p.delivery_mode) + ", ";
  append_member("expiration", p.expiration, out);
  append_member("app_id", p.app_id, out);
  out += "\"delivery_info\": {\"exchange\": ";
  dump_json_string(p.exchange, out);
  out += ", \"routing_key\": ";
  dump_json_string(p.routing_key, out);
  if (p.redelivered) out += ", \"redelivered\": true";
  out += "}, \"priority\": " + std::to_string(p.priority.value_or(0));
  out += ", \"body_encoding\": \"base64\", \"delivery_tag\": ";
  dump_json_string(p.delivery_tag.empty() ? uuid4() : p.delivery_tag, out);
  out += "}}";
  return out;
}

Expected<std::string> mark_redelivered(std::string_view text) {
  Places places;
  JsonScanner in(text);
  std::string_view key;
  in.enter_object();
  while (!in.failed() && in.next_key(key)) {
    if (key == "headers") {
      find_flag(in, text.data(), places.headers);
    } else if (key == "properties" && in.enter_object()) {
      while (!in.failed() && in.next_key(key)) {
        key == "delivery_info" ? find_flag(in, text.data(), places.delivery_info) : in.skip_value();
      }
    } else {
      in.skip_value();
    }
  }
  if (!in.finish()) return unexpected("envelope: " + in.error());
  if (places.headers.form == Place::Form::none) return unexpected("envelope: no headers");
  if (places.delivery_info.form == Place::Form::none)
    return unexpected("envelope: no properties.delivery_info");

  const bool headers_first = places.headers.at < places.delivery_info.at;
  const Place& one = headers_first ? places.headers : places.delivery_info;
  const Place& two = headers_first ? places.delivery_info : places.headers;
  std::string out;
  out.reserve(text.size() + 64);
  out.append(text, 0, one.at);
  append_flag(one.form, out);
  out.append(text, one.at + one.length, two.at - one.at - one.length);
  append_flag(two.form, out);
  out.append(text, two.at + two.length);
  return out;
}

}  // namespace celeriac
