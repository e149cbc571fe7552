// Any bytes are a mail or an error, never more than they may be.
#include "tasks/engines/mime.hpp"
#include "check.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace celeriac {
Expected<Mail> parse_mail_gmime(std::string_view bytes, const MailLimits& limits);
}

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  MailLimits limits;
  limits.max_message = 1 << 20;
  limits.max_attachment = 64 << 10;
  const auto mail = parse_mail_gmime(std::string_view(reinterpret_cast<const char*>(data), size), limits);
  if (!mail) return 0;
  must(mail->text.size() <= limits.max_text, "the text is bounded");
  must(mail->attachments.size() <= limits.max_parts, "parts are bounded");
  for (const auto& attachment : mail->attachments) {
    must(attachment.bytes.size() <= limits.max_attachment, "attachments are bounded");
    must(!attachment.part.empty(), "each has a place");
  }
  return 0;
}
