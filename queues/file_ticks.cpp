#include "queues/file_ticks.hpp"

#include "protocol/json.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace celeriac {
namespace {

constexpr std::size_t most_bytes = 64u << 20;
constexpr int format = 1;
constexpr std::chrono::milliseconds lock_interval{500};

class FileTicks final : public TickLedger {
 public:
  FileTicks(boost::asio::io_context& io, std::unique_ptr<Broker> broker, std::string path)
      : io_(io), broker_(std::move(broker)), path_(std::move(path)), timer_(io) {}
  ~FileTicks() override {
    if (lock_ >= 0) ::close(lock_);
  }

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    on_state_ = std::move(on_state);
    Broker::Handlers handlers;
    handlers.on_deliveries = [](std::vector<Delivery>&&) {};
    handlers.on_state = [this](BrokerState state, std::string what) {
      connected_ = state == BrokerState::connected;
      if (!connected_ || held_) on_state_(state, std::move(what));
    };
    broker_->start(std::move(handlers));
    take_lock();
  }

  void read(OnRecords done) override { answer(load(), std::move(done)); }

  void enroll(std::vector<std::string> names, TickRecord fresh, OnRecords done) override {
    auto records = load();
    if (!records) return answer(std::move(records), std::move(done));
    for (const auto& name : names) records->emplace(name, fresh);
    if (auto saved = save(*records); !saved) return answer(tl::unexpected(saved.error()), std::move(done));
    answer(std::move(records), std::move(done));
  }

  void commit(std::string name, TickRecord seen, TickRecord next, Message message,
              std::function<void(Expected<bool>)> done) override {
    auto records = load();
    const bool same = records && records->count(name) > 0 && records->at(name).text() == seen.text();
    if (!same) {
      Expected<bool> other = records ? Expected<bool>(false) : tl::unexpected(records.error());
      return boost::asio::post(io_, [done = std::move(done), other] { done(other); });
    }
    const auto sent = [this, name = std::move(name), next = std::move(next),
                       done = std::move(done)](Status status) {
      if (!status.ok()) return done(unexpected(status.what));
      auto now = load();
      if (!now) return done(tl::unexpected(now.error()));
      (*now)[name] = next;
      if (auto saved = save(*now); !saved) return done(tl::unexpected(saved.error()));
      done(true);
    };
    broker_->publish(std::move(message), sent);
  }

  void stop(std::function<void()> done) override {
    timer_.cancel();
    broker_->stop([done = std::move(done)](std::size_t) { done(); });
  }

  std::string display() const override { return path_; }

 private:
  tl::unexpected<Error> fault(const std::string& what) const {
    return unexpected("schedule file " + path_ + ": " + what);
  }

  void answer(Expected<TickRecords> records, OnRecords done) {
    boost::asio::post(io_, [records = std::move(records), done = std::move(done)] { done(records); });
  }

  void take_lock() {
    const std::string name = path_ + ".lock";
    if (lock_ < 0) lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) {
      const std::string why = name + ": " + std::strerror(errno);
      return boost::asio::post(io_, [this, why] { on_state_(BrokerState::failed, why); });
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) {
      held_ = true;
      if (connected_) on_state_(BrokerState::connected, {});
      return;
    }
    if (!std::exchange(told_, true)) {
      boost::asio::post(io_, [this] {
        on_state_(BrokerState::connecting, "another beat holds " + path_ + "; standing by");
      });
    }
    timer_.expires_after(lock_interval);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) take_lock();
    });
  }

  Expected<TickRecords> load() const {
    std::ifstream in(path_, std::ios::binary);
    if (!in) {
      if (errno == ENOENT) return TickRecords{};
      return fault(std::strerror(errno));
    }
    std::ostringstream text;
    text << in.rdbuf();
    JsonLimits limits;
    limits.max_bytes = most_bytes;
    limits.max_depth = 8;
    const auto document = parse_json(text.str(), limits);
    if (!document || !document->is_object() || document->value("format", Json()) != Json(format) ||
        !document->contains("entries") || !document->at("entries").is_object()) {
      return fault("is no schedule file of celeriac (Celery's own cannot be read); name another with -s");
    }
    TickRecords records;
    for (const auto& [name, value] : document->at("entries").items()) {
      auto record = value.is_string() ? TickRecord::read(value.get_ref<const std::string&>())
                                      : Expected<TickRecord>(unexpected("expects text"));
      if (!record) return fault("entry " + name + ": " + record.error().what);
      records.emplace(name, std::move(*record));
    }
    return records;
  }

  Expected<void> save(const TickRecords& records) const {
    Json entries = Json::object();
    for (const auto& [name, record] : records) entries[name] = record.text();
    const std::string text = dump_json({{"format", format}, {"entries", std::move(entries)}}) + "\n";
    const std::string fresh = path_ + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return fault(std::strerror(errno));
    std::size_t at = 0;
    while (at < text.size()) {
      const ssize_t wrote = ::write(fd, text.data() + at, text.size() - at);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) break;
      at += static_cast<std::size_t>(wrote);
    }
    const bool written = at == text.size() && ::fsync(fd) == 0;
    const int error = errno;
    ::close(fd);
    if (!written) return fault(std::strerror(error));
    if (::rename(fresh.c_str(), path_.c_str()) != 0) return fault(std::strerror(errno));
    return {};
  }

  boost::asio::io_context& io_;
  std::unique_ptr<Broker> broker_;
  const std::string path_;
  boost::asio::steady_timer timer_;
  std::function<void(BrokerState, std::string)> on_state_;
  int lock_ = -1;
  bool held_ = false, connected_ = false, told_ = false;
};

}  // namespace

std::unique_ptr<TickLedger> make_file_ticks(boost::asio::io_context& io, std::unique_ptr<Broker> broker,
                                            std::string path) {
  return std::make_unique<FileTicks>(io, std::move(broker), std::move(path));
}

}  // namespace celeriac
