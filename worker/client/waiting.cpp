// Reading results, and waiting for them, from a caller's thread.
#include "worker/client/core.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace celeriac {
namespace {

// One wait at the store; a longer one is made of several. What nobody waits for any more is forgotten then.
constexpr std::chrono::seconds longest_look{30};

std::string status_of(const Json& document) {
  const auto status = document.is_object() ? document.find("status") : document.end();
  return status != document.end() && status->is_string() ? status->get<std::string>() : std::string();
}

}  // namespace

// A call that waits, known to close().
class ClientCore::Registered {
 public:
  Registered(ClientCore& core, Call& call, Lock& lock) : core_(core), call_(call), lock_(lock) {
    if (core.closed_) throw OperationalError("the client is closed", {});
    core.calls_.insert(&call);
  }
  ~Registered() {
    if (!lock_.owns_lock()) lock_.lock();
    core_.calls_.erase(&call_);
  }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 private:
  ClientCore& core_;
  Call& call_;
  Lock& lock_;
};

void ClientCore::check_stores() const {
  if (stores_->empty())
    throw std::logic_error("no result store is configured (result_backend): results cannot be read");
}

std::string ClientCore::store_trouble() const {
  if (store_trouble_.empty()) return {};
  return "; the result store " + stores_->display() + " is away: " + store_trouble_;
}

template <class T>
std::map<std::string, T> ClientCore::ask_each(
    const std::vector<std::string>& ids,
    const std::function<void(const std::string&, std::function<void(Expected<T>)>)>& start) {
  check_stores();
  struct Asking : Call {
    std::size_t open = 0;
    std::map<std::string, T> answers;
    std::string problem;
  };
  auto asking = std::make_shared<Asking>();
  asking->open = ids.size();
  Lock lock(mutex_);
  const Registered registered(*this, *asking, lock);
  boost::asio::post(io_, [this, asking, ids, start] {
    for (const std::string& id : ids) {
      start(id, [this, asking, id](Expected<T> answer) {
        const Lock inner(mutex_);
        if (answer)
          asking->answers.emplace(id, std::move(*answer));
        else if (asking->problem.empty())
          asking->problem = answer.error().what;
        if (--asking->open == 0) asking->changed.notify_one();
      });
    }
  });
  const bool answered =
      asking->changed.wait_for(lock, timeout_, [&] { return asking->open == 0 || asking->closed; });
  if (asking->closed) throw OperationalError("the client is closed", {});
  if (!answered)
    throw OperationalError(
        "no answer from the result store within " + seconds_text(timeout_.count()) + store_trouble(), {});
  if (!asking->problem.empty()) throw OperationalError("the result store: " + asking->problem, {});
  return std::move(asking->answers);
}

std::map<std::string, std::optional<Json>> ClientCore::fetch(const std::vector<std::string>& ids) {
  return ask_each<std::optional<Json>>(
      ids, [this](const std::string& id, auto done) { stores_->first().fetch(id, std::move(done)); });
}

void ClientCore::forget(const std::vector<std::string>& ids) {
  ask_each<bool>(ids,
                 [this](const std::string& id, auto done) { stores_->first().forget(id, std::move(done)); });
}

// Under mutex_.
struct ClientCore::Awaiting : Call {
  std::set<std::string> open;  // needed, not ready yet
  std::map<std::string, Json> documents;
  std::optional<std::pair<std::string, Json>> failure;
  std::string problem;
  std::optional<Steady::time_point> deadline;
  bool propagate = true, over = false;
};

std::map<std::string, Json> ClientCore::wait(const std::set<std::string>& needed,
                                             const std::set<std::string>& watched,
                                             std::optional<Seconds> timeout, bool propagate) {
  check_stores();
  auto awaiting = std::make_shared<Awaiting>();
  awaiting->open = needed;
  awaiting->propagate = propagate;
  // A time that the clock cannot hold is no limit.
  if (timeout && *timeout < std::chrono::hours(24 * 365 * 10))
    awaiting->deadline = Steady::now() + std::chrono::duration_cast<Steady::duration>(*timeout);
  Lock lock(mutex_);
  const Registered registered(*this, *awaiting, lock);
  boost::asio::post(io_, [this, awaiting, needed, watched] {
    for (const std::string& id : needed) look(awaiting, id);
    if (!awaiting->propagate) return;
    for (const std::string& id : watched)
      if (!needed.contains(id)) look(awaiting, id);
  });
  const auto over = [&] {
    return awaiting->open.empty() || awaiting->failure || !awaiting->problem.empty() || awaiting->closed;
  };
  if (awaiting->deadline)
    awaiting->changed.wait_until(lock, *awaiting->deadline, over);
  else
    awaiting->changed.wait(lock, over);
  awaiting->over = true;
  if (awaiting->failure) return {std::move(*awaiting->failure)};
  if (awaiting->open.empty()) return std::move(awaiting->documents);
  if (awaiting->closed) throw OperationalError("the client is closed", {});
  if (!awaiting->problem.empty()) throw OperationalError("the result store: " + awaiting->problem, {});
  throw TimeoutError("the result of task " + *awaiting->open.begin() + " is not ready within " +
                     seconds_text(timeout->count()) + store_trouble());
}

void ClientCore::look(const std::shared_ptr<Awaiting>& awaiting, const std::string& id) {
  const auto begun = Steady::now();
  auto limit = std::chrono::milliseconds(longest_look);
  {
    const Lock lock(mutex_);
    if (awaiting->over || closed_) return;
    if (awaiting->deadline)
      limit = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*awaiting->deadline - begun),
                         std::chrono::milliseconds(1), limit);
  }
  const auto end = begun + limit;
  stores_->first().wait(id, limit, [this, awaiting, id, end](Expected<Json> document) {
    if (!document && Steady::now() >= end) return look(awaiting, id);
    const Lock lock(mutex_);
    if (awaiting->over) return;
    if (!document) {
      if (awaiting->open.contains(id) && awaiting->problem.empty()) awaiting->problem = document.error().what;
    } else if (awaiting->propagate && is_exception(status_of(*document))) {
      if (!awaiting->failure) awaiting->failure.emplace(id, std::move(*document));
    } else if (awaiting->open.erase(id) > 0) {
      awaiting->documents.emplace(id, std::move(*document));
    }
    if (awaiting->open.empty() || awaiting->failure || !awaiting->problem.empty())
      awaiting->changed.notify_one();
  });
}

}  // namespace celeriac
