#include "queues/redis/restorer.hpp"

#include "queues/redis/scripts.hpp"
#include "queues/redis/stored.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>

namespace celeriac::redis {
namespace {

constexpr std::size_t page_bodies = 32;  // bodies may be large: a page is in memory at once

}  // namespace

struct Restorer::Job {
  struct Item {
    std::string field;
    std::string payload;
    int priority = 0;
    std::string exchange, routing_key;
    std::vector<std::string> lists;
  };
  RestoreOrder order;
  std::function<void(std::size_t)> done;
  std::uint64_t operation = 0;
  std::size_t position = 0, restored = 0, unrouted = 0;
  std::vector<Item> page;
};

Restorer::Restorer(Outbox& outbox, Router& router, const Keys& keys)
    : outbox_(outbox), router_(router), keys_(keys) {}

void Restorer::restore(RestoreOrder order, std::function<void(std::size_t)> done) {
  auto job = std::make_shared<Job>();
  job->order = std::move(order);
  job->done = std::move(done);
  job->operation = outbox_.begin();
  next_page(std::move(job));
}

void Restorer::next_page(std::shared_ptr<Job> job) {
  const auto& fields = job->order.fields;
  if (job->position >= fields.size()) return finish(job);
  const auto count = std::min(page_bodies, fields.size() - job->position);

  // The bytes of unreadable items lie beside: both are asked for in one go.
  Request bodies;
  bodies.begin(2 + count).arg("HMGET").arg(keys_.unreadable);
  for (std::size_t i = 0; i < count; ++i) bodies.arg(fields[job->position + i]);
  auto unreadable = std::make_shared<std::vector<std::optional<std::string>>>();
  outbox_.send(std::move(bodies), [unreadable](Reply reply) {
    for (std::size_t i = 0; i < reply.size(); ++i)
      unreadable->push_back(reply[i].is_string() ? std::optional(std::string(reply[i].text()))
                                                 : std::nullopt);
  });

  Request values;
  values.begin(2 + count).arg("HMGET").arg(keys_.unacked);
  for (std::size_t i = 0; i < count; ++i) values.arg(fields[job->position + i]);
  outbox_.send(std::move(values), [this, job, count, unreadable](Reply reply) {
    job->page.clear();
    for (std::size_t i = 0; i < count && i < reply.size(); ++i) {
      Job::Item item;
      item.field = job->order.fields[job->position + i];
      auto stored = split_stored(reply[i].text());
      if (!stored) {
        // Nil: gone. Anything else is not for us to move: kombu's own entry, in a form we do not know.
        if (!reply[i].is_nil()) spdlog::error("cannot give back {}: {}", item.field, stored.error().what);
        continue;
      }
      if (i < unreadable->size() && (*unreadable)[i]) {
        item.payload = std::move(*(*unreadable)[i]);
      } else {
        auto form = returned_form(stored->envelope);
        item.payload = job->order.untouched ? std::string(stored->envelope) : std::move(form.payload);
        item.priority = form.priority;
      }
      item.exchange = std::move(stored->exchange);
      item.routing_key = std::move(stored->routing_key);
      job->page.push_back(std::move(item));
    }
    job->position += count;
    job->unrouted = job->page.size() + 1;  // the one ends with the loop: routes may come back at once
    if (job->page.empty()) return next_page(job);
    for (auto& item : job->page) {
      router_.route(item.exchange, item.routing_key, [this, job, &item](std::vector<std::string> queues) {
        // kombu drops what no binding leads anywhere; we use the queue that bears the key's name.
        if (queues.empty()) queues.push_back(item.routing_key);
        for (auto& queue : queues) item.lists.push_back(keys_.list_for_priority(queue, item.priority));
        if (--job->unrouted == 0) push_page(job);
      });
    }
    if (--job->unrouted == 0) push_page(job);
  });
}

void Restorer::push_page(std::shared_ptr<Job> job) {
  const auto& order = job->order;
  std::size_t arguments = 3 + 5 + 3;
  for (auto& item : job->page) arguments += 3 + item.lists.size();
  Request request;
  request.begin(arguments).arg("EVALSHA").arg(scripts().restore.sha).arg(5);
  request.arg(keys_.unacked).arg(keys_.unacked_index).arg(keys_.unreadable);
  request.arg(keys_.lease(order.unless_leased)).arg(keys_.taken(order.unless_leased));
  request.arg(order.unless_leased.empty() ? "0" : "1").arg(order.to_the_back ? "LPUSH" : "RPUSH");
  request.arg(order.not_younger ? std::to_string(*order.not_younger) : std::string());
  for (auto& item : job->page) {
    request.arg(item.field).arg(item.lists.size());
    for (auto& list : item.lists) request.arg(list);
    request.arg(item.payload);
  }
  std::vector<std::string> fields;
  for (auto& item : job->page) fields.push_back(std::move(item.field));
  job->page.clear();
  outbox_.send(std::move(request), [this, job, fields = std::move(fields)](Reply reply) mutable {
    if (reply.is_error()) {
      const RestoreOrder& whole = job->order;
      on_refused(
          {std::move(fields), whole.to_the_back, whole.untouched, whole.unless_leased, whole.not_younger},
          reply.text());
      return next_page(job);
    }
    if (reply.integer() < 0) return finish(job);  // its owner is alive again
    job->restored += static_cast<std::size_t>(reply.integer());
    if (reply.integer() > 0) on_restored();
    next_page(job);
  });
}

void Restorer::finish(const std::shared_ptr<Job>& job) {
  if (job->done) job->done(job->restored);
  outbox_.end(job->operation);
}

}  // namespace celeriac::redis
