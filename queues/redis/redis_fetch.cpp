// How messages come in: claims from the lists, and deferred messages whose time has come.
#include "protocol/envelope.hpp"
#include "queues/redis/pause_keys.hpp"
#include "queues/redis/redis_broker_impl.hpp"
#include "queues/redis/scripts.hpp"
#include "queues/redis/stored.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <set>

namespace celeriac::redis {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t fetch_page = 32;  // bodies of deferred messages asked for at a time
constexpr milliseconds longest_poll_pause{50};

Delivery make_delivery(Tag tag, std::string queue, std::string_view envelope) {
  Delivery delivery;
  delivery.tag = tag;
  delivery.queue = std::move(queue);
  auto message = decode_envelope(envelope);
  if (message) {
    delivery.redelivered = message->properties.redelivered;
    delivery.message = std::move(*message);
  } else {
    delivery.error = std::move(message.error().what);
  }
  return delivery;
}

}  // namespace

// Strict priority over all queues: every queue's step 0 before any queue's step 3.
void RedisBroker::Impl::arrange_lists() {
  auto order = queues_;
  if (options_.redis.queue_order_strategy == "sorted") std::sort(order.begin(), order.end());
  Lists lists;
  for (int step : keys_.steps())
    for (auto& queue : order) {
      auto key = keys_.list(queue, step);
      auto known =
          std::find_if(lists_.begin(), lists_.end(), [&](const auto& list) { return list->key == key; });
      lists.push_back(known != lists_.end()
                          ? *known
                          : std::make_shared<List>(List{std::move(key), queue, unacked_tail(queue), {}}));
    }
  lists_ = std::move(lists);
}

// ---- claiming ----

void RedisBroker::Impl::consider_claim() {
  if (claiming_ || exhausted_ || !consuming_ || paused_ || !had_lease_ || lists_.empty() ||
      !connection_.ready())
    return;
  switch (policy_.when(holdings_.size())) {
    case ClaimPolicy::When::no:
      return;
    case ClaimPolicy::When::now:
      linger_timer_.cancel();
      return claim();
    case ClaimPolicy::When::soon:
      if (!linger_timer_.waiting())
        linger_timer_.after(linger, [this] {
          if (!claiming_ && !exhausted_ && !paused_ && connection_.ready() &&
              policy_.count(holdings_.size()) > 0)
            claim();
        });
  }
}

void RedisBroker::Impl::claim() {
  const Tag first = next_tag_;
  const unsigned count = policy_.count(holdings_.size());
  next_tag_ += count;  // a number is never used twice, even if this answer gets lost
  claiming_ = true;
  changed_ = false;
  const bool through_script = std::exchange(all_by_script_, false);
  const bool told = wakeup_ && wakeup_->works();
  Lists asked;
  for (auto& list : lists_) {
    if (!told || !list->empty) asked.push_back(list);
    list->changed = false;
  }
  Request request;
  request.begin(3 + 5 + 6 + 4 * asked.size()).arg("EVALSHA").arg(scripts().claim.sha).arg(5 + asked.size());
  request.arg(keys_.unacked).arg(keys_.unacked_index).arg(keys_.unreadable).arg(keys_.lease(owner_));
  request.arg(paused_key(keys_));
  for (auto& list : asked) request.arg(list->key);
  request.arg(score_text(Clock::now())).arg(owner_ + ":").arg(first).arg(count);
  request.arg(ClaimPolicy::claim_bytes).arg(through_script ? std::size_t{1} << 40 : BodySizes::large);
  for (auto& list : asked)
    request.arg(list->sizes.are_large() && !through_script ? 0 : list->sizes.chunk())
        .arg(list->tail)
        .arg(list->queue);
  connection_.send(request, [this, first, count, asked = std::move(asked)](Reply reply) {
    claimed(reply, asked, first, count);
  });
}

void RedisBroker::Impl::claimed(Reply reply, const Lists& asked, Tag first, unsigned count) {
  last_claim_answer_ = Steady::now();
  if (reply.lost()) {
    lost_claim_ = Range{first, count};  // claiming_ stays set until we know
    return;
  }
  claiming_ = false;
  if (reply.is_error()) {
    if (reply.text().substr(0, 8) == "NOSCRIPT") {
      connection_.send(scripts().load(), nullptr);
      return stopping_ ? restore_all() : claim();
    }
    // A list of the wrong type stops the script half way: what it had claimed by then is ours.
    spdlog::error("Redis refuses a claim: {}", reply.text());
    claiming_ = true;
    lost_claim_ = Range{first, count};
    lost_timer_.after(std::chrono::seconds(1), [this] {
      if (lost_claim_ && connection_.ready()) look_for_lost_claim();
    });
    return;
  }
  if (reply.is_string()) return no_lease();
  take(reply, asked, first);
}

// Claims wait for the renewal, which calls consider_claim().
void RedisBroker::Impl::no_lease() {
  had_lease_ = false;
  recovery_.renew();
  if (stopping_) restore_all();
}

void RedisBroker::Impl::take(Reply reply, const Lists& asked, Tag first) {
  std::vector<Delivery> deliveries;
  std::size_t bytes = 0;
  Tag tag = first;
  for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
    List& list = *asked.at(static_cast<std::size_t>(reply[i].integer()) - 1);
    const Reply batch = reply[i + 1];
    std::size_t biggest = 0;
    if (deliveries.empty()) deliveries.reserve(batch.size());
    for (std::size_t j = 0; j < batch.size(); ++j, ++tag) {
      auto raw = batch[j].text();
      bytes += raw.size();
      biggest = std::max(biggest, raw.size());
      holdings_.hold(tag, {list.queue, !looks_like_object(raw)});
      deliveries.push_back(make_delivery(tag, list.queue, raw));
    }
    list.sizes.seen(biggest);
  }
  if (stopping_) return restore_all();

  const bool full =
      tag - first >= 1 && (tag - first >= next_tag_ - first || bytes >= ClaimPolicy::claim_bytes);
  const auto large = static_cast<std::size_t>(reply[0].integer());
  const bool all_read = !full && large == 0;
  exhausted_ = all_read && !changed_;
  if (all_read)
    for (auto& list : asked) list->empty = !list->changed;
  if (deliveries.empty() && large == 0)
    poll_pause_ = std::min(poll_pause_ * 2, longest_poll_pause);
  else
    poll_pause_ = milliseconds(1);
  if (exhausted_ && wakeup_ && !wakeup_->works()) poll();
  if (large > 0 && !paused_ && policy_.count(holdings_.size()) > 0) {
    claim_large(asked.at(large - 1));
  }
  serve(std::move(deliveries));
}

// A claim was under way when we were paused: nobody here wants these any more.
void RedisBroker::Impl::give_back(const std::vector<Delivery>& deliveries) {
  RestoreOrder order;
  order.untouched = true;
  for (auto delivery = deliveries.rbegin(); delivery != deliveries.rend(); ++delivery)
    if (holdings_.release(delivery->tag)) order.fields.push_back(holdings_.field(delivery->tag));
  restorer_.restore(std::move(order), nullptr);
}

void RedisBroker::Impl::serve(std::vector<Delivery> deliveries) {
  if (paused_) return give_back(deliveries);
  if (!deliveries.empty() && options_.redis.queue_order_strategy == "round_robin" && queues_.size() > 1) {
    auto served = std::find(queues_.begin(), queues_.end(), deliveries.back().queue);
    if (served != queues_.end()) std::rotate(served, served + 1, queues_.end());
    arrange_lists();
  }
  // The next claim is under way while many messages are worked on; a few do not wait for it to be sent.
  const bool few = deliveries.size() < few_messages;
  if (!few) consider_claim();
  if (!deliveries.empty() && handlers_.on_deliveries) handlers_.on_deliveries(std::move(deliveries));
  if (few) consider_claim();
}

// The script has emptied the lists before this one, so the order is kept.
void RedisBroker::Impl::claim_large(const std::shared_ptr<List>& list) {
  large_.start();
  if (!large_.ready() || large_pause_ > 0) {
    if (large_pause_ > 0) --large_pause_;
    all_by_script_ = true;
    return;
  }
  LargeClaim::Order order;
  order.list = list->key;
  order.tail = list->tail;
  order.lease = keys_.lease(owner_);
  order.first = next_tag_;
  order.count = list->sizes.large_count(policy_.count(holdings_.size()));
  next_tag_ += order.count;
  claiming_ = true;
  changed_ = false;

  auto deliveries = std::make_shared<std::vector<Delivery>>();
  auto unreadable = std::make_shared<std::vector<bool>>();
  auto biggest = std::make_shared<std::size_t>(0);
  LargeClaim::Handlers handlers;
  handlers.on_read = [=, queue = list->queue](Tag tag, std::string_view raw, bool object) {
    *biggest = std::max(*biggest, raw.size());
    deliveries->push_back(make_delivery(tag, queue, raw));
    unreadable->push_back(!object);
  };
  handlers.on_restart = [=] {
    deliveries->clear();
    unreadable->clear();
  };
  const Range range{order.first, order.count};
  handlers.done = [this, list, range, deliveries, unreadable, biggest](LargeClaim::Outcome outcome) {
    last_claim_answer_ = Steady::now();
    if (*biggest > 0) list->sizes.seen(*biggest);
    switch (outcome) {
      case LargeClaim::Outcome::unknown:
        lost_claim_ = range;  // claiming_ stays set until we know
        // Not at once: what the server has read of the lost connection may still be carried out.
        lost_timer_.after(milliseconds(500), [this] {
          if (lost_claim_ && connection_.ready()) look_for_lost_claim();
        });
        return;
      case LargeClaim::Outcome::no_lease:
        claiming_ = false;
        return no_lease();
      case LargeClaim::Outcome::nothing:
        claiming_ = false;
        all_by_script_ = true;
        // Where pushes never cease, reading in vain must not become the rule.
        large_failures_ = std::min(large_failures_ + 1, 6u);
        large_pause_ = (1u << large_failures_) - 2;
        if (stopping_) return restore_all();
        return consider_claim();
      case LargeClaim::Outcome::taken:
        break;
    }
    claiming_ = false;
    large_failures_ = 0;
    for (std::size_t i = 0; i < deliveries->size(); ++i)
      holdings_.hold((*deliveries)[i].tag, {(*deliveries)[i].queue, (*unreadable)[i]});
    if (stopping_) return restore_all();
    exhausted_ = false;
    serve(std::move(*deliveries));
  };
  large_.claim(std::move(order), std::move(handlers));
}

// The claim may have been carried out although its answer never came: the numbers say which.
void RedisBroker::Impl::look_for_lost_claim() {
  const Range range = *std::exchange(lost_claim_, std::nullopt);
  std::vector<Tag> tags;
  for (unsigned i = 0; i < range.count; ++i) tags.push_back(range.first + i);
  fetch(std::move(tags), false, [this] {
    claiming_ = false;
    if (stopping_) return restore_all();
    consider_claim();
  });
}

void RedisBroker::Impl::told_of(std::string_view key) {
  if (wakeup_ && !wakeup_->refused().empty() && !refusal_told_) {
    refusal_told_ = true;
    spdlog::warn("Redis cannot tell us of new messages ({}): polling", wakeup_->refused());
    poll();
  }
  changed(key);
}

// Also called for what our own connection pushes: the server does not tell us of that.
void RedisBroker::Impl::changed(std::string_view key) {
  if (key.empty() || key == paused_key(keys_)) {
    forget_empty();
  } else {
    auto list =
        std::find_if(lists_.begin(), lists_.end(), [&](const auto& known) { return known->key == key; });
    if (list == lists_.end()) return;
    (*list)->empty = false;
    (*list)->changed = true;
  }
  changed_ = true;
  exhausted_ = false;
  consider_claim();
}

void RedisBroker::Impl::forget_empty() {
  for (auto& list : lists_) {
    list->empty = false;
    list->changed = true;
  }
}

// Once a second in any case, as a safety net; quickly when the server cannot wake us.
void RedisBroker::Impl::poll() {
  const bool woken = !wakeup_ || wakeup_->works() || !exhausted_;
  poll_timer_.after(woken ? milliseconds(1000) : poll_pause_, [this] {
    exhausted_ = false;
    forget_empty();
    check_stall();
    consider_claim();
    poll();
  });
}

void RedisBroker::Impl::check_stall() {
  if (!connection_.ready() || paused_ || policy_.when(holdings_.size()) == ClaimPolicy::When::no) {
    last_claim_answer_ = Steady::now();
    return;
  }
  const auto limit = std::max<Steady::duration>(options_.connection.socket_timeout, std::chrono::seconds(10));
  if (Steady::now() - last_claim_answer_ < limit) return;
  last_claim_answer_ = Steady::now();
  spdlog::error("Redis broker: room for messages, but no claim was answered: connecting anew");
  connection_.reconnect("stalled: nothing was fetched although there was room");
}

// ---- messages known by their tag ----

// Delivers those of `tags` that are still in `unacked`, page by page.
void RedisBroker::Impl::fetch(std::vector<Tag> tags, bool deferred, std::function<void()> done) {
  if (tags.empty()) return done();
  std::vector<Tag> page(tags.begin(),
                        tags.begin() + static_cast<std::ptrdiff_t>(std::min(fetch_page, tags.size())));
  std::vector<Tag> rest(tags.begin() + static_cast<std::ptrdiff_t>(page.size()), tags.end());

  auto unreadable = std::make_shared<std::vector<std::optional<std::string>>>();
  auto paused = std::make_shared<std::set<std::string, std::less<>>>();
  if (deferred) {
    Request beside;
    beside.add("HKEYS", paused_key(keys_));
    outbox_.send(std::move(beside), [paused](Reply reply) {
      for (std::size_t i = 0; i < reply.size(); ++i) paused->emplace(reply[i].text());
    });
  } else {
    Request beside;
    beside.begin(2 + page.size()).arg("HMGET").arg(keys_.unreadable);
    for (Tag tag : page) beside.arg(holdings_.field(tag));
    outbox_.send(std::move(beside), [unreadable](Reply reply) {
      for (std::size_t i = 0; i < reply.size(); ++i)
        unreadable->push_back(reply[i].is_nil() ? std::nullopt : std::optional(std::string(reply[i].text())));
    });
  }
  Request request = holdings_.renew(page, Clock::now());
  request.begin(2 + page.size()).arg("HMGET").arg(keys_.unacked);
  for (Tag tag : page) request.arg(holdings_.field(tag));
  outbox_.send(std::move(request), [this, page, rest = std::move(rest), deferred, unreadable, paused,
                                    done = std::move(done)](Reply reply) mutable {
    std::vector<Delivery> deliveries, held_back;
    for (std::size_t i = 0; i < page.size() && i < reply.size(); ++i) {
      if (reply[i].is_nil()) {
        if (deferred) spdlog::info("A deferred message went back to its queue before its time: {}", page[i]);
        continue;
      }
      auto stored = split_stored(reply[i].text());
      if (!stored) {
        spdlog::error("{}", stored.error().what);
        continue;
      }
      const bool beside = i < unreadable->size() && (*unreadable)[i].has_value();
      auto delivery = make_delivery(page[i], std::move(stored->routing_key),
                                    beside ? std::string_view(*(*unreadable)[i]) : stored->envelope);
      delivery.deferred = deferred;
      holdings_.hold(page[i], {delivery.queue, beside});
      (paused->count(delivery.queue) > 0 ? held_back : deliveries).push_back(std::move(delivery));
    }
    if (!held_back.empty()) give_back(held_back);  // their time has come, their queue's has not
    if (!deliveries.empty() && handlers_.on_deliveries && !stopping_)
      handlers_.on_deliveries(std::move(deliveries));
    fetch(std::move(rest), deferred, std::move(done));
  });
}

void RedisBroker::Impl::schedule_due() {
  const auto next = due_.next_due();
  if (!next || paused_ || fetching_due_) return;
  // In short sleeps: the wall clock may be set in between.
  const auto wait =
      std::clamp(std::chrono::ceil<milliseconds>(*next - Clock::now()), milliseconds(0), milliseconds(60000));
  due_timer_.after(wait, [this] { deliver_due(); });
}

void RedisBroker::Impl::deliver_due() {
  auto tags = due_.take_due(Clock::now(), 1024);
  if (tags.empty()) return schedule_due();
  fetching_due_ = true;
  settle();  // the score of a message put off a moment ago must not come after this
  fetch(std::move(tags), true, [this] {
    fetching_due_ = false;
    schedule_due();
  });
}

}  // namespace celeriac::redis
