// A private Dovecot for a test: own folder and port, one user with one maildir, ended with the object.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <filesystem>
#include <string>

namespace celeriac::testing {

class DovecotServer {
 public:
  DovecotServer();  // throws std::runtime_error when it does not come up
  ~DovecotServer();
  DovecotServer(const DovecotServer&) = delete;
  DovecotServer& operator=(const DovecotServer&) = delete;

  static bool available();

  std::string url(const std::string& password = "secret") const;  // imap://ap:secret@127.0.0.1:port/INBOX
  void deliver(const std::string& message);

 private:
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  uid_t mail_uid_ = 0;
  gid_t mail_gid_ = 0;
  int delivered_ = 0;
};

}  // namespace celeriac::testing
