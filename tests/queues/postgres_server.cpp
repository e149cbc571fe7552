#include "tests/queues/postgres_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace celeriac::testing {
namespace {

namespace fs = std::filesystem;

const std::string programs = "/usr/lib/postgresql/15/bin/";

int free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int failed = ::bind(fd, reinterpret_cast<sockaddr*>(&address), length);
  if (!failed) failed = ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(fd);
  if (failed) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// Output and errors go to `log`. The program ends with us, and as root runs as user postgres.
pid_t spawn(std::vector<std::string> command, const fs::path& log) {
  std::vector<std::string> wrapper = {"setpriv", "--pdeathsig", "QUIT"};
  if (::geteuid() == 0)
    wrapper.insert(wrapper.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
  command.insert(command.begin(), wrapper.begin(), wrapper.end());
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) {
    int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::close(0);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

struct PostgresServer::Impl {
  fs::path folder;
  std::string socket_folder;
  std::vector<std::string> settings;
  int port = 0;
  pid_t pid = 0;

  void initialise() {
    std::string pattern = (fs::temp_directory_path() / "celeriac-pg-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    folder = pattern;
    fs::permissions(folder, fs::perms::all);
    socket_folder = folder.string();
    port = free_port();
    pid_t made = spawn({programs + "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E",
                        "UTF8", "--locale=C.UTF-8", "--no-sync"},
                       folder / "log");
    if (wait_for(made) != 0) throw std::runtime_error("initdb: " + read(folder / "log"));
  }

  void start() {
    std::vector<std::string> command = {
        programs + "postgres", "-D", folder / "data", "-k", socket_folder, "-p",
        std::to_string(port),  "-h", "127.0.0.1"};
    for (auto& setting : settings) command.insert(command.end(), {"-c", setting});
    pid = spawn(command, folder / "log");
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const std::string target = "host=127.0.0.1 user=postgres dbname=postgres port=" + std::to_string(port);
    while (PQping(target.c_str()) != PQPING_OK) {
      int status = 0;
      bool ended = ::waitpid(pid, &status, WNOHANG) == pid;
      if (ended) pid = 0;
      if (ended || std::chrono::steady_clock::now() > until)
        throw std::runtime_error("postgres: " + read(folder / "log"));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void stop(int signal) {
    if (!pid) return;
    ::kill(pid, signal);
    wait_for(pid);
    pid = 0;
  }

  ~Impl() {
    stop(SIGQUIT);
    std::error_code ignored;  // a test's verdict does not depend on tidying up
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
};

PostgresServer::PostgresServer(std::vector<std::string> settings) : impl_(std::make_unique<Impl>()) {
  impl_->settings = std::move(settings);
  impl_->initialise();
  impl_->start();
}

PostgresServer::~PostgresServer() = default;

bool PostgresServer::available() {
  return fs::exists(programs + "postgres") && fs::exists(programs + "initdb");
}
int PostgresServer::port() const { return impl_->port; }
const std::string& PostgresServer::socket_folder() const { return impl_->socket_folder; }

std::string PostgresServer::url(const std::string& scheme, const std::string& database) const {
  return scheme + "://postgres@127.0.0.1:" + std::to_string(impl_->port) + "/" + database;
}

std::string PostgresServer::socket_url(const std::string& scheme) const {
  return scheme + "://postgres@/postgres?host=" + impl_->socket_folder +
         "&port=" + std::to_string(impl_->port);
}

std::string PostgresServer::sql(const std::string& statement) const {
  const fs::path out = impl_->folder / "psql.out";
  fs::remove(out);
  pid_t pid =
      spawn({programs + "psql", "-h", impl_->socket_folder, "-p", std::to_string(impl_->port), "-U",
             "postgres", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"},
            out);
  int status = wait_for(pid);
  std::string text = read(out);
  if (status != 0) throw std::runtime_error(statement + ": " + text);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void PostgresServer::stop() { impl_->stop(SIGQUIT); }
void PostgresServer::restart() {
  impl_->stop(SIGQUIT);
  impl_->start();
}

}  // namespace celeriac::testing
