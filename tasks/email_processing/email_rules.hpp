// Which mails and which of their attachments are worked on. Pure.
#pragma once

#include "tasks/engines/mime.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct EmailRules {
  std::vector<std::string> trusted_senders;  // "a@b.c", "b.c", "*.b.c" (b.c itself included)
  int max_urls = 5;
  std::size_t max_attachments = 10;
  std::size_t max_attachment_bytes = 25u << 20;
};

// An address, compared without case; a display name has no part in it.
bool is_trusted(std::string_view address, const std::vector<std::string>& patterns);

// What speaks against a mail: "malicious_pattern", "excessive_urls", "excessive_attachments",
// "untrusted_sender".
std::vector<std::string> security_flags(const Mail& mail, const EmailRules& rules);

// A trusted sender is never blocked; any other by every flag but "untrusted_sender".
bool is_blocked(const std::vector<std::string>& flags);

// Why an attachment is not worked on; empty when it is. Its content decides, not its name.
std::string refusal_of(const MailAttachment& attachment, const EmailRules& rules);
// The same before the content is known: by size and what the sender says.
std::string early_refusal_of(const MailAttachment& attachment, const EmailRules& rules);

// Who may have sent the invoice: the sender's name, else the domain. Empty when neither is there.
std::string vendor_of(const Mail& mail);

// What makes two mails the same: the Message-ID, else sender, subject and date. SHA-256.
std::string message_hash(const Mail& mail);

}  // namespace celeriac
