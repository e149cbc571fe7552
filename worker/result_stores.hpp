// The result stores of one worker: `result_backend` may name several, separated by commas.
#pragma once

#include "config/settings.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class ResultStores {
 public:
  explicit ResultStores(std::vector<std::unique_ptr<ResultBackend>> stores) : stores_(std::move(stores)) {}

  // No store at all ("disabled://" or "") is fine: results go nowhere.
  static Expected<ResultStores> connect(boost::asio::io_context& io, const Settings& settings);

  void start(std::function<void(BrokerState, std::string)> on_state);
  bool empty() const { return stores_.empty(); }

  // The store that results are read from; only when there is one.
  ResultBackend& first() const { return *stores_.front(); }
  // The store that counts the parts of chords; null when none does.
  ResultBackend* chords() const;

  // `done` runs when every store has the row, with the first error if one never will.
  // Without stores it runs at once.
  void store(TaskResult&& row, Done done);

  // Deletes expired results in every store that does not do so itself.
  void cleanup(Done done);

  void stop(std::function<void()> done);
  std::string display() const;

 private:
  std::vector<std::unique_ptr<ResultBackend>> stores_;
};

}  // namespace celeriac
