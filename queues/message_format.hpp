// How this worker writes the bodies of messages it sends, and which signed ones it believes: the settings
// task_serializer, task_compression and security_*. Everything inside the worker is plain JSON; this
// is the one place that turns it into something else and back. Pure: no clock, no connection.
#pragma once

#include "config/settings.hpp"
#include "protocol/compression.hpp"
#include "protocol/content_type.hpp"
#include "protocol/message.hpp"
#include "protocol/signed_content.hpp"

#include <optional>
#include <string>

namespace celeriac {

class MessageFormat {
 public:
  // Reads the key and certificates when `auth` is in use. The Error names the setting that is wrong.
  static Expected<MessageFormat> create(const Settings& settings);

  // Messages leave and arrive as they are: neither seal() nor open() is needed.
  bool plain() const { return !serializer_ && !compression_ && !signer_ && !verifier_; }

  // A message as it is to be sent. A task's is serialized and compressed unless its own headers say how
  // it is compressed already; others (replies, broadcasts) are signed only.
  Expected<Message> seal(Message message) const;

  // A message as it was before it was sealed: a signed one verified and freed from its signature.
  // The Error is the reason to refuse it: unsigned where only signed ones are accepted, or not believed.
  Expected<Message> open(Message message) const;

 private:
  std::optional<Serializer> serializer_;  // unset: JSON
  std::optional<Compression> compression_;
  std::optional<Signer> signer_;
  std::optional<Verifier> verifier_;
  SignedLayout layout_ = SignedLayout::celery_5_6;
  bool only_signed_ = false;  // accept_content holds nothing but auth
};

}  // namespace celeriac
