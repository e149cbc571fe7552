// MIME by GMime. Compiled into celeriac_mime.so.
#include "tasks/engines/mime.hpp"

#include "tasks/engines/gmime_ref.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <mutex>

namespace celeriac {
namespace {

struct FreeText {
  void operator()(char* text) const noexcept { g_free(text); }
};

std::string text_of(const char* text) { return text ? text : ""; }

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Adds every mailbox, those inside of groups too.
void mailboxes(InternetAddressList* list, std::vector<std::pair<std::string, std::string>>& out, int depth) {
  if (!list || depth > 5) return;
  const int count = std::min(internet_address_list_length(list), 1000);
  for (int i = 0; i < count; ++i) {
    InternetAddress* address = internet_address_list_get_address(list, i);
    if (INTERNET_ADDRESS_IS_MAILBOX(address)) {
      out.emplace_back(text_of(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address))),
                       text_of(internet_address_get_name(address)));
    } else if (INTERNET_ADDRESS_IS_GROUP(address)) {
      mailboxes(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address)), out, depth + 1);
    }
  }
}

class Walk {
 public:
  Walk(Mail& mail, const MailLimits& limits) : mail_(mail), limits_(limits) {}

  // An error text, or empty.
  std::string visit(GMimeObject* object, const std::string& place, int depth) {
    if (!object) return {};
    if (depth > limits_.max_depth) return "parts are nested deeper than " + std::to_string(limits_.max_depth);
    if (++parts_ > limits_.max_parts) return "more than " + std::to_string(limits_.max_parts) + " parts";
    if (GMIME_IS_MULTIPART(object)) {
      GMimeMultipart* multipart = GMIME_MULTIPART(object);
      const int count = g_mime_multipart_get_count(multipart);
      for (int i = 0; i < count; ++i) {
        const std::string child = place.empty() ? std::to_string(i + 1) : place + "." + std::to_string(i + 1);
        if (auto error = visit(g_mime_multipart_get_part(multipart, i), child, depth + 1); !error.empty())
          return error;
      }
      return {};
    }
    if (GMIME_IS_MESSAGE_PART(object)) {
      GMimeMessage* inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
      return inner ? visit(g_mime_message_get_mime_part(inner), place.empty() ? "1" : place + ".1", depth + 1)
                   : std::string();
    }
    if (GMIME_IS_PART(object)) part(GMIME_PART(object), place.empty() ? "1" : place);
    return {};
  }

 private:
  void part(GMimePart* part, const std::string& place) {
    GMimeObject* object = GMIME_OBJECT(part);
    GMimeContentType* type = g_mime_object_get_content_type(object);
    const char* filename = g_mime_part_get_filename(part);
    GMimeContentDisposition* disposition = g_mime_object_get_content_disposition(object);
    const std::string shown =
        disposition ? lower(text_of(g_mime_content_disposition_get_disposition(disposition))) : std::string();
    const bool is_text = GMIME_IS_TEXT_PART(object) && !filename && shown != "attachment";
    if (is_text) {
      if (mail_.text.empty() && type && g_mime_content_type_is_type(type, "text", "plain")) {
        const std::unique_ptr<char, FreeText> text(g_mime_text_part_get_text(GMIME_TEXT_PART(object)));
        mail_.text = text_of(text.get()).substr(0, limits_.max_text);
      }
      return;
    }
    MailAttachment attachment;
    attachment.part = place;
    attachment.filename = text_of(filename);
    if (type) {
      const std::unique_ptr<char, FreeText> mime(g_mime_content_type_get_mime_type(type));
      attachment.content_type = lower(text_of(mime.get()));
    }
    attachment.is_inline =
        shown == "inline" || (shown.empty() && g_mime_object_get_content_id(object) != nullptr);
    attachment.bytes = decoded(part);
    attachment.size = attachment.bytes.size();
    if (attachment.size > limits_.max_attachment) std::string().swap(attachment.bytes);
    mail_.attachments.push_back(std::move(attachment));
  }

  // No encoding of mail makes content larger than the message, which is bounded.
  static std::string decoded(GMimePart* part) {
    GMimeDataWrapper* content = g_mime_part_get_content(part);
    if (!content) return {};
    const Ref<GMimeStream> out(g_mime_stream_mem_new());
    g_mime_data_wrapper_write_to_stream(content, out.get());
    g_mime_stream_flush(out.get());
    const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(out.get()));
    return bytes ? std::string(reinterpret_cast<const char*>(bytes->data), bytes->len) : std::string();
  }

  Mail& mail_;
  const MailLimits& limits_;
  std::size_t parts_ = 0;
};

}  // namespace

Expected<Mail> parse_mail_gmime(std::string_view bytes, const MailLimits& limits) {
  static std::once_flag once;
  std::call_once(once, [] { g_mime_init(); });
  if (bytes.size() > limits.max_message)
    return unexpected("a message of " + std::to_string(bytes.size()) + " bytes; at most " +
                      std::to_string(limits.max_message) + " are read");
  const Ref<GMimeStream> in(g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size()));
  const Ref<GMimeParser> parser(g_mime_parser_new_with_stream(in.get()));
  const Ref<GMimeMessage> message(g_mime_parser_construct_message(parser.get(), nullptr));
  if (!message) return unexpected("not a mail message");

  Mail mail;
  mail.message_id = text_of(g_mime_message_get_message_id(message.get()));
  mail.subject = text_of(g_mime_message_get_subject(message.get()));
  std::vector<std::pair<std::string, std::string>> from, to;
  mailboxes(g_mime_message_get_from(message.get()), from, 0);
  mailboxes(g_mime_message_get_to(message.get()), to, 0);
  if (!from.empty()) {
    mail.from_address = lower(from.front().first);
    mail.from_name = from.front().second;
  }
  for (auto& [address, name] : to) mail.to.push_back(std::move(address));
  if (GDateTime* date = g_mime_message_get_date(message.get()))
    mail.sent_at = static_cast<double>(g_date_time_to_unix(date));
  Walk walk(mail, limits);
  if (auto error = walk.visit(g_mime_message_get_mime_part(message.get()), "", 0); !error.empty())
    return unexpected(std::move(error));
  return mail;
}

}  // namespace celeriac

// C++ types on both sides: loader and module are built together.
extern "C" __attribute__((visibility("default"))) void celeriac_parse_mail(
    std::string_view bytes, const celeriac::MailLimits& limits, celeriac::Expected<celeriac::Mail>& out) {
  out = celeriac::parse_mail_gmime(bytes, limits);
}
