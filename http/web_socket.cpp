#include "http/web_socket.hpp"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <deque>
#include <utility>

namespace celeriac::http {
namespace {

namespace beast = boost::beast;
namespace ws = boost::beast::websocket;
using beast::error_code;

constexpr std::size_t most_message = 4096;  // bytes

class BeastSocket final : public Socket, public std::enable_shared_from_this<BeastSocket> {
 public:
  BeastSocket(beast::tcp_stream stream, std::function<void()> on_end)
      : socket_(std::move(stream)), on_end_(std::move(on_end)) {}
  ~BeastSocket() override { on_end_(); }

  void open(const beast::http::request<beast::http::string_body>& request,
            std::vector<std::pair<std::string, std::string>> headers,
            std::function<void(std::shared_ptr<Socket>)> begin) {
    auto times = ws::stream_base::timeout::suggested(beast::role_type::server);
    times.idle_timeout = std::chrono::seconds(60);
    times.keep_alive_pings = true;
    beast::get_lowest_layer(socket_).expires_never();  // the WebSocket keeps its own time
    socket_.set_option(times);
    socket_.set_option(
        ws::stream_base::decorator([headers = std::move(headers)](ws::response_type& response) {
          for (const auto& [name, value] : headers) response.insert(name, value);
        }));
    socket_.read_message_max(most_message);
    socket_.text(true);
    socket_.async_accept(request, [self = shared_from_this(), begin = std::move(begin)](error_code error) {
      if (error) return;
      self->open_ = true;
      begin(self);
    });
  }

  void start(std::function<void(std::string)> on_text, std::function<void()> on_close) override {
    on_text_ = std::move(on_text);
    on_close_ = std::move(on_close);
    read();
  }

  void send(std::string text) override {
    if (!open_) return;
    unread_ += text.size();
    if (unread_ > most_unread) return drop();  // a peer that does not read
    waiting_.push_back(std::move(text));
    if (!writing_) write();
  }

  void close() override {
    if (!std::exchange(open_, false)) return;
    ended();
    socket_.async_close(ws::close_reason(ws::close_code::going_away),
                        [self = shared_from_this()](error_code) {});
  }

 private:
  void read() {
    socket_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error || !self->open_) return self->drop();
      auto text = beast::buffers_to_string(self->buffer_.data());
      self->buffer_.consume(self->buffer_.size());
      const auto on_text = self->on_text_;  // it may close us
      if (on_text) on_text(std::move(text));
      if (self->open_) self->read();
    });
  }

  void write() {
    writing_ = true;
    socket_.async_write(boost::asio::buffer(waiting_.front()),
                        [self = shared_from_this()](error_code error, std::size_t) {
                          self->writing_ = false;
                          if (error) return self->drop();
                          self->unread_ -= self->waiting_.front().size();
                          self->waiting_.pop_front();
                          if (self->open_ && !self->waiting_.empty()) self->write();
                        });
  }

  void drop() {
    error_code ignored;
    beast::get_lowest_layer(socket_).socket().close(ignored);
    if (std::exchange(open_, false)) ended();
  }

  void ended() {
    on_text_ = nullptr;
    if (const auto on_close = std::exchange(on_close_, nullptr)) on_close();
  }

  ws::stream<beast::tcp_stream, false> socket_;  // without compression: it would take 300 KiB each
  std::function<void()> on_end_;
  beast::flat_buffer buffer_;
  std::deque<std::string> waiting_;
  std::size_t unread_ = 0;
  bool open_ = false, writing_ = false;
  std::function<void(std::string)> on_text_;
  std::function<void()> on_close_;
};

}  // namespace

std::shared_ptr<Socket> open_web_socket(beast::tcp_stream stream,
                                        const beast::http::request<beast::http::string_body>& request,
                                        std::vector<std::pair<std::string, std::string>> headers,
                                        std::function<void(std::shared_ptr<Socket>)> begin,
                                        std::function<void()> on_end) {
  auto socket = std::make_shared<BeastSocket>(std::move(stream), std::move(on_end));
  socket->open(request, std::move(headers), std::move(begin));
  return socket;
}

}  // namespace celeriac::http
