#include "tests/queues/redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace celeriac::testing {
namespace {

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

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

void flatten(const redisReply* reply, std::vector<std::string>& out) {
  switch (reply->type) {
    case REDIS_REPLY_ARRAY:
      for (std::size_t i = 0; i < reply->elements; ++i) flatten(reply->element[i], out);
      break;
    case REDIS_REPLY_INTEGER:
      out.push_back(std::to_string(reply->integer));
      break;
    case REDIS_REPLY_NIL:
      out.emplace_back("(nil)");
      break;
    default:
      out.emplace_back(reply->str, reply->len);
  }
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> arguments) : RedisServer(std::move(arguments), false) {}

std::unique_ptr<RedisServer> RedisServer::sentinel(std::vector<std::string> arguments) {
  return std::unique_ptr<RedisServer>(new RedisServer(std::move(arguments), true));
}

RedisServer::RedisServer(std::vector<std::string> arguments, bool sentinel)
    : sentinel_(sentinel), arguments_(std::move(arguments)), port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "celeriac-redis-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  socket_ = directory_ + "/redis.sock";
  for (auto& argument : arguments_)
    if (auto at = argument.find("{dir}"); at != argument.npos) argument.replace(at, 5, directory_);
  start();
}

RedisServer::~RedisServer() {
  kill();
  std::error_code ignored;  // a temporary directory left behind harms nobody
  std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::start() {
  std::vector<std::string> words = {"redis-server",
                                    "--port",
                                    std::to_string(port_),
                                    "--bind",
                                    "127.0.0.1",
                                    "--unixsocket",
                                    socket_,
                                    "--dir",
                                    directory_,
                                    "--save",
                                    "",
                                    "--daemonize",
                                    "no",
                                    "--appendonly",
                                    "no",
                                    "--logfile",
                                    directory_ + "/log"};
  if (sentinel_) {  // keeps what it learns in this file
    const std::string file = directory_ + "/sentinel.conf";
    std::ofstream(file, std::ios::app);
    words.insert(words.begin() + 1, {file, "--sentinel"});
  }
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (posix_spawnp(&pid_, "redis-server", nullptr, nullptr, argv.data(), environ) != 0)
    throw std::runtime_error("redis-server cannot be started");
  wait_until_ready();
}

void RedisServer::wait_until_ready() {
  for (int i = 0; i < 1000; ++i) {
    std::unique_ptr<redisContext, FreeContext> context(redisConnectUnix(socket_.c_str()));
    if (context && !context->err) {
      std::unique_ptr<redisReply, FreeReply> reply(
          static_cast<redisReply*>(redisCommand(context.get(), "PING")));
      if (reply && std::string_view(reply->str, reply->len).substr(0, 7) != "LOADING") return;
    }
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("redis-server ended at once, see " + directory_ + "/log");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("redis-server does not answer");
}

std::string RedisServer::url(int db) const {
  return "redis://127.0.0.1:" + std::to_string(port_) + "/" + std::to_string(db);
}

std::string RedisServer::socket_url(int db) const {
  return "redis+socket://" + socket_ + "?virtual_host=" + std::to_string(db);
}

std::vector<std::string> RedisServer::run(std::initializer_list<std::string_view> command) const {
  std::unique_ptr<redisContext, FreeContext> context(redisConnectUnix(socket_.c_str()));
  if (!context || context->err) throw std::runtime_error("cannot connect to the test's redis-server");
  auto call = [&](std::initializer_list<std::string_view> words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (auto word : words) texts.push_back(word.data()), sizes.push_back(word.size());
    return std::unique_ptr<redisReply, FreeReply>(static_cast<redisReply*>(
        redisCommandArgv(context.get(), static_cast<int>(texts.size()), texts.data(), sizes.data())));
  };
  if (!password_.empty()) call({"AUTH", user_, password_});
  auto reply = call(command);
  if (!reply) throw std::runtime_error("the test's redis-server did not answer");
  std::vector<std::string> out;
  flatten(reply.get(), out);
  return out;
}

std::string RedisServer::one(std::initializer_list<std::string_view> command) const {
  auto all = run(command);
  return all.empty() ? std::string() : all.front();
}

long long RedisServer::number(std::initializer_list<std::string_view> command) const {
  return std::stoll(one(command));
}

void RedisServer::freeze() { ::kill(pid_, SIGSTOP); }
void RedisServer::thaw() { ::kill(pid_, SIGCONT); }

void RedisServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::login(std::string user, std::string password) {
  user_ = std::move(user);
  password_ = std::move(password);
}

}  // namespace celeriac::testing
