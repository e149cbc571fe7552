#include "tasks/email_processing/email_rules.hpp"

#include "tasks/engines/file_type.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace celeriac {
namespace {

constexpr std::size_t smallest_document_image = 10 << 10;  // bytes; a picture in the text below it is a logo

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string() : std::string(address.substr(at + 1));
}

// What fraud writes and invoices do not.
constexpr std::array<std::string_view, 12> malicious_patterns = {"your account has been suspended",
                                                                 "account will be suspended",
                                                                 "verify your account",
                                                                 "confirm your password",
                                                                 "update your payment information",
                                                                 "click here to verify",
                                                                 "you have won",
                                                                 "claim your prize",
                                                                 "lottery winner",
                                                                 "bitcoin wallet",
                                                                 "send cryptocurrency",
                                                                 "gift card code"};

int count_urls(const std::string& text) {
  int count = 0;
  for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) ++count;
  return count;
}

bool is_document(FileType type) { return type == FileType::pdf || type == FileType::xml || is_image(type); }

bool says_document(const MailAttachment& attachment) {
  const std::string name = lower(attachment.filename), &type = attachment.content_type;
  for (const std::string_view end : {".pdf", ".xml", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
    if (name.ends_with(end)) return true;
  return type == "application/pdf" || type == "text/xml" || type == "application/xml" ||
         type == "image/png" || type == "image/jpeg" || type == "image/tiff";
}

}  // namespace

bool is_trusted(std::string_view address, const std::vector<std::string>& patterns) {
  const std::string sender = lower(address), domain = domain_of(sender);
  if (domain.empty()) return false;
  return std::ranges::any_of(patterns, [&](const std::string& given) {
    const std::string pattern = lower(given);
    if (pattern.find('@') != std::string::npos) return sender == pattern;
    if (!pattern.starts_with("*.")) return domain == pattern;
    return domain == pattern.substr(2) || domain.ends_with(pattern.substr(1));
  });
}

std::vector<std::string> security_flags(const Mail& mail, const EmailRules& rules) {
  std::vector<std::string> flags;
  const std::string text = lower(mail.subject + "\n" + mail.text);
  const bool malicious = std::ranges::any_of(
      malicious_patterns, [&](std::string_view pattern) { return text.find(pattern) != std::string::npos; });
  if (malicious) flags.push_back("malicious_pattern");
  if (count_urls(text) > rules.max_urls) flags.push_back("excessive_urls");
  if (mail.attachments.size() > rules.max_attachments) flags.push_back("excessive_attachments");
  if (!is_trusted(mail.from_address, rules.trusted_senders)) flags.push_back("untrusted_sender");
  return flags;
}

bool is_blocked(const std::vector<std::string>& flags) {
  const bool untrusted = std::ranges::find(flags, "untrusted_sender") != flags.end();
  return untrusted && flags.size() > 1;
}

std::string early_refusal_of(const MailAttachment& attachment, const EmailRules& rules) {
  if (attachment.size > rules.max_attachment_bytes) return "too_large";
  if (attachment.is_inline && attachment.content_type.starts_with("image/") &&
      attachment.size < smallest_document_image)
    return "inline_image";
  if (!says_document(attachment)) return "unsupported_type";
  return {};
}

std::string refusal_of(const MailAttachment& attachment, const EmailRules& rules) {
  if (attachment.size == 0) return "empty";
  if (attachment.size > rules.max_attachment_bytes) return "too_large";
  const FileType type = detect_file_type(attachment.bytes);
  if (!is_document(type)) return "unsupported_type";
  if (attachment.is_inline && is_image(type) && attachment.size < smallest_document_image)
    return "inline_image";
  return {};
}

std::string vendor_of(const Mail& mail) {
  const std::string name = clean_text(mail.from_name, 255);
  return name.size() >= 3 ? name : clean_text(domain_of(mail.from_address), 255);
}

std::string message_hash(const Mail& mail) {
  if (!mail.message_id.empty()) return sha256_hex(mail.message_id);
  std::string key = mail.from_address + "\n" + mail.subject + "\n" +
                    (mail.sent_at ? std::to_string(static_cast<long long>(*mail.sent_at)) : "");
  for (const auto& attachment : mail.attachments)
    key += "\n" + attachment.filename + " " + std::to_string(attachment.size);
  return sha256_hex(key);
}

}  // namespace celeriac
