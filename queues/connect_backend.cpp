// make_backend(): which result store a URL means.
#include "queues/blocking/blocking_backend.hpp"
#include "queues/connect.hpp"
#include "queues/files/file_store.hpp"
#include "queues/memcached/memcached_store.hpp"
#include "queues/multi_backend.hpp"
#include "queues/postgres/postgres_backend.hpp"
#include "queues/redis/connection.hpp"
#include "queues/redis/redis_backend.hpp"
#include "queues/rpc_backend.hpp"
#include "queues/sqlite/sqlite_store.hpp"

#include <cctype>

namespace celeriac {
namespace {

// A comma separates two URLs only where a scheme follows: "?host=/a,/b" is one URL.
bool url_begins(std::string_view text) {
  const auto end = text.find("://");
  if (end == text.npos || end == 0) return false;
  for (char c : text.substr(0, end))
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '+' && c != '-' && c != '.') return false;
  return true;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  auto take = [&](std::string_view url) {
    while (!url.empty() && url.front() == ' ') url.remove_prefix(1);
    while (!url.empty() && url.back() == ' ') url.remove_suffix(1);
    if (!url.empty()) out.emplace_back(url);
  };
  std::size_t begin = 0;
  for (std::size_t comma = 0; (comma = text.find(',', comma)) != text.npos; ++comma) {
    const auto rest = text.substr(comma + 1),
               next = rest.substr(std::min(rest.size(), rest.find_first_not_of(' ')));
    if (!url_begins(next)) continue;
    take(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  take(text.substr(begin));
  return out;
}

Expected<std::unique_ptr<ResultBackend>> on_a_thread(boost::asio::io_context& io, const Settings& settings,
                                                     Expected<std::unique_ptr<BlockingStore>> store,
                                                     std::string display) {
  if (!store) return unexpected("result_backend: " + store.error().what);
  return make_blocking_backend(io, std::move(*store), {std::move(display), settings.result_expires});
}

Expected<std::unique_ptr<ResultBackend>> make_one(boost::asio::io_context& io, const Settings& settings,
                                                  const std::string& text) {
  // These two are no URLs in the strict sense: a folder to the letter, and several hosts.
  if (text.starts_with("file://")) return on_a_thread(io, settings, make_file_store(settings, text), text);
  for (auto* scheme : {"cache+memcached://", "cache+memcache://", "cache+pylibmc://", "memcached://"})
    if (text.starts_with(scheme))
      return on_a_thread(io, settings, make_memcached_store(settings, text), text);
  if (text == "rpc" || text.starts_with("rpc://")) {
    auto broker = make_broker(io, settings);
    if (!broker) return tl::unexpected(broker.error());
    return make_rpc_backend(io, std::move(*broker));
  }
  if (redis::is_redis_url(text)) return make_redis_backend(io, settings, text);
  auto url = parse_url(text);
  if (!url) return unexpected("result_backend: " + url.error().what);
  const std::string& scheme = url->scheme;
  if (scheme == "disabled") return nullptr;
  const auto driver = scheme.rfind("db+", 0) == 0 ? scheme.substr(3, scheme.find('+', 3) - 3) : "";
  if (driver == "postgresql" || driver == "postgres" || scheme.starts_with("django-db+postgres"))
    return make_postgres_backend(io, settings, *url);
  if (driver == "sqlite") return on_a_thread(io, settings, make_sqlite_store(settings, *url), url->display());
  return unexpected("result_backend: '" + scheme +
                    "://' is not known (redis, rediss, redis+socket, sentinel, db+postgresql, "
                    "django-db+postgresql, db+sqlite, file, "
                    "cache+memcached, rpc, disabled)");
}

}  // namespace

Expected<std::unique_ptr<ResultBackend>> make_backend(boost::asio::io_context& io, const Settings& settings,
                                                      const std::string& url) {
  std::vector<std::unique_ptr<ResultBackend>> stores;
  for (auto& text : split(url)) {
    auto store = make_one(io, settings, text);
    if (!store) return store;
    if (*store) stores.push_back(std::move(*store));
  }
  if (stores.empty()) return nullptr;
  if (stores.size() == 1) return std::move(stores.front());
  return make_multi_backend(std::move(stores));
}

}  // namespace celeriac
