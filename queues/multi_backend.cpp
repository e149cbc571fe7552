#include "queues/multi_backend.hpp"

#include <algorithm>

namespace celeriac {
namespace {

// Runs `done` once `left` stores have answered, with all that went wrong.
struct Gathered {
  std::size_t left;
  std::string what;

  bool last(const std::string& problem) {
    if (!problem.empty()) what += (what.empty() ? "" : "; ") + problem;
    return --left == 0;
  }
};

class MultiBackend : public ResultBackend {
 public:
  explicit MultiBackend(std::vector<std::unique_ptr<ResultBackend>> stores)
      : stores_(std::move(stores)), states_(stores_.size(), BrokerState::connecting) {}

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    on_state_ = std::move(on_state);
    if (on_state_) on_state_(BrokerState::connecting, "");
    for (std::size_t i = 0; i < stores_.size(); ++i)
      stores_[i]->start([this, i](BrokerState state, std::string what) { changed(i, state, what); });
  }

  void store(TaskResult result, Done done) override {
    auto gathered = std::make_shared<Gathered>(Gathered{stores_.size(), {}});
    auto shared = std::make_shared<Done>(std::move(done));
    for (auto& store : stores_)
      store->store(result, [gathered, shared](Status status) {
        if (gathered->last(status.what) && *shared) (*shared)({gathered->what});
      });
  }

  void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) override {
    stores_.front()->fetch(std::move(task_id), std::move(done));
  }

  void wait(std::string task_id, std::chrono::milliseconds timeout,
            std::function<void(Expected<Json>)> done) override {
    stores_.front()->wait(std::move(task_id), timeout, std::move(done));
  }

  void forget(std::string task_id, std::function<void(Expected<bool>)> done) override {
    auto gathered = std::make_shared<Gathered>(Gathered{stores_.size(), {}});
    auto found = std::make_shared<bool>(false);
    auto shared = std::make_shared<std::function<void(Expected<bool>)>>(std::move(done));
    for (auto& store : stores_)
      store->forget(task_id, [gathered, found, shared](Expected<bool> answer) {
        *found = *found || (answer && *answer);
        if (!gathered->last(answer ? "" : answer.error().what)) return;
        (*shared)(gathered->what.empty() ? Expected<bool>(*found) : unexpected(gathered->what));
      });
  }

  void stop(std::function<void()> done) override {
    auto left = std::make_shared<std::size_t>(stores_.size());
    auto shared = std::make_shared<std::function<void()>>(std::move(done));
    for (auto& store : stores_)
      store->stop([left, shared] {
        if (--*left == 0 && *shared) (*shared)();
      });
  }

  std::string display_url() const override {
    std::string out;
    for (auto& store : stores_) out += (out.empty() ? "" : ",") + store->display_url();
    return out;
  }

 private:
  void changed(std::size_t index, BrokerState state, const std::string& what) {
    states_[index] = state;
    if (!on_state_ || state == BrokerState::connecting) return;
    const bool up = state == BrokerState::connected;
    if (up && std::any_of(states_.begin(), states_.end(), [](auto s) { return s != BrokerState::connected; }))
      return;
    on_state_(state, up ? what : stores_[index]->display_url() + ": " + what);
  }

  std::vector<std::unique_ptr<ResultBackend>> stores_;
  std::vector<BrokerState> states_;
  std::function<void(BrokerState, std::string)> on_state_;
};

}  // namespace

std::unique_ptr<ResultBackend> make_multi_backend(std::vector<std::unique_ptr<ResultBackend>> stores) {
  return std::make_unique<MultiBackend>(std::move(stores));
}

}  // namespace celeriac
