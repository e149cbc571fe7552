// The part of the HTTP client that every process has: loading the module, waiting for it.
#include "tasks/engines/http.hpp"

#include "tasks/engines/load_module.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>

namespace celeriac {

std::string HttpResponse::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string() : found->second;
}

std::string_view to_string(HttpFailure failure) {
  switch (failure) {
    case HttpFailure::unreachable:
      return "unreachable";
    case HttpFailure::tls:
      return "tls";
    case HttpFailure::login:
      return "login";
    case HttpFailure::not_found:
      return "not_found";
    case HttpFailure::timeout:
      return "timeout";
    case HttpFailure::cut:
      return "cut";
    case HttpFailure::too_large:
      return "too_large";
    case HttpFailure::refused:
      return "refused";
    case HttpFailure::stopped:
      return "stopped";
    case HttpFailure::malformed:
      return "malformed";
  }
  return "malformed";
}

Expected<HttpEngine*> load_http_engine() {
  static std::mutex mutex;
  static HttpEngine* loaded =
      nullptr;  // lives as long as the process: its thread may be at work until the end
  std::lock_guard lock(mutex);
  if (loaded) return loaded;
  auto make = load_module("celeriac_http.so", "celeriac_make_http_engine");
  if (!make) return tl::unexpected(make.error());
  loaded = reinterpret_cast<HttpEngine* (*)()>(*make)();
  return loaded;
}

HttpResult http_fetch(HttpRequest request, const std::function<bool()>& cancelled) {
  const auto engine = load_http_engine();
  if (!engine) return tl::unexpected(HttpError{HttpFailure::unreachable, engine.error().what, false});
  struct Answer {
    std::mutex mutex;
    std::condition_variable came;
    std::optional<HttpResult> result;
  };
  const auto answer = std::make_shared<Answer>();
  const std::uint64_t transfer = (*engine)->start(std::move(request), [answer](HttpResult result) {
    {
      std::lock_guard lock(answer->mutex);
      answer->result = std::move(result);
    }
    answer->came.notify_one();
  });
  std::unique_lock lock(answer->mutex);
  bool told = false;
  while (!answer->came.wait_for(lock, std::chrono::milliseconds(100),
                                [&] { return answer->result.has_value(); })) {
    if (told || !cancelled || !cancelled()) continue;
    told = true;
    (*engine)->cancel(transfer);
  }
  return std::move(*answer->result);
}

std::string shown_url(std::string_view url) {
  const auto parsed = boost::urls::parse_uri_reference({url.data(), url.size()});
  if (!parsed) return "(no URL)";
  const std::string host(parsed->encoded_host_and_port().data(), parsed->encoded_host_and_port().size());
  const std::string path(parsed->encoded_path().data(), parsed->encoded_path().size());
  return std::string(parsed->scheme().data(), parsed->scheme().size()) + "://" + host + path;
}

std::string url_encode(std::string_view text) {
  return boost::urls::encode({text.data(), text.size()}, boost::urls::unreserved_chars);
}

}  // namespace celeriac
