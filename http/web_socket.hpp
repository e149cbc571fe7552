// A connection that became a WebSocket (Boost.Beast).
#pragma once

#include "http/exchange.hpp"

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>

namespace celeriac::http {

// The protocol that both sides speak; a browser names it, and may bring its token beside it:
// "celeriac, bearer.TOKEN".
inline constexpr const char* socket_protocol = "celeriac";

// Answers the handshake; `begin` is called when the WebSocket is open. Messages from the peer are bounded by
// 4 KiB, what it has not read by 1 MiB; a silent peer is asked whether it is there, and dropped after a
// minute. `on_end` is called when it is over, opened or not.
std::shared_ptr<Socket> open_web_socket(
    boost::beast::tcp_stream stream,
    const boost::beast::http::request<boost::beast::http::string_body>& request,
    std::vector<std::pair<std::string, std::string>> headers,
    std::function<void(std::shared_ptr<Socket>)> begin, std::function<void()> on_end);

}  // namespace celeriac::http
