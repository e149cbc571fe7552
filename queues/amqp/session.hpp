// One AMQP 0-9-1 conversation as a state machine without sockets and clocks: bytes and the time go in, bytes
// and events come out. It logs in, keeps heartbeats, numbers channels, pairs each answer with its question
// and puts messages together from their frames, one per channel at a time, however the channels interleave.
//
// Questions may be asked without waiting; those of one kind are answered in order. When a channel or the
// connection ends, the answers still due on it say so through on_channel_closed or on_closed, not one by one.
//
// Single-threaded. Events may call back into the session; they must not destroy it.
#pragma once

#include "protocol/message.hpp"
#include "queues/amqp/codec.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::amqp {

struct SessionOptions {
  std::string user = "guest", password = "guest", vhost = "/";
  std::string login_method = "PLAIN";  // PLAIN, AMQPLAIN, EXTERNAL
  std::string connection_name;         // shown by the server's tools
  unsigned heartbeat = 60;             // seconds; 0: none. The server's own is used when it is smaller
  std::uint32_t frame_max = 131072;
  std::uint16_t channel_max = 2047;
};

struct Incoming {  // basic.deliver
  std::string consumer_tag;
  std::uint64_t tag = 0;
  Message message;    // with exchange, routing key and the redelivered flag
  std::string error;  // why the headers cannot be read; the message then has none
};
struct Returned {  // basic.return: nobody took a mandatory message
  int code = 0;
  std::string text, exchange, routing_key;
  Message message;
};

// What the server does on a channel of its own accord.
class ChannelEvents {
 public:
  virtual ~ChannelEvents() = default;
  virtual void on_delivery(Incoming&&) {}
  virtual void on_returned(Returned&&) {}
  virtual void on_confirmed(std::uint64_t /*tag*/, bool /*multiple*/, bool /*taken*/) {}
  virtual void on_consumer_cancelled(const std::string& /*consumer_tag*/) {}
  // The server closed this channel (404, 405, 406, ...): it is gone, answers due on it will not come.
  virtual void on_channel_closed(int code, const std::string& text) = 0;
};

class Session {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State { fresh, greeting, tuning, opening, open, closing, closed };
  struct Closed {
    int code = 0;        // AMQP's reply code; 0 when it was not the server that ended it
    std::string text;    // for people
    bool by_us = false;  // close() was asked for
  };
  struct Events {
    std::function<void()> on_open;
    std::function<void(const Closed&)> on_closed;  // once; every channel is gone
    std::function<void(std::string)> on_blocked;   // the server takes no messages; empty: it does again
  };
  using Answer = std::function<void(const amqp_method_t&)>;

  Session(SessionOptions options, Events events);

  void start(Time now);
  void received(std::string_view bytes, Time now);
  // Call every heartbeat_interval() once open: sends heartbeats, notices a silent peer.
  void tick(Time now);
  std::chrono::milliseconds heartbeat_interval() const;  // 0: no heartbeats
  // Says goodbye; on_closed follows with the server's answer.
  void close();
  // The transport is gone.
  void lost(const std::string& why);

  State state() const { return state_; }
  bool is_open() const { return state_ == State::open; }
  bool blocked() const { return blocked_; }
  const std::string& server_version() const { return version_; }  // "3.10.8"; empty before the greeting
  int server_major() const;                                       // 0 when it is not known

  // What is to be written, handed over.
  std::string take_output();
  std::size_t output_size() const { return out_.size(); }

  // Empty when every channel number is in use. `events` lives as long as the channel.
  std::optional<ChannelId> open_channel(ChannelEvents& events);
  void close_channel(ChannelId channel);
  bool has_channel(ChannelId channel) const;

  // Asks; `answer` gets the method `expected`. On a channel that is gone nothing happens. A basic.get expects
  // basic.get-empty; when there is a message it comes as a delivery without a consumer tag instead.
  void call(ChannelId channel, amqp_method_number_t method, void* arguments, amqp_method_number_t expected,
            Answer answer);
  // A method without an answer.
  void send(ChannelId channel, amqp_method_number_t method, void* arguments);
  // Fails, without sending anything, when the message cannot be expressed.
  Expected<void> publish(ChannelId channel, std::string_view exchange, std::string_view routing_key,
                         bool mandatory, const Message& message);

 private:
  struct Content {  // a message that is being put together
    bool returned = false;
    Incoming incoming;
    Returned back;
    bool has_header = false;
    std::uint64_t missing = 0;  // bytes of the body
  };
  struct Question {
    amqp_method_number_t expected;
    Answer answer;
  };
  struct Channel {
    ChannelEvents* events = nullptr;
    bool closing = false;
    std::deque<Question> questions;
    std::optional<Content> content;
  };

  bool on_frame(const amqp_frame_t& frame);
  void on_connection_method(const amqp_method_t& method);
  void on_channel_method(ChannelId id, Channel& channel, const amqp_method_t& method);
  void on_header(ChannelId id, Channel& channel, const amqp_frame_t& frame);
  void on_body(ChannelId id, Channel& channel, std::string_view part);
  void complete(Channel& channel);
  void on_start(const amqp_connection_start_t& start);
  void on_tune(const amqp_connection_tune_t& tune);
  void begin_content(ChannelId id, Channel& channel, Content content);
  // The peer breaks the protocol: tells it with `code` and ends.
  void fail(int code, const std::string& text);
  void end(Closed closed);
  void write(ChannelId channel, amqp_method_number_t method, void* arguments);

  SessionOptions options_;
  Events events_;
  State state_ = State::fresh;
  FrameReader reader_;
  FrameWriter writer_;
  std::string out_;
  std::string version_;
  std::string problem_;  // why we close
  std::map<ChannelId, Channel> channels_;
  ChannelId next_channel_ = 1;
  std::uint16_t channel_max_ = 2047;
  unsigned heartbeat_ = 0;
  bool blocked_ = false;
  bool heard_ = false, spoke_ = false;  // since the last tick
  int silent_ticks_ = 0;
};

}  // namespace celeriac::amqp
