#include "tests/queues/rabbit_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace celeriac::testing {
namespace {

namespace fs = std::filesystem;

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

bool listens(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ok = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return ok;
}

pid_t spawn(std::vector<std::string> words, std::vector<std::string> environment, const std::string& output,
            bool own_group, const std::string& input = "/dev/null") {
  std::vector<char*> argv, envp;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  if (own_group) {
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
  }
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) throw std::runtime_error(words[0] + " cannot be started");
  return pid;
}

constexpr std::chrono::milliseconds poll{50};

}  // namespace

RabbitServer::RabbitServer(const std::string& config) {
  std::string pattern = (fs::temp_directory_path() / "celeriac-rabbit-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  port_ = free_port();
  dist_port_ = free_port();
  epmd_port_ = free_port();
  node_ = "celeriac" + std::to_string(port_) + "@localhost";
  std::ofstream(directory_ + "/plugins") << "[].\n";
  std::ofstream(directory_ + "/.erlang.cookie") << "CELERIACTEST";
  fs::permissions(directory_ + "/.erlang.cookie", fs::perms::owner_read);
  std::ofstream(directory_ + "/rabbitmq.conf")
      << "loopback_users = none\ntotal_memory_available_override_value = 4GB\n"
      << "disk_free_limit.absolute = 50MB\n"
      << config;
  epmd_ = spawn({"epmd", "-port", std::to_string(epmd_port_), "-address", "127.0.0.1"}, environment(),
                directory_ + "/epmd.out", false);
  for (int i = 0; i < 200 && !listens(epmd_port_); ++i) std::this_thread::sleep_for(poll);
  start();
}

RabbitServer::~RabbitServer() {
  kill();
  ::kill(epmd_, SIGKILL);
  waitpid(epmd_, nullptr, 0);
  std::error_code ignored;  // a temporary directory left behind harms nobody
  fs::remove_all(directory_, ignored);
}

std::vector<std::string> RabbitServer::environment() const {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry)
    if (std::string_view(*entry).rfind("HOME=", 0) != 0 &&
        std::string_view(*entry).rfind("RABBITMQ_", 0) != 0)
      out.emplace_back(*entry);
  const auto add = [&](const std::string& name, const std::string& value) {
    out.push_back(name + "=" + value);
  };
  add("HOME", directory_);
  add("ERL_EPMD_PORT", std::to_string(epmd_port_));
  add("ERL_EPMD_ADDRESS", "127.0.0.1");
  add("RABBITMQ_NODENAME", node_);
  add("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
  add("RABBITMQ_NODE_PORT", std::to_string(port_));
  add("RABBITMQ_DIST_PORT", std::to_string(dist_port_));
  add("RABBITMQ_MNESIA_BASE", directory_ + "/mnesia");
  add("RABBITMQ_LOG_BASE", directory_ + "/log");
  add("RABBITMQ_PID_FILE", directory_ + "/pid");
  add("RABBITMQ_ENABLED_PLUGINS_FILE", directory_ + "/plugins");
  add("RABBITMQ_CONFIG_FILE", directory_ + "/rabbitmq");
  add("RABBITMQ_CONF_ENV_FILE", directory_ + "/none");
  add("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none");
  return out;
}

void RabbitServer::start() {
  // The wrapper that Debian puts into PATH changes the user; the script itself does not.
  const std::string script = "/usr/lib/rabbitmq/bin/rabbitmq-server";
  pid_ = spawn({fs::exists(script) ? script : "rabbitmq-server"}, environment(), directory_ + "/out", true);
  for (int i = 0; i < 2400; ++i) {
    if (listens(port_) && evaluate("rabbit:is_running().").find("true") != std::string::npos) return;
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("rabbitmq-server ended at once, see " + directory_ + "/out");
    }
    std::this_thread::sleep_for(poll);
  }
  throw std::runtime_error("rabbitmq-server does not answer");
}

std::string RabbitServer::url(const std::string& vhost) const {
  return "amqp://guest:guest@127.0.0.1:" + std::to_string(port_) + "/" + (vhost == "/" ? "/" : vhost);
}

std::string RabbitServer::evaluate(const std::string& code) const {
  const std::string input = directory_ + "/call.in", output = directory_ + "/call.out";
  std::error_code ignored;  // there may be none
  fs::remove(output, ignored);
  std::ofstream(input) << code << "\n";
  const pid_t pid =
      spawn({"erl_call", "-c", "CELERIACTEST", "-n", node_, "-e"}, environment(), output, false, input);
  waitpid(pid, nullptr, 0);
  std::stringstream text;
  text << std::ifstream(output).rdbuf();
  return text.str();
}

void RabbitServer::add_vhost(const std::string& name) const {
  const auto answer = evaluate("rabbit_vhost:add(<<\"" + name +
                               "\">>, <<\"test\">>), "
                               "rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"" +
                               name + "\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>).");
  if (answer.rfind("{ok", 0) != 0) throw std::runtime_error("the vhost cannot be added: " + answer);
}

void RabbitServer::cut_connections() const {
  evaluate("rabbit_networking:close_all_connections(\"cut by the test\").");
}

void RabbitServer::freeze() { ::kill(-pid_, SIGSTOP); }
void RabbitServer::thaw() { ::kill(-pid_, SIGCONT); }

void RabbitServer::kill() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace celeriac::testing
