#include "tests/queues/sentinel_cluster.hpp"

#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

namespace celeriac::testing {
namespace {

void await(const char* what, const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error(std::string("sentinels: no ") + what);
}

std::vector<std::string> with_password(std::vector<std::string> words, const std::string& password) {
  if (!password.empty()) words.insert(words.end(), {"--requirepass", password, "--masterauth", password});
  return words;
}

}  // namespace

SentinelCluster::SentinelCluster(const std::string& password, const std::string& sentinel_password)
    : password_(password), sentinel_password_(sentinel_password) {
  first_ = std::make_unique<RedisServer>(with_password({"--repl-diskless-sync-delay", "0"}, password));
  const std::string port = std::to_string(first_->port());
  second_ = std::make_unique<RedisServer>(with_password({"--replicaof", "127.0.0.1", port}, password));
  if (!password.empty()) {
    first_->login("default", password);
    second_->login("default", password);
  }
  await("replica", [&] { return second_->run({"ROLE"}).at(3) == "connected"; });
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> own;
    if (!sentinel_password.empty()) own = {"--requirepass", sentinel_password};
    auto& sentinel = sentinels_.emplace_back(RedisServer::sentinel(own));
    if (!sentinel_password.empty()) sentinel->login("default", sentinel_password);
    sentinel->run({"SENTINEL", "MONITOR", name, "127.0.0.1", port, "2"});
    if (!password.empty()) sentinel->run({"SENTINEL", "SET", name, "auth-pass", password});
    sentinel->run({"SENTINEL", "SET", name, "down-after-milliseconds", "500"});
    sentinel->run({"SENTINEL", "SET", name, "failover-timeout", "3000"});
  }
  await("quorum", [&] {
    for (auto& sentinel : sentinels_)
      if (!sentinel->one({"SENTINEL", "CKQUORUM", name}).starts_with("OK 3")) return false;
    return sentinels_[0]->run({"SENTINEL", "REPLICAS", name}).size() > 1;
  });
}

SentinelCluster::~SentinelCluster() { sentinels_.clear(); }

std::string SentinelCluster::url(int db) const {
  std::string out;
  for (auto& sentinel : sentinels_) {
    out += out.empty() ? "" : ";";
    out += "sentinel://" + (password_.empty() ? "" : ":" + password_ + "@") +
           "127.0.0.1:" + std::to_string(sentinel->port()) + "/" + std::to_string(db);
  }
  return out;
}

void SentinelCluster::await_replica() {
  const auto offset = first_->run({"ROLE"}).at(1);  // of the master
  await("caught-up replica", [&] { return std::stoll(second_->run({"ROLE"}).at(4)) >= std::stoll(offset); });
}

void SentinelCluster::await_promotion() {
  await("promotion", [&] { return second_->run({"ROLE"}).at(0) == "master"; });
}

void SentinelCluster::fail_over() {
  await("failover", [&] { return sentinels_[0]->one({"SENTINEL", "FAILOVER", name}) == "OK"; });
}

}  // namespace celeriac::testing
