// A request and its answer, free of the library that carried them.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace celeriac::http {

// Bytes that wait for a listener, to an event stream or a WebSocket; one that reads more slowly is dropped.
inline constexpr std::size_t most_unread = 1u << 20;

// Who asks, as far as it was proven.
struct Caller {
  std::string user_id;             // UUID; empty: nobody
  std::string role;                // "user" or "admin"
  std::vector<std::string> tasks;  // names this caller may send, "*" is any; an administrator may send all
  std::string key_id;              // of the API key that was shown; empty: a token
  std::optional<int> rate_limit;   // requests an hour, of the key
  bool known() const { return !user_id.empty(); }
  bool admin() const { return role == "admin"; }
};

struct Request {
  std::string method, path, query;             // path is decoded, query is not
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string body_file;  // a spooled upload instead of `body`: a path that holds until the answer
  std::string remote;     // the peer's address
  std::string id;         // X-Request-Id: the caller's when it is harmless, else ours
  Caller caller;
  std::string form_token;                     // of pages: what their forms bring back (pages/forms.hpp)
  std::map<std::string, std::string> params;  // of the route: {name}

  const std::string& header(const std::string& name) const;
  std::map<std::string, std::string> query_values() const;  // the first of each name
};

// The body of an answer that goes on: pieces leave as they come. One loop.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void send(std::string piece) = 0;  // nothing happens once it is closed
  virtual void end() = 0;
  virtual bool closed() const = 0;                           // ended, or the reader has gone
  virtual void when_closed(std::function<void()> then) = 0;  // once; at once when it is closed already
};

// A WebSocket: text in both directions. One loop.
class Socket {
 public:
  virtual ~Socket() = default;
  virtual void send(std::string text) = 0;  // nothing happens once it is closed
  virtual void close() = 0;
  // `on_text` gets what comes, in order; `on_close` is called once.
  virtual void start(std::function<void(std::string)> on_text, std::function<void()> on_close) = 0;
};

struct Response {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  std::string content_type = "application/json";
  // Instead of `body`: called once the header has been written.
  std::function<void(std::shared_ptr<Stream>)> stream = {};
  // Instead of an answer: the connection becomes a WebSocket, when the request asked for one.
  std::function<void(std::shared_ptr<Socket>)> socket = {};

  Response& with(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

using Respond = std::function<void(Response)>;

Response json(unsigned status, const Json& body);
// RFC 9457: application/problem+json. `type` is a short name, "unknown-task".
Response problem(unsigned status, std::string_view type, std::string_view title,
                 std::string_view detail = {});

std::string sha256_hex(std::string_view bytes);
// Of a body: "9f2c...", with its quotes.
std::string entity_tag(std::string_view body);

// A JSON body, {} when there is none; a Response says why it is no JSON.
tl::expected<Json, Response> json_body(const Request& request);

// Undoes %XX; nothing when the text is malformed or holds a NUL.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace celeriac::http
