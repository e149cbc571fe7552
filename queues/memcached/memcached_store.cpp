#include "queues/memcached/memcached_store.hpp"

#include "protocol/result.hpp"
#include "protocol/time.hpp"
#include "queues/memcached/libmemcached.hpp"
#include "queues/result_keys.hpp"

#include <charconv>
#include <cmath>

namespace celeriac {
namespace {

constexpr std::size_t max_key = 250;             // the protocol's limit, in bytes
constexpr double longest_lifetime = 30 * 86400;  // seconds; more than this the server takes for a date
constexpr std::uint64_t connect_timeout_ms = 4000, answer_timeout_ms = 30000;
constexpr int most_races = 100;

struct FreeClient {
  void operator()(memcached_st* client) const noexcept { libmemcached().memcached_free(client); }
};

struct Server {
  std::string host;
  in_port_t port = 11211;
};

struct Value {
  std::string bytes;
  std::uint64_t version = 0;  // for compare-and-set
};

class MemcachedStore : public BlockingStore {
 public:
  MemcachedStore(const Settings& settings, std::vector<Server> servers)
      : servers_(std::move(servers)),
        prefix_(result_prefix(settings.result_backend_transport_options)),
        expires_(std::ceil(std::max(0.0, settings.result_expires))) {}

  std::optional<StoreFault> open() override {
    client_.reset(libmemcached().memcached_create(nullptr));
    for (const Server& server : servers_) {
      const auto added =
          server.host.starts_with("/")
              ? libmemcached().memcached_server_add_unix_socket(client_.get(), server.host.c_str())
              : libmemcached().memcached_server_add(client_.get(), server.host.c_str(), server.port);
      if (added != MEMCACHED_SUCCESS) return fault(added);
    }
    const std::pair<memcached_behavior_t, std::uint64_t> behaviours[] = {
        {MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1},
        {MEMCACHED_BEHAVIOR_TCP_NODELAY, 1},
        {MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, connect_timeout_ms},
        {MEMCACHED_BEHAVIOR_POLL_TIMEOUT, answer_timeout_ms}};
    for (auto [behaviour, value] : behaviours)
      libmemcached().memcached_behavior_set(client_.get(), behaviour, value);
    if (const auto asked = libmemcached().memcached_version(client_.get()); asked != MEMCACHED_SUCCESS)
      return fault(asked);
    return std::nullopt;
  }

  StoreAnswer<std::vector<Status>> store(const std::vector<const TaskResult*>& batch) override {
    std::vector<Status> verdicts;
    for (const TaskResult* result : batch) {
      const std::string key = task_key(prefix_, result->task_id);
      if (!usable(key)) {
        verdicts.push_back({"memcached takes keys of up to 250 bytes without blanks"});
        continue;
      }
      auto verdict = put(key, write_result(*result));
      if (!verdict) return tl::unexpected<StoreFault>(std::move(verdict).error());
      verdicts.push_back(std::move(*verdict));
    }
    return verdicts;
  }

  StoreAnswer<Expected<std::optional<Json>>> fetch(const std::string& task_id) override {
    using Meta = Expected<std::optional<Json>>;
    const std::string key = task_key(prefix_, task_id);
    if (!usable(key)) return Meta(std::nullopt);
    auto value = get(key);
    if (!value) return tl::unexpected<StoreFault>(std::move(value).error());
    if (!*value) return Meta(std::nullopt);
    auto meta = read_result((*value)->bytes);
    if (!meta) return Meta(unexpected(key + ": " + meta.error().what));
    return Meta(std::move(*meta));
  }

  StoreAnswer<bool> forget(const std::string& task_id) override {
    const std::string key = task_key(prefix_, task_id);
    if (!usable(key)) return false;
    const auto code = libmemcached().memcached_delete(client_.get(), key.data(), key.size(), 0);
    if (code == MEMCACHED_NOTFOUND) return false;
    if (code != MEMCACHED_SUCCESS) return tl::unexpected<StoreFault>(fault(code));
    return true;
  }

 private:
  static bool usable(const std::string& key) {
    if (key.size() > max_key) return false;
    for (const unsigned char c : key)
      if (c <= ' ' || c == 0x7f) return false;
    return true;
  }

  time_t lifetime() const {
    return static_cast<time_t>(expires_ <= longest_lifetime ? expires_ : unix_now() + expires_);
  }

  // A new key takes one question. One that exists is replaced only as it was seen, so that a SUCCESS that
  // arrives in between is kept.
  StoreAnswer<Status> put(const std::string& key, const std::string& meta) {
    for (int race = 0; race < most_races; ++race) {
      auto code = libmemcached().memcached_add(client_.get(), key.data(), key.size(), meta.data(),
                                               meta.size(), lifetime(), 0);
      if (code == MEMCACHED_NOTSTORED || code == MEMCACHED_DATA_EXISTS) {
        auto old = get(key);
        if (!old) return tl::unexpected<StoreFault>(std::move(old).error());
        if (!*old) continue;  // expired or forgotten just now
        if ((*old)->bytes.starts_with(success_begins)) return Status{};
        code = libmemcached().memcached_cas(client_.get(), key.data(), key.size(), meta.data(), meta.size(),
                                            lifetime(), 0, (*old)->version);
        if (code == MEMCACHED_DATA_EXISTS || code == MEMCACHED_NOTFOUND) continue;  // changed just now
      }
      if (code == MEMCACHED_SUCCESS) return Status{};
      if (code == MEMCACHED_E2BIG)
        return Status{"its result of " + std::to_string(meta.size()) +
                      " bytes is larger than the server's limit (memcached -I)"};
      return tl::unexpected<StoreFault>(fault(code));
    }
    return store_fault("memcached: " + key + " is changed by others all the time");
  }

  StoreAnswer<std::optional<Value>> get(const std::string& key) {
    const char* keys[] = {key.data()};
    const std::size_t sizes[] = {key.size()};
    if (const auto code = libmemcached().memcached_mget(client_.get(), keys, sizes, 1);
        code != MEMCACHED_SUCCESS)
      return tl::unexpected<StoreFault>(fault(code));
    std::optional<Value> found;
    auto code = MEMCACHED_SUCCESS;
    while (memcached_result_st* result =
               libmemcached().memcached_fetch_result(client_.get(), nullptr, &code)) {
      found = Value{std::string(libmemcached().memcached_result_value(result),
                                libmemcached().memcached_result_length(result)),
                    libmemcached().memcached_result_cas(result)};
      libmemcached().memcached_result_free(result);
    }
    if (code != MEMCACHED_END && code != MEMCACHED_NOTFOUND && code != MEMCACHED_SUCCESS)
      return tl::unexpected<StoreFault>(fault(code));
    return found;
  }

  StoreFault fault(memcached_return_t code) const {
    const char* last = libmemcached().memcached_last_error_message(client_.get());
    return {std::string("memcached: ") +
            (last ? last : libmemcached().memcached_strerror(client_.get(), code))};
  }

  const std::vector<Server> servers_;
  const std::string prefix_;
  const double expires_;  // whole seconds; 0: never
  std::unique_ptr<memcached_st, FreeClient> client_;
};

Expected<Server> read_server(std::string_view text) {
  Server server;
  const auto colon = text.rfind(':');
  if (text.starts_with("/") || colon == text.npos) {
    server.host = text;
  } else {
    const auto port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
    if (error != std::errc() || end != port.data() + port.size() || server.port == 0)
      return unexpected("memcached: the port of '" + std::string(text) + "' must be between 1 and 65535");
    server.host = text.substr(0, colon);
  }
  if (server.host.empty())
    return unexpected("memcached: write cache+memcached://host:11211/, several servers separated by ';'");
  return server;
}

}  // namespace

Expected<std::unique_ptr<BlockingStore>> make_memcached_store(const Settings& settings,
                                                              std::string_view url) {
  if (const auto& loaded = load_functions<Libmemcached>(); !loaded) return tl::unexpected(loaded.error());
  std::string_view rest = url.substr(url.find("://") + 3);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  std::vector<Server> servers;
  while (true) {
    const auto semicolon = rest.find(';');
    auto server = read_server(rest.substr(0, semicolon));
    if (!server) return tl::unexpected(server.error());
    servers.push_back(std::move(*server));
    if (semicolon == rest.npos) break;
    rest.remove_prefix(semicolon + 1);
  }
  return std::make_unique<MemcachedStore>(settings, std::move(servers));
}

}  // namespace celeriac
