#include "queues/bindings.hpp"

#include "queues/redis/connection.hpp"
#include "queues/redis/keys.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

namespace celeriac {
namespace {

constexpr std::size_t most_bindings = 100000;

// Reads one set after the other, behind a SCAN for their keys.
class BindingReader {
 public:
  BindingReader(boost::asio::io_context& io, redis::ConnectionOptions options, const RedisOptions& names)
      : connection_(io, std::move(options)), keys_(names), prefix_(keys_.binding("")) {}

  void start(std::function<void(Expected<std::vector<Binding>>)> done) {
    done_ = std::move(done);
    redis::Connection::Handlers handlers;
    handlers.on_up = [this] { scan("0"); };
    handlers.on_down = [this](const std::string& why) { finish(unexpected(why)); };
    handlers.on_failed = [this](const std::string& why) { finish(unexpected(why)); };
    connection_.start(std::move(handlers));
  }

 private:
  void finish(Expected<std::vector<Binding>> answer) {
    if (auto done = std::exchange(done_, nullptr)) done(std::move(answer));
  }

  void scan(const std::string& cursor) {
    std::string pattern = prefix_ + "*";
    connection_.send({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000", "TYPE", "set"},
                     [this](redis::Reply reply) {
                       if (reply.size() != 2) return finish(unexpected(reply.problem()));
                       for (std::size_t i = 0; i < reply[1].size(); ++i)
                         exchanges_.emplace_back(reply[1][i].text().substr(prefix_.size()));
                       if (reply[0].text() != "0" && exchanges_.size() < most_bindings)
                         return scan(std::string(reply[0].text()));
                       // SCAN may name a key twice.
                       std::sort(exchanges_.begin(), exchanges_.end());
                       exchanges_.erase(std::unique(exchanges_.begin(), exchanges_.end()), exchanges_.end());
                       read_next();
                     });
  }

  void read_next() {
    if (exchanges_.empty() || bindings_.size() >= most_bindings) {
      std::sort(bindings_.begin(), bindings_.end());
      return finish(std::move(bindings_));
    }
    const std::string exchange = std::move(exchanges_.back());
    exchanges_.pop_back();
    connection_.send({"SMEMBERS", keys_.binding(exchange)}, [this, exchange](redis::Reply reply) {
      if (!reply.is_array()) return finish(unexpected(reply.problem()));
      for (std::size_t i = 0; i < reply.size(); ++i) add(exchange, reply[i].text());
      read_next();
    });
  }

  // <routing key> SEP <pattern> SEP <queue>
  void add(const std::string& exchange, std::string_view member) {
    const std::string& separator = keys_.separator();
    const auto first = member.find(separator), last = member.rfind(separator);
    if (first == member.npos || last == first) return;  // not written by kombu, and of no effect
    bindings_.push_back({std::string(member.substr(last + separator.size())), exchange,
                         std::string(member.substr(0, first))});
  }

  redis::Connection connection_;
  const redis::Keys keys_;
  const std::string prefix_;
  std::function<void(Expected<std::vector<Binding>>)> done_;
  std::vector<std::string> exchanges_;
  std::vector<Binding> bindings_;
};

}  // namespace

bool Binding::operator<(const Binding& other) const {
  return std::tie(queue, exchange, routing_key) < std::tie(other.queue, other.exchange, other.routing_key);
}

Expected<std::vector<Binding>> read_bindings(const Settings& settings) {
  auto url = parse_url(settings.broker_url);
  if (!url) return tl::unexpected(url.error());
  if (!url->scheme.starts_with("redis")) {
    return unexpected("the bindings of " + url->display() +
                      " are not known here: ask its management interface");
  }
  auto options = redis::connection_options(*url, settings.broker_transport_options, settings.broker_use_ssl);
  if (!options) return tl::unexpected(options.error());
  options->max_retries = -1;
  boost::asio::io_context io{1};
  std::optional<Expected<std::vector<Binding>>> answer;
  BindingReader reader(io, std::move(*options), settings.broker_transport_options);
  reader.start([&](Expected<std::vector<Binding>> bindings) {
    answer = std::move(bindings);
    io.stop();
  });
  const auto limit = std::chrono::duration<double>(settings.broker_connection_timeout + 10);
  io.run_for(std::chrono::duration_cast<std::chrono::milliseconds>(limit));
  if (!answer) return unexpected("cannot read the bindings of " + url->display() + ": no answer in time");
  if (!*answer)
    return unexpected("cannot read the bindings of " + url->display() + ": " + answer->error().what);
  return std::move(*answer);
}

}  // namespace celeriac
