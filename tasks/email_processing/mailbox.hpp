// A mailbox of any kind: which messages it has, and each as a whole. Blocking; used by one slot
// at a time.
#pragma once

#include "tasks/engines/mime.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace celeriac {

enum class EmailFailureKind {
  auth,           // EmailLoginRefused: password or token
  rate_limited,   // EmailRateLimited: the provider's quota, or ours
  unavailable,    // EmailUnavailable: the server, the network, Redis
  not_found,      // EmailFolderNotFound
  not_configured  // EmailNotConfigured: account, quota or URL
};
std::string_view exception_type(EmailFailureKind kind);
bool is_passing(EmailFailureKind kind);  // another attempt may succeed

struct EmailError : std::runtime_error {
  EmailError(EmailFailureKind failure, const std::string& what) : std::runtime_error(what), kind(failure) {}
  EmailFailureKind kind;
  std::optional<std::chrono::milliseconds> retry_after;
};

class Mailbox {
 public:
  virtual ~Mailbox() = default;
  virtual std::string provider() const = 0;  // "imap", "gmail"

  // The provider's ids of the messages of the last `days`, newest first, at most `most` of those that `known`
  // does not know.
  virtual std::vector<std::string> list(int days, std::size_t most,
                                        const std::function<bool(const std::string& id)>& known) = 0;

  // Nothing when the message is gone. An Error when it cannot be read: it is that message's fault.
  // Attachments may come without their bytes; attachment() brings them.
  virtual std::optional<Expected<Mail>> fetch(const std::string& id) = 0;
  virtual std::string attachment(const std::string& id, const MailAttachment& attachment) = 0;
};

// Asked while a mailbox waits; true ends the waiting. May be empty.
using Cancelled = std::function<bool()>;

}  // namespace celeriac
