#include "cli/dev/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace celeriac::dev {
namespace {

namespace fs = std::filesystem;

// sockaddr_un holds 107 characters; the longest is "/pg/.s.PGSQL.65535.lock".
constexpr std::size_t longest_socket_folder = 107 - 24;

tl::unexpected<Error> failed(const std::string& path) {
  return unexpected(path + ": " + std::strerror(errno));
}

// Written beside and renamed: a reader sees the old file or the new one. Mode 0600.
Expected<void> write_file(const std::string& path, const std::string& text) {
  auto draft = path + ".new";
  int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed(draft);
  bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  if (close(fd) != 0 || !written || rename(draft.c_str(), path.c_str()) != 0) return failed(path);
  return {};
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Expected<Folder> Folder::open(const std::string& path, bool& busy) {
  busy = false;
  std::error_code error;
  Folder folder;
  fs::create_directories(path, error);
  folder.path_ = fs::canonical(path, error).string();
  if (error) return unexpected(path + ": " + error.message());
  // World-searchable, because PostgreSQL's user must reach its own data below when we are root.
  chmod(folder.path_.c_str(), 0711);

  auto lock = folder.file("lock");
  folder.lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (folder.lock_ < 0) return failed(lock);
  if (flock(folder.lock_, LOCK_EX | LOCK_NB) != 0) {
    busy = errno == EWOULDBLOCK;
    auto why = busy ? unexpected("another `celeriac dev` runs in " + folder.path_) : failed(lock);
    ::close(folder.lock_);
    folder.lock_ = -1;  // what is in the folder belongs to the other one
    return why;
  }

  folder.run_ = folder.file("run");
  if (folder.run_.size() > longest_socket_folder) {
    std::string pattern = "/tmp/celeriac-dev-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) return failed(pattern);
    folder.run_ = pattern;
  } else {
    fs::create_directories(folder.run_, error);
    if (error) return unexpected(folder.run_ + ": " + error.message());
  }
  chmod(folder.run_.c_str(), 0711);
  unlink(folder.file("dev.json").c_str());
  return folder;
}

Folder::Folder(Folder&& other) noexcept
    : path_(std::move(other.path_)), run_(std::move(other.run_)), lock_(other.lock_) {
  other.lock_ = -1;
}

Folder::~Folder() {
  if (lock_ < 0) return;
  std::error_code ignored;
  unlink(file("dev.json").c_str());
  fs::remove_all(run_, ignored);
  ::close(lock_);
}

Ports Folder::last_ports() const {
  auto document = parse_json(read_file(file("ports.json")), {.max_bytes = 4096, .max_depth = 4});
  Ports ports;
  if (!document || !document->is_object()) return ports;
  auto port = [&](const char* name) -> std::uint16_t {
    auto found = document->find(name);
    if (found == document->end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > 65535)
      return 0;
    return found->get<std::uint16_t>();
  };
  ports.redis = port("redis");
  ports.postgres = port("postgres");
  return ports;
}

Expected<void> Folder::remember(Ports ports) const {
  return write_file(file("ports.json"),
                    dump_json(Json{{"redis", ports.redis}, {"postgres", ports.postgres}}) + "\n");
}

Expected<std::string> Folder::password() const {
  auto path = file("postgres.password");
  auto text = read_file(path);
  if (text.size() == 32) return text;
  unsigned char random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random) return failed("getrandom");
  text.clear();
  for (unsigned char byte : random)
    text += "0123456789abcdef"[byte >> 4], text += "0123456789abcdef"[byte & 15];
  if (auto done = write_file(path, text); !done) return tl::unexpected(done.error());
  return text;
}

Expected<void> Folder::publish(const Json& document) const {
  return write_file(file("dev.json"), dump_json(document) + "\n");
}

}  // namespace celeriac::dev
