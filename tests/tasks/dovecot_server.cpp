#include "tests/tasks/dovecot_server.hpp"

#include <netinet/in.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace celeriac::testing {
namespace {

namespace fs = std::filesystem;

sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

bool greets(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = local(port);
  char byte = 0;
  const bool up = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                  ::recv(fd, &byte, 1, 0) == 1;
  ::close(fd);
  return up;
}

}  // namespace

bool DovecotServer::available() {
  return fs::exists("/usr/sbin/dovecot") && fs::exists("/usr/lib/dovecot/imap");
}

DovecotServer::DovecotServer() : port_(free_port()) {
  std::string pattern = (fs::temp_directory_path() / "celeriac-dovecot-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  // Dovecot keeps mail from root: as root it is some other user's mail.
  const bool root = ::geteuid() == 0;
  const passwd* user = root ? ::getpwnam("mail") : ::getpwuid(::geteuid());
  if (!user) throw std::runtime_error("no user for the mail");
  const std::string name = user->pw_name;
  mail_uid_ = user->pw_uid;
  mail_gid_ = user->pw_gid;
  for (const char* part :
       {"", "home", "home/Maildir", "home/Maildir/new", "home/Maildir/cur", "home/Maildir/tmp"}) {
    fs::create_directories(folder_ / part);
    if (::chown((folder_ / part).c_str(), mail_uid_, mail_gid_) != 0)
      throw std::runtime_error("the mail folder cannot be given away");
    fs::permissions(folder_ / part, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  }
  const std::string owner =
      root ? "" : "default_internal_user = " + name + "\ndefault_login_user = " + name + "\n";
  const std::string uid = std::to_string(mail_uid_), gid = std::to_string(mail_gid_);
  std::ofstream(folder_ / "dovecot.conf")
      << "base_dir = " << (folder_ / "run").string() << "\nlog_path = " << (folder_ / "log").string()
      << "\nprotocols = imap\nssl = no\ndisable_plaintext_auth = no\nlisten = 127.0.0.1\n"
      << owner << "first_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:~/Maildir\n"
      << "passdb {\n  driver = static\n  args = password=secret\n}\n"
      << "userdb {\n  driver = static\n  args = uid=" << uid << " gid=" << gid
      << " home=" << (folder_ / "home").string()
      << "\n}\nservice imap-login {\n  chroot =\n  inet_listener imap {\n    address = 127.0.0.1\n    port = "
      << port_ << "\n  }\n  inet_listener imaps {\n    port = 0\n  }\n}\nservice anvil {\n  chroot =\n}\n";
  const std::string conf = (folder_ / "dovecot.conf").string();
  std::string words[] = {"/usr/sbin/dovecot", "-F", "-c", conf};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  if (::posix_spawn(&pid_, argv[0], nullptr, nullptr, argv, environ) != 0)
    throw std::runtime_error("dovecot cannot be started");
  for (int i = 0; i < 1000; ++i) {
    if (greets(port_)) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("dovecot ended at once, see " + (folder_ / "log").string());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw std::runtime_error("dovecot does not answer");
}

DovecotServer::~DovecotServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;  // a temporary folder left behind harms nobody
  fs::remove_all(folder_, ignored);
}

std::string DovecotServer::url(const std::string& password) const {
  return "imap://ap:" + password + "@127.0.0.1:" + std::to_string(port_) + "/INBOX";
}

void DovecotServer::deliver(const std::string& message) {
  const std::string number = std::to_string(++delivered_);
  const std::string name = "1700000000.M" + number + ".test";
  const fs::path written = folder_ / "home/Maildir/tmp" / name;
  std::ofstream(written, std::ios::binary) << message;
  if (::chown(written.c_str(), mail_uid_, mail_gid_) != 0)
    throw std::runtime_error("the mail cannot be given away");
  fs::rename(written, folder_ / "home/Maildir/new" / name);
}

}  // namespace celeriac::testing
