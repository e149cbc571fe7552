// What Gmail's REST interface says, read. No sockets.
#include "tasks/email_processing/gmail_mailbox.hpp"

#include "protocol/base64.hpp"
#include "tasks/email_processing/gmail_json.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac {
namespace {

constexpr int max_depth = 20;
constexpr std::size_t max_parts = 200;

// Gmail writes base64 with - and _ and leaves the padding out.
Expected<std::string> decode_url_safe(std::string text) {
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  while (text.size() % 4 != 0) text += '=';
  return base64_decode(text);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The header lines of a message as mail, read by the MIME parser like any other mail.
Expected<Mail> read_headers(const Json& payload) {
  std::string lines;
  const auto headers = payload.find("headers");
  if (headers != payload.end() && headers->is_array()) {
    for (const Json& header : *headers) {
      if (!header.is_object()) continue;
      const std::string name = lower(text_at(header, "name"));
      if (name != "from" && name != "to" && name != "subject" && name != "date" && name != "message-id")
        continue;
      std::string value = text_at(header, "value");
      std::erase_if(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
      lines += name + ": " + value + "\r\n";
    }
  }
  return parse_mail(lines + "\r\n");
}

Expected<bool> read_part(const Json& part, Mail& mail, std::size_t& parts, int depth) {
  if (!part.is_object()) return unexpected("a part that is no object");
  if (depth > max_depth || ++parts > max_parts) return unexpected("too many parts");
  const auto children = part.find("parts");
  if (children != part.end() && children->is_array() && !children->empty()) {
    for (const Json& child : *children)
      if (auto read = read_part(child, mail, parts, depth + 1); !read) return read;
    return true;
  }
  const auto body = part.find("body");
  if (body == part.end() || !body->is_object()) return true;
  const std::string filename = text_at(part, "filename"), type = lower(text_at(part, "mimeType"));
  const std::string data = text_at(*body, "data"), id = text_at(*body, "attachmentId");
  if (filename.empty() && type.starts_with("text/")) {
    if (type != "text/plain" || !mail.text.empty()) return true;
    auto text = decode_url_safe(data);
    if (!text) return unexpected("a text that is no base64");
    mail.text = text->substr(0, MailLimits().max_text);
    return true;
  }
  MailAttachment attachment;
  attachment.part = text_at(part, "partId").empty() ? "0" : text_at(part, "partId");
  attachment.filename = filename;
  attachment.content_type = type;
  attachment.provider_id = id;
  const auto size = body->find("size");
  if (size != body->end() && size->is_number_unsigned()) attachment.size = size->get<std::size_t>();
  if (id.empty()) {
    auto bytes = decode_url_safe(data);
    if (!bytes) return unexpected("an attachment that is no base64");
    attachment.bytes = std::move(*bytes);
    attachment.size = attachment.bytes.size();
  }
  for (const Json& header : part.value("headers", Json::array()))
    if (header.is_object() && lower(text_at(header, "name")) == "content-disposition")
      attachment.is_inline = lower(text_at(header, "value")).starts_with("inline");
  mail.attachments.push_back(std::move(attachment));
  return true;
}

}  // namespace

Expected<Mail> read_gmail_message(const Json& message) {
  try {
    const auto payload = message.find("payload");
    if (payload == message.end() || !payload->is_object()) return unexpected("a message without payload");
    auto mail = read_headers(*payload);
    if (!mail) return mail;
    std::size_t parts = 0;
    if (auto read = read_part(*payload, *mail, parts, 0); !read) return unexpected(read.error().what);
    return mail;
  } catch (const Json::exception& error) {  // "headers" that is no list, and the like
    return unexpected(std::string("a message of another form: ") + error.what());
  }
}

Expected<GmailPush> read_push(const Json& payload) {
  const auto message = payload.is_object() ? payload.find("message") : payload.end();
  if (message == payload.end() || !message->is_object()) return unexpected("a push without message");
  const auto data = decode_url_safe(text_at(*message, "data"));
  if (!data || data->empty()) return unexpected("a push whose data is no base64");
  const auto content = parse_json(*data);
  if (!content || !content->is_object()) return unexpected("a push whose data is no JSON object");
  GmailPush push{lower(text_at(*content, "emailAddress")), text_at(*content, "historyId")};
  const auto id = content->find("historyId");
  if (id != content->end() && id->is_number_unsigned())
    push.history_id = std::to_string(id->get<std::uint64_t>());
  const bool digits =
      !push.history_id.empty() && push.history_id.size() <= 20 &&
      std::ranges::all_of(push.history_id, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (push.address.empty() || !digits) return unexpected("a push without emailAddress and historyId");
  return push;
}

}  // namespace celeriac
