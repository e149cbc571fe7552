#include "queues/redis/keeper.hpp"

#include "protocol/envelope.hpp"
#include "protocol/envelope_edit.hpp"
#include "protocol/json.hpp"
#include "protocol/message.hpp"
#include "protocol/time.hpp"
#include "queues/redis/keeper_scripts.hpp"
#include "queues/redis/pause_keys.hpp"
#include "queues/redis/stored.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace celeriac::redis {
namespace {

constexpr std::size_t page_messages = 64;  // messages in one request
constexpr int scan_size = 500;             // entries of `unacked` looked at in one request
constexpr int copy_lifetime = 600;         // seconds; of a snapshot whose reader has died

double number_of(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The messages of a range that was read from the left; the last of them is delivered first.
void add_reversed(Reply range, const std::string& queue, int step, std::size_t first,
                  std::vector<WaitingMessage>& out) {
  for (std::size_t i = range.size(); i-- > 0;)
    out.push_back({queue, step, first++, std::string(range[i].text())});
}

// For the range of `count` messages that are delivered after `first` others.
void add_range(Request& request, const std::string& list, std::size_t first, std::size_t count) {
  const auto from_end = [](std::size_t n) { return -static_cast<std::int64_t>(n); };
  request.add("LRANGE", list, from_end(first + count), from_end(first + 1));
}

template <class T>
std::vector<std::vector<T>> pages(std::vector<T>&& all) {
  std::vector<std::vector<T>> out;
  for (auto& item : all) {
    if (out.empty() || out.back().size() >= page_messages) out.emplace_back();
    out.back().push_back(std::move(item));
  }
  return out;
}

// Adds up what several requests answer; the first error is the whole answer.
struct Total {
  QueueKeeper::Answer<QueueKeeper::Count> answer;
  std::size_t open = 1;
  std::uint64_t count = 0;
  std::string failure;

  void add(const Expected<QueueKeeper::Count>& part) {
    if (part)
      count += *part;
    else if (failure.empty())
      failure = part.error().what;
    finish();
  }
  void finish() {
    if (--open > 0) return;
    if (failure.empty())
      answer(count);
    else
      answer(unexpected(failure));
  }
};

}  // namespace

Keeper::Keeper(boost::asio::io_context& io, ConnectionOptions connection, const RedisOptions& redis)
    : keys_(redis), connection_(io, std::move(connection)), outbox_(connection_) {
  Connection::Handlers handlers;
  handlers.on_up = [this] { outbox_.resend(); };
  handlers.on_down = [](std::string) {};  // made again; what waits is asked then
  handlers.on_failed = [this](std::string) { outbox_.give_up(); };
  connection_.start(std::move(handlers));
}

Keeper::~Keeper() { connection_.close(); }

// ---- looking ----

struct Keeper::Walk {
  std::string queue;
  std::size_t offset = 0, count = 0;
  Answer<std::vector<WaitingMessage>> answer;
};

void Keeper::waiting(std::string queue, std::size_t offset, std::size_t count,
                     Answer<std::vector<WaitingMessage>> answer) {
  auto walk = std::make_shared<Walk>(Walk{std::move(queue), offset, count, std::move(answer)});
  Request request;
  request.add("MULTI");
  for (int step : keys_.steps()) request.add("LLEN", keys_.list(walk->queue, step));
  request.add("EXEC");
  outbox_.send(std::move(request), [this, walk](Reply sizes) {
    if (sizes.size() != keys_.steps().size())
      return walk->answer(unexpected("queue " + walk->queue + ": " + sizes.problem()));
    struct Part {
      int step;
      std::size_t first;
    };
    auto parts = std::make_shared<std::vector<Part>>();
    Request ranges;
    ranges.add("MULTI");
    std::size_t skip = walk->offset, left = walk->count;
    for (std::size_t i = 0; i < sizes.size() && left > 0; ++i) {
      if (!sizes[i].ok()) return walk->answer(unexpected("queue " + walk->queue + ": " + sizes[i].problem()));
      const auto size = static_cast<std::size_t>(sizes[i].integer());
      const auto first = std::min(skip, size), taken = std::min(left, size - first);
      skip -= first;
      left -= taken;
      if (taken == 0) continue;
      add_range(ranges, keys_.list(walk->queue, keys_.steps()[i]), first, taken);
      parts->push_back({keys_.steps()[i], first});
    }
    if (parts->empty()) return walk->answer(std::vector<WaitingMessage>());
    ranges.add("EXEC");
    outbox_.send(std::move(ranges), [walk, parts](Reply reply) {
      if (reply.size() != parts->size())
        return walk->answer(unexpected("queue " + walk->queue + ": " + reply.problem()));
      std::vector<WaitingMessage> messages;
      for (std::size_t i = 0; i < parts->size(); ++i)
        add_reversed(reply[i], walk->queue, (*parts)[i].step, (*parts)[i].first, messages);
      walk->answer(std::move(messages));
    });
  });
}

struct Keeper::Copy {
  std::string queue;
  std::function<void(std::vector<WaitingMessage>&&)> on_page;
  Answer<Count> answer;
  std::vector<std::string> lists;  // the copies, one for each step
  std::vector<std::size_t> sizes;
  std::size_t step = 0, position = 0;
  Count total = 0;
};

void Keeper::snapshot(std::string queue, std::function<void(std::vector<WaitingMessage>&&)> on_page,
                      Answer<Count> answer) {
  auto copy = std::make_shared<Copy>();
  copy->queue = std::move(queue);
  copy->on_page = std::move(on_page);
  copy->answer = std::move(answer);
  const auto name = snapshot_key(keys_);
  Request request;
  request.add("MULTI");
  for (int step : keys_.steps()) {
    copy->lists.push_back(name + "." + std::to_string(step));
    request.add("COPY", keys_.list(copy->queue, step), copy->lists.back(), "REPLACE");
    request.add("EXPIRE", copy->lists.back(), copy_lifetime);
    request.add("LLEN", copy->lists.back());
  }
  request.add("EXEC");
  outbox_.send(std::move(request), [this, copy](Reply reply) {
    if (reply.size() != 3 * copy->lists.size())
      return copy->answer(unexpected("queue " + copy->queue + ": " + reply.problem()));
    for (std::size_t i = 0; i < copy->lists.size(); ++i) {
      if (!reply[3 * i].ok())
        return copy->answer(unexpected("queue " + copy->queue + ": " + reply[3 * i].problem()));
      copy->sizes.push_back(static_cast<std::size_t>(reply[3 * i + 2].integer()));
    }
    read_copy(copy);
  });
}

void Keeper::read_copy(std::shared_ptr<Copy> copy) {
  while (copy->step < copy->sizes.size() && copy->position >= copy->sizes[copy->step]) {
    ++copy->step;
    copy->position = 0;
  }
  if (copy->step >= copy->sizes.size()) {
    Request request;
    request.begin(1 + copy->lists.size()).arg("UNLINK");
    for (const auto& list : copy->lists) request.arg(list);
    return outbox_.send(std::move(request), [copy](Reply) { copy->answer(copy->total); });
  }
  const auto count = std::min(page_messages, copy->sizes[copy->step] - copy->position);
  Request request;
  request.add("EXPIRE", copy->lists[copy->step], copy_lifetime);
  add_range(request, copy->lists[copy->step], copy->position, count);
  outbox_.send(std::move(request), [this, copy, count](Reply reply) {
    if (reply.size() != count)
      return copy->answer(unexpected("queue " + copy->queue + ": the snapshot is gone " + reply.problem()));
    std::vector<WaitingMessage> messages;
    add_reversed(reply, copy->queue, keys_.steps()[copy->step], copy->position, messages);
    copy->position += count;
    copy->total += count;
    copy->on_page(std::move(messages));
    read_copy(copy);
  });
}

// ---- changing ----

void Keeper::sum(Request request, std::string what, Answer<Count> answer) {
  outbox_.send(std::move(request), [what = std::move(what), answer = std::move(answer)](Reply reply) {
    if (!reply.ok()) return answer(unexpected(what + ": " + reply.problem()));
    if (reply.is_integer()) return answer(static_cast<Count>(reply.integer()));
    Count total = 0;
    for (std::size_t i = 0; i < reply.size(); ++i) {
      if (!reply[i].ok()) return answer(unexpected(what + ": " + reply[i].problem()));
      total += static_cast<Count>(reply[i].integer());
    }
    answer(total);
  });
}

void Keeper::take_out(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer) {
  std::map<std::pair<std::string, int>, std::vector<WaitingMessage>> by_list;
  for (auto& message : messages) by_list[{message.queue, message.step}].push_back(std::move(message));
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (auto& [place, all] : by_list) {
    const auto& [queue, step] = place;
    const auto source = keys_.list(queue, step);
    const auto target = to.empty() ? source : keys_.list(to, step);
    std::size_t before = 0;  // of this list, taken out by earlier pages: what follows has moved up
    for (auto& page : pages(std::move(all))) {
      Request request;
      request.begin(2 + 3 + 1 + 3 * page.size()).arg("EVAL").arg(keeper_scripts::take_out).arg(2);
      request.arg(source).arg(target).arg(to.empty() ? "0" : "1");
      for (auto& message : page) {
        const auto at = message.position >= before ? message.position - before : 0;
        request.arg(-static_cast<std::int64_t>(at) - 1).arg(message.bytes);
        auto addressed = to.empty() ? Expected<std::string>("") : readdress(message.bytes, to);
        request.arg(addressed ? *addressed : message.bytes);
      }
      before += page.size();
      ++total->open;
      sum(std::move(request), "queue " + queue, [total](Expected<Count> n) { total->add(n); });
    }
  }
  total->finish();
}

void Keeper::move(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer) {
  for (const auto& message : messages)
    if (message.queue == to) return answer(unexpected("the messages are in queue " + to + " already"));
  Request request;
  request.add("SADD", keys_.binding(to), keys_.binding_member(to));
  outbox_.send(std::move(request),
               [this, messages = std::move(messages), to, answer = std::move(answer)](Reply reply) mutable {
                 if (!reply.ok()) return answer(unexpected("queue " + to + ": " + reply.problem()));
                 take_out(std::move(messages), std::move(to), std::move(answer));
               });
}

void Keeper::drop(std::vector<WaitingMessage> messages, Answer<Count> answer) {
  take_out(std::move(messages), "", std::move(answer));
}

void Keeper::put(std::vector<WaitingMessage> messages, Answer<Count> answer) {
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (auto& page : pages(std::move(messages))) {
    Request request;
    request.add("MULTI");
    for (const auto& message : page) {
      request.add("SADD", keys_.binding(message.queue), keys_.binding_member(message.queue));
      request.add("LPUSH", keys_.list_for_priority(message.queue, message.step), message.bytes);
    }
    request.add("EXEC");
    ++total->open;
    outbox_.send(std::move(request), [total, count = page.size()](Reply reply) {
      for (std::size_t i = 0; i < reply.size(); ++i)
        if (!reply[i].ok()) return total->add(unexpected(reply[i].problem()));
      if (!reply.ok()) return total->add(unexpected(reply.problem()));
      total->add(Count(count));
    });
  }
  total->finish();
}

// ---- pausing ----

void Keeper::pause(std::string queue, std::string note, Answer<bool> answer) {
  Request request;
  request.add("HSETNX", paused_key(keys_), queue, note);
  sum(std::move(request), "pause " + queue, [answer = std::move(answer)](Expected<Count> changed) {
    if (!changed) return answer(tl::unexpected(changed.error()));
    answer(*changed > 0);
  });
}

void Keeper::resume(std::string queue, Answer<bool> answer) {
  Request request;
  request.add("HDEL", paused_key(keys_), queue);
  sum(std::move(request), "resume " + queue, [answer = std::move(answer)](Expected<Count> changed) {
    if (!changed) return answer(tl::unexpected(changed.error()));
    answer(*changed > 0);
  });
}

void Keeper::paused(Answer<std::vector<std::pair<std::string, std::string>>> answer) {
  Request request;
  request.add("HGETALL", paused_key(keys_));
  outbox_.send(std::move(request), [answer = std::move(answer)](Reply reply) {
    if (!reply.ok()) return answer(unexpected("paused queues: " + reply.problem()));
    std::vector<std::pair<std::string, std::string>> out;
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2)
      out.emplace_back(reply[i].text(), reply[i + 1].text());
    std::sort(out.begin(), out.end());
    answer(std::move(out));
  });
}

// ---- dead letters ----

namespace {

std::optional<KeptLetter> read_letter(std::string id, Reply fields) {
  if (fields.size() == 0) return std::nullopt;
  KeptLetter letter;
  letter.id = std::move(id);
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const auto name = fields[i].text(), value = fields[i + 1].text();
    if (name == "message") letter.bytes = value;
    if (name == "queue") letter.queue = value;
    if (name == "time") letter.time = number_of(value);
    if (name == "category") letter.why.category = value;
    if (name == "cause") letter.why.cause = value;
    if (name == "task") letter.why.task = value;
    if (name == "task_id") letter.why.task_id = value;
    if (name == "worker") letter.why.worker = value;
    if (name == "attempts" && !value.empty())
      letter.why.attempts = static_cast<std::int64_t>(number_of(value));
  }
  return letter;
}

int priority_of(std::string_view bytes) {
  auto message = decode_envelope(bytes);
  return message ? message->properties.priority.value_or(0) : 0;
}

}  // namespace

void Keeper::dead(std::string queue, std::size_t offset, std::size_t count,
                  Answer<std::vector<KeptLetter>> answer) {
  Request request;
  request.add("ZRANGE", queue.empty() ? keys_.dead : keys_.dead_of_queue(queue), offset, offset + count - 1);
  outbox_.send(std::move(request), [this, answer = std::move(answer)](Reply reply) {
    if (!reply.ok()) return answer(unexpected("dead letters: " + reply.problem()));
    if (reply.size() == 0) return answer(std::vector<KeptLetter>());
    auto ids = std::make_shared<std::vector<std::string>>();
    Request letters;
    letters.add("MULTI");
    for (std::size_t i = 0; i < reply.size(); ++i) {
      ids->emplace_back(reply[i].text());
      letters.add("HGETALL", keys_.dead_letter(ids->back()));
    }
    letters.add("EXEC");
    outbox_.send(std::move(letters), [ids, answer](Reply all) {
      if (all.size() != ids->size()) return answer(unexpected("dead letters: " + all.problem()));
      std::vector<KeptLetter> out;
      for (std::size_t i = 0; i < all.size(); ++i)
        if (auto letter = read_letter((*ids)[i], all[i])) out.push_back(std::move(*letter));
      answer(std::move(out));
    });
  });
}

void Keeper::dead_letter(std::string id, Answer<KeptLetter> answer) {
  Request request;
  request.add("HGETALL", keys_.dead_letter(id));
  outbox_.send(std::move(request), [id, answer = std::move(answer)](Reply reply) {
    if (!reply.ok()) return answer(unexpected("dead letter " + id + ": " + reply.problem()));
    auto letter = read_letter(id, reply);
    if (!letter) return answer(unexpected("there is no dead letter " + id));
    answer(std::move(*letter));
  });
}

void Keeper::requeue(std::vector<KeptLetter> letters, std::string to, Answer<Count> answer) {
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (const auto& letter : letters) {
    const auto& queue = to.empty() ? letter.queue : to;
    auto addressed = queue == letter.queue ? Expected<std::string>("") : readdress(letter.bytes, queue);
    Request request;
    request.add("EVAL", keeper_scripts::requeue, 5, keys_.dead_letter(letter.id), keys_.dead,
                keys_.dead_of_queue(letter.queue), keys_.list_for_priority(queue, priority_of(letter.bytes)),
                keys_.binding(queue), letter.id, keys_.binding_member(queue), addressed ? *addressed : "");
    ++total->open;
    sum(std::move(request), "dead letter " + letter.id, [total](Expected<Count> n) { total->add(n); });
  }
  total->finish();
}

void Keeper::discard(std::vector<std::string> ids, Answer<Count> answer) {
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (const auto& id : ids) {
    Request request;
    request.add("EVAL", keeper_scripts::discard, 2, keys_.dead_letter(id), keys_.dead, id,
                keys_.dead_of_queue(""));
    ++total->open;
    sum(std::move(request), "dead letter " + id, [total](Expected<Count> n) { total->add(n); });
  }
  total->finish();
}

// ---- messages with an ETA ----

void Keeper::delayed(std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer) {
  read_delayed("0", 0, std::move(on_page), std::move(answer));
}

void Keeper::read_delayed(std::string cursor, Count seen,
                          std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer) {
  const double now = unix_now();
  Request request;
  request.add("EVAL", keeper_scripts::delayed, 2, keys_.unacked, keys_.unacked_index, cursor, scan_size,
              std::to_string(now));
  outbox_.send(std::move(request), [this, now, seen, on_page = std::move(on_page),
                                    answer = std::move(answer)](Reply reply) mutable {
    if (reply.size() < 1) return answer(unexpected("delayed messages: " + reply.problem()));
    std::vector<DelayedMessage> found;
    for (std::size_t i = 1; i + 2 < reply.size(); i += 3) {
      auto stored = split_stored(reply[i + 2].text());
      if (!stored) continue;  // not in kombu's form: nothing that waits for an ETA
      DelayedMessage message;
      message.id = reply[i].text();
      message.queue = stored->routing_key;
      message.bytes = stored->envelope;
      message.due = number_of(reply[i + 1].text());
      message.movable = message.id.find(':') != std::string::npos;
      if (!message.movable) {
        auto envelope = decode_envelope(message.bytes);
        auto headers = envelope ? read_task(*envelope, {"application/json"})
                                : tl::expected<TaskHeaders, Refused>(tl::unexpected(Refused{}));
        if (!headers || !headers->eta || *headers->eta <= now) continue;
        message.due = *headers->eta;
      }
      found.push_back(std::move(message));
    }
    seen += found.size();
    std::string next(reply[0].text());
    if (!found.empty()) on_page(std::move(found));
    if (next == "0") return answer(seen);
    read_delayed(std::move(next), seen, std::move(on_page), std::move(answer));
  });
}

void Keeper::hasten(std::vector<DelayedMessage> messages, Answer<Count> answer) {
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (const auto& message : messages) {
    auto now = without_eta(message.bytes);
    if (!message.movable || !now) continue;
    Request request;
    request.add("EVAL", keeper_scripts::hasten, 3, keys_.unacked, keys_.unacked_index,
                keys_.list_for_priority(message.queue, priority_of(message.bytes)), message.id, *now);
    ++total->open;
    sum(std::move(request), "message " + message.id, [total](Expected<Count> n) { total->add(n); });
  }
  total->finish();
}

void Keeper::cancel(std::vector<DelayedMessage> messages, Answer<Count> answer) {
  auto total = std::make_shared<Total>(Total{std::move(answer)});
  for (const auto& message : messages) {
    if (!message.movable) continue;
    Request request;
    request.add("EVAL", keeper_scripts::hasten, 2, keys_.unacked, keys_.unacked_index, message.id);
    ++total->open;
    sum(std::move(request), "message " + message.id, [total](Expected<Count> n) { total->add(n); });
  }
  total->finish();
}

}  // namespace celeriac::redis
