#include "tasks/engines/redis.hpp"

#include "config/url.hpp"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <charconv>

namespace celeriac {
namespace {

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

}  // namespace

void RedisConnection::Close::operator()(redisContext* connection) const noexcept { redisFree(connection); }

RedisConnection::RedisConnection(const std::string& url, std::chrono::seconds patience)
    : patience_(patience) {
  const auto parsed = parse_url(url);
  if (!parsed || parsed->scheme != "redis") throw std::invalid_argument("must be a redis:// address");
  host_ = parsed->host.empty() ? "127.0.0.1" : parsed->host;
  port_ = parsed->port ? parsed->port : 6379;
  user_ = parsed->user;
  password_ = parsed->password;
  shown_ = parsed->display();
  const std::string path = parsed->path.size() > 1 ? parsed->path.substr(1) : "0";
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), db_);
  if (error != std::errc() || end != path.data() + path.size() || db_ < 0)
    throw std::invalid_argument("'" + path + "' is no database number");
}

RedisConnection::~RedisConnection() = default;
RedisConnection::RedisConnection(RedisConnection&&) noexcept = default;

void RedisConnection::open() {
  const timeval patience{static_cast<time_t>(patience_.count()), 0};
  connection_.reset(redisConnectWithTimeout(host_.c_str(), port_, patience));
  if (!connection_ || connection_->err) {
    const std::string why = connection_ ? connection_->errstr : "out of memory";
    connection_.reset();
    throw RedisAway(shown_ + ": " + why);
  }
  redisSetTimeout(connection_.get(), patience);
  std::vector<std::string> login = {"AUTH"};
  if (!user_.empty()) login.push_back(user_);
  login.push_back(password_);
  try {
    if (!password_.empty()) run(login);
    if (db_ != 0) run({"SELECT", std::to_string(db_)});
  } catch (...) {
    connection_.reset();  // half open: the next command must not go to another database, or as nobody
    throw;
  }
}

RedisReply RedisConnection::run(const std::vector<std::string>& command) {
  if (!connection_) open();
  std::vector<const char*> words;
  std::vector<std::size_t> sizes;
  for (const auto& word : command) {
    words.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
      redisCommandArgv(connection_.get(), static_cast<int>(words.size()), words.data(), sizes.data())));
  if (!reply) {
    const std::string why = connection_->errstr;
    connection_.reset();
    throw RedisAway(shown_ + ": " + why);
  }
  switch (reply->type) {
    case REDIS_REPLY_ERROR:
      throw RedisAway(shown_ + ": " + std::string(reply->str, reply->len));
    case REDIS_REPLY_NIL:
      return {RedisReply::Kind::nil, 0, {}};
    case REDIS_REPLY_INTEGER:
      return {RedisReply::Kind::number, reply->integer, {}};
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {RedisReply::Kind::text, 0, std::string(reply->str, reply->len)};
    default:
      return {};
  }
}

}  // namespace celeriac
