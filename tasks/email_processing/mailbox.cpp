#include "tasks/email_processing/mailbox.hpp"

namespace celeriac {

std::string_view exception_type(EmailFailureKind kind) {
  switch (kind) {
    case EmailFailureKind::auth:
      return "EmailLoginRefused";
    case EmailFailureKind::rate_limited:
      return "EmailRateLimited";
    case EmailFailureKind::unavailable:
      return "EmailUnavailable";
    case EmailFailureKind::not_found:
      return "EmailFolderNotFound";
    case EmailFailureKind::not_configured:
      return "EmailNotConfigured";
  }
  return "EmailUnavailable";
}

bool is_passing(EmailFailureKind kind) {
  return kind == EmailFailureKind::rate_limited || kind == EmailFailureKind::unavailable;
}

}  // namespace celeriac
