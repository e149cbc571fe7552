// One client for every server this application talks to: HTTP(S) and, for mail, IMAP(S) and SMTP(S).
//
// libcurl lives in a module (celeriac_http.so) that is loaded by the first call, so that a
// process which talks to nobody pays nothing for it. One thread per process drives all
// transfers with curl's multi interface; hundreds run at once. Nothing is ever redirected,
// since a redirect would carry the credentials along. No error text holds a header, a query
// or a password.
#pragma once

#include "protocol/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace celeriac {

// What smtp:// and smtps:// carry. The request's headers are the mail's, its body the text, in UTF-8.
struct OutgoingMail {
  std::string from;                        // addresses without names
  std::vector<std::string> to;             // all are taken, or none
  std::string file_name, file_type, file;  // an attachment; without a name there is none
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http, https, imap, imaps, smtp, smtps; user and password do not belong here
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string body_file;  // path; its content instead of `body`, read while it is sent

  std::string user,
      password;        // IMAP's and SMTP's login; HTTP's Basic authentication, or with aws_sigv4 the key
  std::string bearer;  // OAuth2 access token instead of the password; IMAP only
  // Signs the request as S3 asks for: "aws:amz:<region>:s3". The query must be sorted, encoded, and have a
  // "=" after each name.
  std::string aws_sigv4;

  // Connects to an address of the public internet or not at all (HttpFailure::refused): for URLs that
  // somebody else has chosen. Judged when connecting, so a name cannot turn into another address meanwhile.
  bool public_only = false;

  OutgoingMail mail;         // for smtp and smtps only
  std::string imap_command;  // instead of what the URL alone means: "UID SEARCH ALL"

  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds deadline{60'000};  // for the whole transfer
  std::chrono::seconds idle{30};               // without a byte for so long, it is given up
  std::size_t max_body = 32u << 20;            // bytes of the answer; more is an error

  // Each piece of a successful (2xx) answer's body as it comes, on the engine's thread; the body stays empty
  // then. False ends the transfer with HttpFailure::stopped. Must not throw.
  std::function<bool(std::string_view)> on_data;
};

struct HttpResponse {
  int status = 0;                              // 0 for IMAP; SMTP's last reply: 250, 451, 550, ...
  std::map<std::string, std::string> headers;  // lower-case names; of a repeated one the last
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
  std::chrono::milliseconds took{0};

  std::string header(const std::string& lower_case_name) const;  // "" when absent
};

enum class HttpFailure {
  unreachable,  // no such host, refused, no route
  tls,          // the server's certificate or handshake
  login,        // IMAP refused the credentials
  not_found,    // IMAP: no such folder or message
  timeout,      // the deadline, or idle for too long
  cut,          // the connection ended in the middle
  too_large,
  refused,    // public_only: the address is private
  stopped,    // by on_data or cancel()
  malformed,  // of the URL or of the answer
};
std::string_view to_string(HttpFailure);

// Any answer of an HTTP server, a 500 too, is a response and not an error; so is SMTP's refusal of a mail,
// with its words as the body.
struct HttpError {
  HttpFailure kind = HttpFailure::malformed;
  std::string message;    // for people; names the host
  bool was_sent = false;  // the server may have got (and may bill) the request
};
using HttpResult = tl::expected<HttpResponse, HttpError>;

class HttpEngine {
 public:
  using Done = std::function<void(HttpResult)>;

  virtual ~HttpEngine() = default;
  // `done` is called once, on the engine's thread, and must not block or throw. From any thread.
  virtual std::uint64_t start(HttpRequest request, Done done) = 0;
  // The transfer ends with HttpFailure::stopped, unless it has ended already.
  virtual void cancel(std::uint64_t transfer) = 0;
};

// The process's engine; loads the module on the first call, from where load_engines() looks.
Expected<HttpEngine*> load_http_engine();

// Blocks until the answer is there. `cancelled` (may be empty) is asked ten times a second.
HttpResult http_fetch(HttpRequest request, const std::function<bool()>& cancelled = {});

// "https://host:port/path": what of a URL may be shown.
std::string shown_url(std::string_view url);

// RFC 3986 percent-encoding of everything but unreserved characters.
std::string url_encode(std::string_view text);

}  // namespace celeriac
