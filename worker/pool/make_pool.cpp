#include "worker/pool.hpp"
#include "worker/pool/async_pool.hpp"
#include "worker/pool/prefork_pool.hpp"
#include "worker/pool/solo_pool.hpp"
#include "worker/pool/threads_pool.hpp"

namespace celeriac {

Expected<std::unique_ptr<Pool>> make_pool(const std::string& name, boost::asio::io_context& io,
                                          const App& app, PoolOptions options) {
  if (name == "prefork" || name == "processes") return std::make_unique<PreforkPool>(io, std::move(options));
  if (name == "threads") return std::make_unique<ThreadsPool>(io, app, std::move(options));
  if (name == "solo") return std::make_unique<SoloPool>(io, app, std::move(options));
  if (name == "async") return std::make_unique<AsyncPool>(io, app, std::move(options));
  return unexpected("pool '" + name + "' is not known: prefork, threads, solo or async");
}

}  // namespace celeriac
