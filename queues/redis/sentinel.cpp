#include "queues/redis/sentinel.hpp"

#include "queues/redis/connection.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace celeriac::redis {
namespace {

class Search : public std::enable_shared_from_this<Search> {
 public:
  Search(boost::asio::io_context& io, SentinelOptions options, std::chrono::milliseconds timeout,
         std::function<void(Expected<Endpoint>)> done)
      : io_(io), options_(std::move(options)), timeout_(timeout), done_(std::move(done)) {}

  void ask_next() {
    if (!done_) return;
    if (next_ == options_.endpoints.size())
      return finish(unexpected("no sentinel knows the master: " + told_));
    ConnectionOptions connection;
    connection.endpoint = options_.endpoints[next_++];
    connection.user = options_.user;
    connection.password = options_.password;
    connection.db = ConnectionOptions::no_database;
    connection.connect_timeout = connection.socket_timeout = timeout_;
    connection.max_retries = -1;
    name_ = connection.endpoint.host + ":" + std::to_string(connection.endpoint.port);
    connection_ = std::make_unique<Connection>(io_, std::move(connection));
    Connection::Handlers handlers;
    handlers.on_up = [this] {
      connection_->send({"SENTINEL", "get-master-addr-by-name", options_.master_name},
                        [this](Reply reply) { answered(reply); });
    };
    handlers.on_down = [this](std::string why) { failed(std::move(why)); };
    handlers.on_failed = [this](std::string why) { failed(std::move(why)); };
    connection_->start(std::move(handlers));
  }

  void cancel() {
    done_ = nullptr;
    connection_.reset();
  }

 private:
  void answered(Reply reply) {
    if (reply.lost()) return;  // on_down says why
    if (reply.is_error()) return failed(std::string(reply.text()));
    if (reply.size() != 2) return failed("has no master called '" + options_.master_name + "'");
    Endpoint master;
    master.host = reply[0].text();
    const auto port = reply[1].integer();
    if (master.host.empty() || port < 1 || port > 65535) return failed("gave an address that is none");
    master.port = static_cast<std::uint16_t>(port);
    finish(std::move(master));
  }

  void failed(std::string why) {
    told_ += (told_.empty() ? "" : "; ") + name_ + ": " + std::move(why);
    // Later: the connection that tells us is still at work.
    boost::asio::post(io_, [self = shared_from_this()] { self->ask_next(); });
  }

  void finish(Expected<Endpoint> found) {
    const auto self = shared_from_this();
    boost::asio::post(io_, [self, found = std::move(found)] {
      self->connection_.reset();
      if (auto done = std::exchange(self->done_, nullptr)) done(found);
    });
  }

  boost::asio::io_context& io_;
  SentinelOptions options_;
  std::chrono::milliseconds timeout_;
  std::function<void(Expected<Endpoint>)> done_;
  std::size_t next_ = 0;
  std::string name_, told_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace

std::function<void()> find_master(boost::asio::io_context& io, SentinelOptions options,
                                  std::chrono::milliseconds timeout,
                                  std::function<void(Expected<Endpoint>)> done) {
  auto search = std::make_shared<Search>(io, std::move(options), timeout, std::move(done));
  search->ask_next();
  return [search] { search->cancel(); };
}

}  // namespace celeriac::redis
