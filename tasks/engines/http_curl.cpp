// The HTTP engine: curl's multi interface, driven by one thread. Compiled into celeriac_http.so.
#include "tasks/engines/http.hpp"
#include "tasks/engines/public_address.hpp"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>

namespace celeriac {
namespace {

constexpr std::size_t max_header_bytes = 256u << 10;
constexpr long max_kept_connections = 64;

struct CleanEasy {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct CleanMulti {
  void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
struct CleanUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};

struct FreeMime {
  void operator()(curl_mime* mime) const noexcept { curl_mime_free(mime); }
};

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

struct Transfer {
  HttpRequest request;
  std::unique_ptr<std::FILE, CloseFile> file;  // of request.body_file
  HttpEngine::Done done;
  std::unique_ptr<CURL, CleanEasy> easy;
  std::unique_ptr<curl_slist, FreeList> headers, recipients;
  std::unique_ptr<curl_mime, FreeMime> mime;
  std::array<char, CURL_ERROR_SIZE> error{};
  HttpResponse response;
  std::size_t header_bytes = 0;
  bool too_large = false, stopped = false, refused = false;
};

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
  return text;
}

// "https://host:port/path"; nothing when it is no URL.
std::string place(const std::string& text) {
  const std::unique_ptr<CURLU, CleanUrl> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return {};
  const std::string port = part(url.get(), CURLUPART_PORT);
  return part(url.get(), CURLUPART_SCHEME) + "://" + part(url.get(), CURLUPART_HOST) +
         (port.empty() ? "" : ":" + port) + part(url.get(), CURLUPART_PATH);
}

bool is_imap(const std::string& url) { return url.starts_with("imap"); }
bool is_smtp(const std::string& url) { return url.starts_with("smtp"); }

bool is_local(const std::string& text) {
  const std::unique_ptr<CURLU, CleanUrl> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return false;
  const std::string host = part(url.get(), CURLUPART_HOST);
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

int http_status(const Transfer& transfer) {
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(bytes, size * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > max_header_bytes) {
    transfer.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !transfer.request.url.starts_with("http")) return line.size();
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.remove_suffix(1);
  transfer.response.headers[name] = value;
  return line.size();
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view piece(bytes, size * count);
  const int status = http_status(transfer);
  if (transfer.request.on_data && status >= 200 && status < 300) {
    transfer.stopped = !transfer.request.on_data(piece);
    return transfer.stopped ? 0 : piece.size();
  }
  if (transfer.response.body.size() + piece.size() > transfer.request.max_body) {
    transfer.too_large = true;
    return 0;
  }
  transfer.response.body += piece;
  return piece.size();
}

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto* const file = static_cast<Transfer*>(user)->file.get();
  const std::size_t got = std::fread(buffer, 1, size * count, file);
  return got == 0 && std::ferror(file) ? CURL_READFUNC_ABORT : got;
}

// For a connection that was kept and turns out to be dead: the file is sent once more.
int on_seek(void* user, curl_off_t offset, int origin) {
  auto* const file = static_cast<Transfer*>(user)->file.get();
  return ::fseeko(file, offset, origin) == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

// A socket for an address that may be connected to.
curl_socket_t on_open(void* user, curlsocktype purpose, curl_sockaddr* address) {
  if (purpose == CURLSOCKTYPE_IPCXN && !is_public_address(&address->addr)) {
    static_cast<Transfer*>(user)->refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

HttpFailure kind_of(CURLcode code, const Transfer& transfer) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return HttpFailure::unreachable;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_USE_SSL_FAILED:
      return HttpFailure::tls;
    case CURLE_LOGIN_DENIED:  // curl says so for a folder that cannot be selected as well
      return std::string_view(transfer.error.data()) == "Select failed" ? HttpFailure::not_found
                                                                        : HttpFailure::login;
    case CURLE_QUOTE_ERROR:
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_REMOTE_ACCESS_DENIED:
      return HttpFailure::not_found;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFailure::timeout;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return HttpFailure::cut;
    case CURLE_FILESIZE_EXCEEDED:
      return HttpFailure::too_large;
    default:
      return HttpFailure::malformed;
  }
}

class CurlEngine final : public HttpEngine {
 public:
  // The libraries below register their own clean-up in here, and so run it after our destructor.
  CurlEngine() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_.reset(curl_multi_init());
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, max_kept_connections);
    thread_ = std::thread([this] { run(); });
  }

  ~CurlEngine() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    curl_multi_wakeup(multi_.get());
    thread_.join();
    for (auto& [id, transfer] : active_) curl_multi_remove_handle(multi_.get(), transfer->easy.get());
    active_.clear();
  }

  std::uint64_t start(HttpRequest request, Done done) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(request);
    transfer->done = std::move(done);
    std::uint64_t id = 0;
    {
      std::lock_guard lock(mutex_);
      id = ++last_;
      waiting_.emplace_back(id, std::move(transfer));
    }
    curl_multi_wakeup(multi_.get());
    return id;
  }

  void cancel(std::uint64_t transfer) override {
    {
      std::lock_guard lock(mutex_);
      cancelled_.push_back(transfer);
    }
    curl_multi_wakeup(multi_.get());
  }

 private:
  void run() {
    for (;;) {
      std::vector<std::pair<std::uint64_t, std::unique_ptr<Transfer>>> starting;
      std::vector<std::uint64_t> cancelled;
      {
        std::lock_guard lock(mutex_);
        if (ending_) return;
        starting.swap(waiting_);
        cancelled.swap(cancelled_);
      }
      for (auto& [id, transfer] : starting) begin(id, std::move(transfer));
      for (const std::uint64_t id : cancelled) stop(id);
      int still_running = 0;
      curl_multi_perform(multi_.get(), &still_running);
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
        if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
      }
      constexpr int longest_wait = 60'000;  // ms; curl ends it earlier for its own timers, wakeup() for ours
      curl_multi_poll(multi_.get(), nullptr, 0, longest_wait, nullptr);
    }
  }

  void begin(std::uint64_t id, std::unique_ptr<Transfer> transfer) {
    if (place(transfer->request.url).empty()) {
      HttpError error{HttpFailure::malformed, "not a URL that can be asked", false};
      return transfer->done(tl::unexpected<HttpError>(std::move(error)));
    }
    if (const auto& path = transfer->request.body_file; !path.empty()) {
      transfer->file.reset(std::fopen(path.c_str(), "rbe"));
      if (!transfer->file) {
        HttpError error{HttpFailure::malformed, path + ": " + std::generic_category().message(errno), false};
        return transfer->done(tl::unexpected<HttpError>(std::move(error)));
      }
    }
    transfer->easy.reset(curl_easy_init());
    CURL* easy = transfer->easy.get();
    set_options(*transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, reinterpret_cast<char*>(static_cast<std::uintptr_t>(id)));
    curl_multi_add_handle(multi_.get(), easy);
    active_.emplace(id, std::move(transfer));
  }

  static void set_options(Transfer& transfer) {
    CURL* easy = transfer.easy.get();
    const HttpRequest& request = transfer.request;
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,imap,imaps,smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");  // whatever this curl can unpack
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.deadline.count()));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.idle.count()));
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16L * 1024);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    if (request.public_only) {
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
      curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);  // a kept one was not judged
      curl_easy_setopt(easy, CURLOPT_PROXY, "");          // its address would be judged instead
    }
    if (is_imap(request.url)) {
      curl_easy_setopt(easy, CURLOPT_USERNAME, request.user.c_str());
      if (!request.bearer.empty()) {
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, request.bearer.c_str());
      } else {
        curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.c_str());
      }
      // A password leaves this host encrypted or not at all.
      if (!is_local(request.url)) curl_easy_setopt(easy, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
      if (!request.imap_command.empty())
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.imap_command.c_str());
      return;
    }
    if (is_smtp(request.url)) return set_mail(transfer);
    curl_slist* list = nullptr;
    for (const auto& [name, value] : request.headers)
      list = curl_slist_append(list, (name + ": " + value).c_str());
    if (!request.user.empty()) {
      curl_easy_setopt(easy, CURLOPT_USERNAME, request.user.c_str());
      curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.c_str());
      if (request.aws_sigv4.empty())
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      else
        curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, request.aws_sigv4.c_str());
    }
    if (transfer.file) {
      list = curl_slist_append(list, "Expect:");
      curl_off_t size = 0;
      if (::fseeko(transfer.file.get(), 0, SEEK_END) == 0) size = ::ftello(transfer.file.get());
      std::rewind(transfer.file.get());
      curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
      curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
      curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
      curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
      curl_easy_setopt(easy, CURLOPT_SEEKDATA, &transfer);
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
      list = curl_slist_append(list, "Expect:");
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    transfer.headers.reset(list);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  // curl makes the parts and their encodings.
  static void set_mail(Transfer& transfer) {
    CURL* easy = transfer.easy.get();
    const HttpRequest& request = transfer.request;
    const OutgoingMail& mail = request.mail;
    if (!request.user.empty()) {
      curl_easy_setopt(easy, CURLOPT_USERNAME, request.user.c_str());
      curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.c_str());
    }
    if (!is_local(request.url)) curl_easy_setopt(easy, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
    curl_slist *headers = nullptr, *recipients = nullptr;
    for (const auto& [name, value] : request.headers)
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    for (const auto& address : mail.to)
      recipients = curl_slist_append(recipients, ("<" + address + ">").c_str());
    transfer.headers.reset(headers);
    transfer.recipients.reset(recipients);
    transfer.mime.reset(curl_mime_init(easy));
    curl_mimepart* text = curl_mime_addpart(transfer.mime.get());
    curl_mime_data(text, request.body.data(), request.body.size());
    curl_mime_type(text, "text/plain; charset=utf-8");
    curl_mime_encoder(text, "quoted-printable");
    if (!mail.file_name.empty()) {
      curl_mimepart* file = curl_mime_addpart(transfer.mime.get());
      curl_mime_data(file, mail.file.data(), mail.file.size());
      curl_mime_filename(file, mail.file_name.c_str());
      curl_mime_type(file, mail.file_type.c_str());
      curl_mime_encoder(file, "base64");
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, ("<" + mail.from + ">").c_str());
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, transfer.mime.get());
  }

  void stop(std::uint64_t id) {
    const auto found = active_.find(id);
    if (found == active_.end()) return;
    found->second->stopped = true;
    finish(found->second->easy.get(), CURLE_ABORTED_BY_CALLBACK);
  }

  void finish(CURL* easy, CURLcode code) {
    char* tag = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &tag);
    const auto found = active_.find(reinterpret_cast<std::uintptr_t>(tag));
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    active_.erase(found);
    HttpResult result = result_of(*transfer, code);
    curl_multi_remove_handle(multi_.get(), easy);
    transfer->easy.reset();
    transfer->done(std::move(result));
  }

  static HttpResult result_of(Transfer& transfer, CURLcode code) {
    CURL* easy = transfer.easy.get();
    curl_off_t microseconds = 0, sent = 0;
    curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &microseconds);
    if (code == CURLE_OK) {
      if (!is_imap(transfer.request.url)) transfer.response.status = http_status(transfer);
      curl_off_t seconds = 0;
      curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
      if (seconds > 0 || transfer.response.headers.contains("retry-after"))
        transfer.response.retry_after = std::chrono::seconds(std::max<curl_off_t>(seconds, 0));
      transfer.response.took = std::chrono::milliseconds(microseconds / 1000);
      return std::move(transfer.response);
    }
    if (is_smtp(transfer.request.url) && !transfer.stopped && http_status(transfer) >= 400) {
      transfer.response.status = http_status(transfer);
      transfer.response.body = transfer.error.data();
      return std::move(transfer.response);
    }
    long request_bytes = 0;
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    HttpError error;
    error.kind = transfer.too_large ? HttpFailure::too_large
                 : transfer.stopped ? HttpFailure::stopped
                 : transfer.refused ? HttpFailure::refused
                                    : kind_of(code, transfer);
    error.was_sent = request_bytes > 0 || sent > 0;
    error.message = place(transfer.request.url) + ": ";
    if (transfer.too_large) {
      error.message += "the answer has more than " + std::to_string(transfer.request.max_body) + " bytes";
    } else if (transfer.stopped) {
      error.message += "stopped";
    } else if (transfer.refused) {
      error.message += "its address is not of the public internet";
    } else {
      error.message += transfer.error[0] != '\0' ? transfer.error.data() : curl_easy_strerror(code);
    }
    return tl::unexpected<HttpError>(std::move(error));
  }

  std::unique_ptr<CURLM, CleanMulti> multi_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> active_;  // the thread's

  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, std::unique_ptr<Transfer>>> waiting_;
  std::vector<std::uint64_t> cancelled_;
  std::uint64_t last_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace
}  // namespace celeriac

extern "C" __attribute__((visibility("default"))) celeriac::HttpEngine* celeriac_make_http_engine() {
  static celeriac::CurlEngine engine;
  return &engine;
}
