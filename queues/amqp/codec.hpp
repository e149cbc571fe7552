// AMQP 0-9-1 frames to bytes and back. rabbitmq-c knows the layout of methods, properties and tables; it
// never touches a socket here.
#pragma once

#include "protocol/error.hpp"

#include <amqp.h>
#include <amqp_framing.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::amqp {

using ChannelId = std::uint16_t;
constexpr int greeting_frame = 'A';  // rabbitmq-c's own mark for a protocol header

// Reads frames. What a frame points to is valid until the handler returns.
class FrameReader {
 public:
  FrameReader();

  // No longer frame is accepted, bytes. Until then 64 KiB.
  Expected<void> set_frame_max(std::uint32_t size);

  // Hands over every frame that is complete. The handler returns false to stop early. The error says what is
  // no AMQP; nothing may be fed afterwards. A greeting of another protocol version is a frame of
  // type greeting_frame.
  Expected<void> feed(std::string_view bytes, const std::function<bool(const amqp_frame_t&)>& on_frame);

 private:
  struct Free {
    void operator()(amqp_connection_state_t_* state) const noexcept { amqp_destroy_connection(state); }
  };
  std::unique_ptr<amqp_connection_state_t_, Free> state_;
};

// Appends frames to a buffer.
class FrameWriter {
 public:
  void set_frame_max(std::uint32_t size) { frame_max_ = size; }

  void greeting(std::string& out) const;
  void heartbeat(std::string& out) const;
  // `arguments` is rabbitmq-c's struct of this method. Fails when it does not fit into a frame.
  Expected<void> method(std::string& out, ChannelId channel, amqp_method_number_t id, void* arguments);
  // The header frame and the body frames of a message.
  Expected<void> content(std::string& out, ChannelId channel, const amqp_basic_properties_t& properties,
                         std::string_view body);

 private:
  // Encodes into scratch_, which grows up to a frame.
  Expected<std::string_view> encode(const std::function<int(amqp_bytes_t)>& encoder, std::string_view what);

  std::uint32_t frame_max_ = 65536;
  std::vector<char> scratch_ = std::vector<char>(4096);
};

}  // namespace celeriac::amqp
