// A folder on an IMAP server, by curl. Ids are "<UIDVALIDITY>:<UID>", which a server never uses twice.
#pragma once

#include "config/url.hpp"
#include "tasks/email_processing/mailbox.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/engines/shared_breakers.hpp"

namespace celeriac {

class ImapMailbox : public Mailbox {
 public:
  // imap://user:password@host:port/Folder or imaps://...; without a folder INBOX. "?auth=bearer" sends the
  // password as an OAuth2 access token.
  // `breakers` outlive it.
  ImapMailbox(const Url& url, SharedBreakers& breakers, Cancelled cancelled);

  std::string provider() const override { return "imap"; }
  std::vector<std::string> list(int days, std::size_t most,
                                const std::function<bool(const std::string& id)>& known) override;
  std::optional<Expected<Mail>> fetch(const std::string& id) override;
  std::string attachment(const std::string& id, const MailAttachment& attachment) override;

 private:
  HttpResult ask(const std::string& path, const std::string& command);
  std::string uid_validity();

  std::string server_;  // imaps://host:port/
  std::string folder_;  // as in a URL
  std::string quoted_folder_, user_, password_;
  bool bearer_ = false;
  SharedBreakers& breakers_;
  Cancelled cancelled_;
};

}  // namespace celeriac
