// A mailbox at Gmail, by its REST interface: https://developers.google.com/gmail/api/reference/rest
//
// Each call first takes its units from the shared quota, and waits for them up to a point;
// what the server refuses for its rate, or fails, is tried again after a growing pause with
// jitter, no sooner than Retry-After says.
#pragma once

#include "tasks/email_processing/mailbox.hpp"
#include "tasks/email_processing/oauth.hpp"
#include "tasks/email_processing/quota.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/engines/shared_breakers.hpp"

#include <memory>

namespace celeriac {

struct GmailAccount {
  std::string address;  // also the name under which its quota is counted
  std::string api = "https://gmail.googleapis.com/gmail/v1";
  std::string query = "has:attachment";
  OAuthCredentials credentials;
};

class GmailMailbox : public Mailbox {
 public:
  // `ledger` and `breakers` outlive it.
  GmailMailbox(GmailAccount account, QuotaLedger& ledger, SharedBreakers& breakers, Cancelled cancelled);
  ~GmailMailbox() override;

  std::string provider() const override { return "gmail"; }
  std::vector<std::string> list(int days, std::size_t most,
                                const std::function<bool(const std::string& id)>& known) override;
  std::optional<Expected<Mail>> fetch(const std::string& id) override;
  std::string attachment(const std::string& id, const MailAttachment& attachment) override;

  // The messages added since; nothing when Gmail does not know the id any more.
  std::optional<std::vector<std::string>> history(const std::string& since, std::size_t most);
  // {"historyId", "expiration"}
  Json watch(const std::string& topic);

 private:
  struct Answer {
    int status = 0;
    Json body;
  };
  Answer call(const std::string& method, const std::string& path, int units, const Json& body = nullptr);
  void take_units(int units);
  void wait(std::chrono::milliseconds time);

  const GmailAccount account_;
  QuotaLedger& ledger_;
  SharedBreakers& breakers_;
  Cancelled cancelled_;
  AccessToken token_;
  std::string connection_;  // its name in the ledger
};

// A message as Gmail tells it (format "full"), as mail.
Expected<Mail> read_gmail_message(const Json& message);

// The push of Pub/Sub: {"message": {"data": base64 of {"emailAddress", "historyId"}}}.
struct GmailPush {
  std::string address, history_id;
};
Expected<GmailPush> read_push(const Json& payload);

}  // namespace celeriac
