#include "worker/result_stores.hpp"

#include "queues/connect.hpp"

namespace celeriac {
namespace {

// Calls `done` after `left` answers, with the first error among them.
struct Gather {
  std::size_t left;
  Status status;
  Done done;
};

}  // namespace

Expected<ResultStores> ResultStores::connect(boost::asio::io_context& io, const Settings& settings) {
  std::vector<std::unique_ptr<ResultBackend>> stores;
  std::string_view rest = settings.result_backend;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    auto store = make_backend(io, settings, std::string(rest.substr(0, comma)));
    if (!store) return tl::unexpected(store.error());
    if (*store) stores.push_back(std::move(*store));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return ResultStores(std::move(stores));
}

void ResultStores::start(std::function<void(BrokerState, std::string)> on_state) {
  for (auto& store : stores_) store->start(on_state);
}

ResultBackend* ResultStores::chords() const {
  for (const auto& store : stores_) {
    if (store->counts_chords()) return store.get();
  }
  return nullptr;
}

void ResultStores::store(TaskResult&& row, Done done) {
  if (stores_.size() == 1) return stores_.front()->store(std::move(row), std::move(done));
  if (stores_.empty()) return done({});
  auto gather = std::make_shared<Gather>(Gather{stores_.size(), {}, std::move(done)});
  for (auto& store : stores_) {
    store->store(row, [gather](Status status) {
      if (gather->status.ok()) gather->status = std::move(status);
      if (--gather->left == 0) gather->done(std::move(gather->status));
    });
  }
}

void ResultStores::cleanup(Done done) {
  if (stores_.empty()) return done({});
  auto gather = std::make_shared<Gather>(Gather{stores_.size(), {}, std::move(done)});
  for (auto& store : stores_) {
    store->cleanup([gather](Expected<std::uint64_t> deleted) {
      if (!deleted && gather->status.ok()) gather->status.what = deleted.error().what;
      if (--gather->left == 0) gather->done(std::move(gather->status));
    });
  }
}

void ResultStores::stop(std::function<void()> done) {
  if (stores_.empty()) return done();
  auto gather = std::make_shared<Gather>(
      Gather{stores_.size(), {}, [done = std::move(done)](const Status&) { done(); }});
  for (auto& store : stores_) {
    store->stop([gather] {
      if (--gather->left == 0) gather->done({});
    });
  }
}

std::string ResultStores::display() const {
  if (stores_.empty()) return "disabled://";
  std::string text;
  for (const auto& store : stores_) (text += text.empty() ? "" : ", ") += store->display_url();
  return text;
}

}  // namespace celeriac
