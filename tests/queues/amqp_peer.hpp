// The other side of an AMQP conversation, for tests: writes what a server would, notes what a client sends.
#pragma once

#include "queues/amqp/codec.hpp"
#include "queues/amqp/field_table.hpp"

#include <doctest/doctest.h>
#include <cstring>
#include <string>
#include <vector>

namespace celeriac::testing {

class Peer {
 public:
  using ChannelId = amqp::ChannelId;

  std::vector<std::string> methods;  // that the client sent, for people

  std::string take() { return std::exchange(out_, {}); }
  bool read_greeting(const std::string& bytes) { return bytes == std::string("AMQP\0\0\x09\x01", 8); }

  void read(const std::string& bytes) {
    if (bytes.empty()) return;
    auto fed = reader_.feed(bytes, [this](const amqp_frame_t& frame) {
      if (frame.frame_type == AMQP_FRAME_METHOD) note(frame.payload.method);
      // Kept as bytes, to be sent back as they are.
      if (frame.frame_type == AMQP_FRAME_HEADER) {
        const auto& head = frame.payload.properties;
        content_.clear();
        body_.clear();
        writer_properties_ = std::string(amqp::view(head.raw));
        size_ = head.body_size;
      }
      if (frame.frame_type == AMQP_FRAME_BODY) body_ += amqp::view(frame.payload.body_fragment);
      return true;
    });
    REQUIRE(fed);
  }

  void start(const std::string& version = "3.10.8", const std::string& mechanisms = "AMQPLAIN PLAIN") {
    amqp::FieldTable properties;
    REQUIRE(properties.assign({{"product", "RabbitMQ"}, {"version", version}}));
    amqp_connection_start_t start{};
    start.version_minor = 9;
    start.server_properties = properties.table();
    start.mechanisms = amqp::bytes(mechanisms);
    start.locales = amqp::bytes("en_US");
    method(0, AMQP_CONNECTION_START_METHOD, &start);
  }
  void tune(std::uint16_t channels, std::uint32_t frame, std::uint16_t heartbeat) {
    amqp_connection_tune_t tune{channels, frame, heartbeat};
    method(0, AMQP_CONNECTION_TUNE_METHOD, &tune);
    if (frame >= 4096 && !methods.empty()) {
      REQUIRE(reader_.set_frame_max(frame));
      writer_.set_frame_max(frame);
    }
  }
  void open_ok() {
    amqp_connection_open_ok_t ok{};
    method(0, AMQP_CONNECTION_OPEN_OK_METHOD, &ok);
  }
  void connection_close(int code, const std::string& text) {
    amqp_connection_close_t close{};
    close.reply_code = static_cast<std::uint16_t>(code);
    close.reply_text = amqp::bytes(text);
    method(0, AMQP_CONNECTION_CLOSE_METHOD, &close);
  }
  void connection_close_ok() {
    amqp_connection_close_ok_t ok{};
    method(0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
  }
  void blocked(const std::string& why) {
    amqp_connection_blocked_t blocked{amqp::bytes(why)};
    method(0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
  }
  void unblocked() {
    amqp_connection_unblocked_t unblocked{};
    method(0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
  }
  void heartbeat() { writer_.heartbeat(out_); }
  void channel_open_ok(ChannelId id) {
    amqp_channel_open_ok_t ok{};
    method(id, AMQP_CHANNEL_OPEN_OK_METHOD, &ok);
  }
  void channel_close(ChannelId id, int code, const std::string& text) {
    amqp_channel_close_t close{};
    close.reply_code = static_cast<std::uint16_t>(code);
    close.reply_text = amqp::bytes(text);
    method(id, AMQP_CHANNEL_CLOSE_METHOD, &close);
  }
  void channel_close_ok(ChannelId id) {
    amqp_channel_close_ok_t ok{};
    method(id, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
  }
  void qos_ok(ChannelId id) {
    amqp_basic_qos_ok_t ok{};
    method(id, AMQP_BASIC_QOS_OK_METHOD, &ok);
  }
  void flow_ok(ChannelId id) {
    amqp_channel_flow_ok_t ok{1};
    method(id, AMQP_CHANNEL_FLOW_OK_METHOD, &ok);
  }
  void confirm(ChannelId id, std::uint64_t tag, bool multiple, bool taken) {
    amqp_basic_ack_t ack{tag, multiple};
    amqp_basic_nack_t nack{tag, multiple, 0};
    if (taken)
      method(id, AMQP_BASIC_ACK_METHOD, &ack);
    else
      method(id, AMQP_BASIC_NACK_METHOD, &nack);
  }
  void cancel(ChannelId id, const std::string& tag) {
    amqp_basic_cancel_t cancel{amqp::bytes(tag), 1};
    method(id, AMQP_BASIC_CANCEL_METHOD, &cancel);
  }
  void returned(ChannelId id, int code, const std::string& text, const std::string& key,
                const std::string& body) {
    amqp_basic_return_t back{};
    back.reply_code = static_cast<std::uint16_t>(code);
    back.reply_text = amqp::bytes(text);
    back.routing_key = amqp::bytes(key);
    method(id, AMQP_BASIC_RETURN_METHOD, &back);
    const amqp_basic_properties_t properties{};
    REQUIRE(writer_.content(out_, id, properties, body));
  }
  void deliver(ChannelId id, const std::string& consumer, std::uint64_t tag, const std::string& body) {
    deliver_method(id, consumer, tag);
    const amqp_basic_properties_t properties{};
    REQUIRE(writer_.content(out_, id, properties, body));
  }
  // The method and a header that announces `size` bytes.
  void deliver_head(ChannelId id, const std::string& consumer, std::uint64_t tag, std::uint64_t size) {
    deliver_method(id, consumer, tag);
    frame(AMQP_FRAME_HEADER, id, head(size, std::string(2, '\0')));
  }
  void body(ChannelId id, const std::string& part) { frame(AMQP_FRAME_BODY, id, part); }
  // The message that the client published last.
  void deliver_again(ChannelId id, const std::string& consumer, std::uint64_t tag) {
    deliver_method(id, consumer, tag);
    frame(AMQP_FRAME_HEADER, id, head(size_, writer_properties_));
    for (std::size_t at = 0; at < body_.size(); at += 4000)
      frame(AMQP_FRAME_BODY, id, body_.substr(at, 4000));
  }
  void method(ChannelId id, amqp_method_number_t number, void* arguments) {
    REQUIRE(writer_.method(out_, id, number, arguments));
  }

 private:
  void deliver_method(ChannelId id, const std::string& consumer, std::uint64_t tag) {
    amqp_basic_deliver_t deliver{};
    deliver.consumer_tag = amqp::bytes(consumer);
    deliver.delivery_tag = tag;
    method(id, AMQP_BASIC_DELIVER_METHOD, &deliver);
  }
  static std::string head(std::uint64_t size, const std::string& properties) {
    std::string out;
    out += '\0';
    out += static_cast<char>(AMQP_BASIC_CLASS);
    out += std::string(2, '\0');
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
    return out + properties;
  }
  void frame(int type, ChannelId id, const std::string& payload) {
    out_ += static_cast<char>(type);
    out_ += static_cast<char>(id >> 8);
    out_ += static_cast<char>(id & 0xff);
    for (int shift = 24; shift >= 0; shift -= 8) out_ += static_cast<char>(payload.size() >> shift);
    out_ += payload;
    out_ += static_cast<char>(AMQP_FRAME_END);
  }
  void note(const amqp_method_t& method) {
    const auto text = [](amqp_bytes_t bytes) {
      std::string out;
      for (const char c : amqp::view(bytes)) out += c ? std::string(1, c) : "\\0";
      return out;
    };
    switch (method.id) {
      case AMQP_CONNECTION_START_OK_METHOD: {
        const auto& ok = *static_cast<amqp_connection_start_ok_t*>(method.decoded);
        return methods.push_back("start-ok " + text(ok.mechanism) + " " + text(ok.response));
      }
      case AMQP_CONNECTION_TUNE_OK_METHOD: {
        const auto& ok = *static_cast<amqp_connection_tune_ok_t*>(method.decoded);
        return methods.push_back("tune-ok " + std::to_string(ok.channel_max) + " " +
                                 std::to_string(ok.frame_max) + " " + std::to_string(ok.heartbeat));
      }
      case AMQP_CONNECTION_OPEN_METHOD:
        return methods.push_back("open " +
                                 text(static_cast<amqp_connection_open_t*>(method.decoded)->virtual_host));
      case AMQP_CONNECTION_CLOSE_OK_METHOD:
        return methods.push_back("close-ok");
      case AMQP_CHANNEL_CLOSE_OK_METHOD:
        return methods.push_back("channel.close-ok");
      case AMQP_BASIC_PUBLISH_METHOD: {
        const auto& publish = *static_cast<amqp_basic_publish_t*>(method.decoded);
        return methods.push_back("publish " + text(publish.exchange) + " " + text(publish.routing_key) +
                                 (publish.mandatory ? " mandatory" : ""));
      }
      default:
        return methods.push_back(amqp_method_name(method.id) ? amqp_method_name(method.id) : "?");
    }
  }

  amqp::FrameReader reader_;
  amqp::FrameWriter writer_;
  std::string out_, content_, body_, writer_properties_;
  std::uint64_t size_ = 0;
};

}  // namespace celeriac::testing
