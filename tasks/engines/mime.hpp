// Mail as it travels, taken apart. GMime lives in a module (celeriac_mime.so) that is loaded
// by the first message.
#pragma once

#include "protocol/error.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct MailAttachment {
  std::string part;          // place in the message: "2", "1.2"
  std::string filename;      // as the sender says; never a path to write to
  std::string content_type;  // as the sender says, lower case
  bool is_inline = false;    // shown within the text, such as a logo
  std::size_t size = 0;      // bytes, decoded
  std::string bytes;         // empty when it was not read (Gmail fetches it later) or is too large
  std::string provider_id;   // Gmail's id to fetch it by
};

struct Mail {
  std::string message_id;  // without brackets; empty when the message has none
  std::string subject, from_address, from_name;
  std::vector<std::string> to;
  std::optional<double> sent_at;  // Unix seconds
  std::string text;               // the first plain text, at most MailLimits::max_text bytes
  std::vector<MailAttachment> attachments;
};

struct MailLimits {
  std::size_t max_message = 36u << 20;     // bytes: 25 MB of attachments in base64
  std::size_t max_attachment = 25u << 20;  // bytes; of a larger one only the size is kept
  std::size_t max_text = 64u << 10;
  std::size_t max_parts = 200;
  int max_depth = 20;
};

// Texts come out as UTF-8 as far as the message names its charset; they may hold anything.
Expected<Mail> parse_mail(std::string_view bytes, const MailLimits& limits = {});

}  // namespace celeriac
