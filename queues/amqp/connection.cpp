#include "queues/amqp/connection.hpp"

#include "queues/amqp/reply_codes.hpp"

#include <boost/asio/post.hpp>
#include <random>
#include <vector>

namespace celeriac::amqp {
namespace {

constexpr std::size_t read_size = 128u << 10;  // bytes
constexpr std::chrono::milliseconds goodbye_patience{1000};

using SteadyClock = std::chrono::steady_clock;

}  // namespace

class Connection::Talk : public std::enable_shared_from_this<Talk> {
 public:
  Talk(Connection& owner, std::shared_ptr<Stream> stream, const SessionOptions& options)
      : owner_(&owner),
        io_(owner.io_),
        stream_(std::move(stream)),
        login_(io_),
        heartbeat_(io_),
        buffer_(read_size),
        session_(options, events()) {}

  void begin(std::chrono::milliseconds patience) {
    login_.after(patience, [this] { session_.lost("timed out while logging in"); });
    session_.start(SteadyClock::now());
    write();
    read();
  }

  Session& session() { return session_; }

  void write_soon() {
    if (std::exchange(write_posted_, true)) return;
    boost::asio::post(io_, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self) return;
      self->write_posted_ = false;
      self->write();
    });
  }

  // No word to the owner any more.
  void abandon() {
    owner_ = nullptr;
    login_.cancel();
    heartbeat_.cancel();
    stream_->close();
  }

 private:
  Session::Events events() {
    Session::Events events;
    events.on_open = [this] {
      login_.cancel();
      was_open_ = true;
      beat();
      if (!owner_) return;
      owner_->backoff_.succeeded();
      owner_->refusals_ = 0;
      if (auto up = owner_->handlers_.on_up) up();  // a copy: it may close us
    };
    events.on_closed = [this](const Session::Closed& closed) { ended(closed); };
    events.on_blocked = [this](std::string why) {
      if (owner_ && owner_->handlers_.on_blocked) owner_->handlers_.on_blocked(std::move(why));
    };
    return events;
  }

  void beat() {
    const auto interval = session_.heartbeat_interval();
    if (interval.count() == 0) return;
    heartbeat_.after(interval, [this] {
      auto self = shared_from_this();
      session_.tick(SteadyClock::now());
      if (session_.state() == Session::State::closed) return;
      write();
      beat();
    });
  }

  void read() {
    stream_->read_some(buffer_.data(), buffer_.size(),
                       [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
                         if (error) return self->session_.lost(error.message());
                         self->session_.received({self->buffer_.data(), size}, SteadyClock::now());
                         self->write();
                         if (self->session_.state() != Session::State::closed) self->read();
                       });
  }

  void write() {
    if (writing_ || session_.output_size() == 0) return;
    writing_ = true;
    outgoing_ = session_.take_output();
    stream_->write_all(
        outgoing_.data(), outgoing_.size(),
        [self = shared_from_this()](boost::system::error_code error, std::size_t) {
          self->writing_ = false;
          if (error) return self->session_.lost(error.message());
          if (self->session_.state() == Session::State::closed && self->session_.output_size() == 0)
            return self->stream_->close();
          self->write();
        });
  }

  void ended(const Session::Closed& closed) {
    login_.cancel();
    heartbeat_.cancel();
    write();  // our close-ok
    if (!writing_)
      stream_->close();  // otherwise after the write, or when the peer hangs up
    else
      close_later();
    // Later: the session is still at work further up.
    boost::asio::post(io_, [closed, was_open = was_open_, self = shared_from_this()] {
      if (self->owner_ && self->owner_->talk_ == self) self->owner_->attempt_ended(closed, was_open);
    });
  }

  void close_later() {
    login_.after(goodbye_patience, [this] { stream_->close(); });  // the write under way keeps us
  }

  Connection* owner_;
  boost::asio::io_context& io_;
  std::shared_ptr<Stream> stream_;
  Timer login_, heartbeat_;
  std::vector<char> buffer_;
  std::string outgoing_;
  bool writing_ = false, write_posted_ = false, was_open_ = false;
  Session session_;
};

Connection::Connection(boost::asio::io_context& io, std::vector<Server> servers, int max_retries)
    : io_(io),
      servers_(std::move(servers)),
      backoff_({.max_retries = max_retries}, std::random_device{}()),
      timer_(io) {}

Connection::~Connection() { close(); }

void Connection::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  started_ = true;
  connect();
}

bool Connection::ready() const { return talk_ && talk_->session().is_open(); }

Session& Connection::session() {
  talk_->write_soon();
  return talk_->session();
}

void Connection::connect() {
  const Server& server = servers_[current_];
  give_up_connecting_ = connect_stream(io_, server.endpoint, server.connect_timeout,
                                       [this](std::shared_ptr<Stream> stream, std::string error) {
                                         give_up_connecting_ = nullptr;
                                         if (!stream)
                                           return attempt_ended({0, std::move(error), false}, false);
                                         const Server& to = servers_[current_];
                                         talk_ = std::make_shared<Talk>(*this, std::move(stream), to.session);
                                         talk_->begin(to.connect_timeout);
                                       });
}

void Connection::attempt_ended(const Session::Closed& closed, bool was_open) {
  talk_.reset();
  if (ended_) return std::exchange(ended_, nullptr)();
  std::string why = closed.text;
  if (closed.code != 0) why += " (AMQP code " + std::to_string(closed.code) + ")";
  const bool refused = !was_open && (closed.code == access_refused || closed.code == not_allowed);
  if (refused && ++refusals_ >= servers_.size()) return fail(std::move(why));
  const bool another = servers_.size() > 1;
  current_ = (current_ + 1) % servers_.size();
  const auto pause = backoff_.next();
  if (!pause) return fail(std::move(why));
  // The other servers at once; only after a whole round do the pauses count.
  const bool round_over = !another || static_cast<std::size_t>(backoff_.failures()) % servers_.size() == 0;
  timer_.after(round_over ? *pause : std::chrono::milliseconds(0), [this] { connect(); });
  if (auto down = handlers_.on_down) down(std::move(why));  // a copy: it may close us
}

void Connection::fail(std::string why) {
  if (auto failed = handlers_.on_failed) failed(std::move(why));
}

void Connection::end(std::function<void()> done) {
  handlers_ = {};
  if (!ready()) {
    close();
    boost::asio::post(io_, std::move(done));
    return;
  }
  ended_ = std::move(done);
  session().close();
  timer_.after(goodbye_patience, [this] {
    auto ended = std::exchange(ended_, nullptr);
    close();
    if (ended) ended();
  });
}

void Connection::close() {
  handlers_ = {};
  timer_.cancel();
  if (give_up_connecting_) std::exchange(give_up_connecting_, nullptr)();
  if (talk_) talk_->abandon();
  talk_.reset();
  ended_ = nullptr;
}

}  // namespace celeriac::amqp
