#include "queues/amqp/codec.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace celeriac::amqp {
namespace {

constexpr std::size_t overhead = 8;  // of a frame: type, channel, size, end mark
constexpr char frame_end = static_cast<char>(AMQP_FRAME_END);

void put16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}
void put32(std::string& out, std::uint32_t value) {
  put16(out, static_cast<std::uint16_t>(value >> 16));
  put16(out, static_cast<std::uint16_t>(value & 0xffff));
}

void begin_frame(std::string& out, int type, ChannelId channel, std::size_t size) {
  out += static_cast<char>(type);
  put16(out, channel);
  put32(out, static_cast<std::uint32_t>(size));
}

}  // namespace

FrameReader::FrameReader() : state_(amqp_new_connection()) {
  if (!state_) throw std::bad_alloc();
}

Expected<void> FrameReader::set_frame_max(std::uint32_t size) {
  const int status = amqp_tune_connection(state_.get(), 0, static_cast<int>(size), 0);
  if (status != AMQP_STATUS_OK) return unexpected(amqp_error_string2(status));
  return {};
}

Expected<void> FrameReader::feed(std::string_view input,
                                 const std::function<bool(const amqp_frame_t&)>& on_frame) {
  while (!input.empty()) {
    amqp_frame_t frame;
    std::memset(&frame, 0, sizeof frame);
    const amqp_bytes_t bytes{input.size(), const_cast<char*>(input.data())};  // not written to
    const int used = amqp_handle_input(state_.get(), bytes, &frame);
    if (used < 0) return unexpected(std::string("what came is no AMQP frame: ") + amqp_error_string2(used));
    input.remove_prefix(static_cast<std::size_t>(used));
    if (frame.frame_type != 0 && !on_frame(frame)) return {};
    amqp_maybe_release_buffers(state_.get());
  }
  return {};
}

void FrameWriter::greeting(std::string& out) const { out.append("AMQP\0\0\x09\x01", 8); }

void FrameWriter::heartbeat(std::string& out) const {
  begin_frame(out, AMQP_FRAME_HEARTBEAT, 0, 0);
  out += frame_end;
}

Expected<std::string_view> FrameWriter::encode(const std::function<int(amqp_bytes_t)>& encoder,
                                               std::string_view what) {
  const std::size_t most = frame_max_ - overhead - 16;
  while (true) {
    const int size = encoder({scratch_.size(), scratch_.data()});
    if (size >= 0) return std::string_view(scratch_.data(), static_cast<std::size_t>(size));
    if (scratch_.size() >= most)
      return unexpected(std::string(what) + ": larger than the " + std::to_string(frame_max_) +
                        " bytes that fit into one frame, or not encodable (" + amqp_error_string2(size) +
                        ")");
    scratch_.resize(std::min(scratch_.size() * 4, most));
  }
}

Expected<void> FrameWriter::method(std::string& out, ChannelId channel, amqp_method_number_t id,
                                   void* arguments) {
  const char* name = amqp_method_name(id);
  auto encoded = encode([&](amqp_bytes_t room) { return amqp_encode_method(id, arguments, room); },
                        name ? name : "method");
  if (!encoded) return tl::unexpected(encoded.error());
  begin_frame(out, AMQP_FRAME_METHOD, channel, 4 + encoded->size());
  put32(out, id);
  out += *encoded;
  out += frame_end;
  return {};
}

Expected<void> FrameWriter::content(std::string& out, ChannelId channel,
                                    const amqp_basic_properties_t& properties, std::string_view body) {
  auto encoded = encode(
      [&](amqp_bytes_t room) {
        return amqp_encode_properties(AMQP_BASIC_CLASS, const_cast<amqp_basic_properties_t*>(&properties),
                                      room);
      },
      "message headers");
  if (!encoded) return tl::unexpected(encoded.error());
  begin_frame(out, AMQP_FRAME_HEADER, channel, 12 + encoded->size());
  put16(out, AMQP_BASIC_CLASS);
  put16(out, 0);  // weight
  put32(out, static_cast<std::uint32_t>(static_cast<std::uint64_t>(body.size()) >> 32));
  put32(out, static_cast<std::uint32_t>(body.size() & 0xffffffffu));
  out += *encoded;
  out += frame_end;
  const std::size_t piece = frame_max_ - overhead;
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
    const auto part = body.substr(0, piece);
    begin_frame(out, AMQP_FRAME_BODY, channel, part.size());
    out += part;
    out += frame_end;
  }
  return {};
}

}  // namespace celeriac::amqp
