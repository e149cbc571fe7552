#include "queues/amqp/keeper.hpp"

#include "protocol/envelope.hpp"
#include "protocol/json.hpp"
#include "queues/amqp/dead_letters.hpp"
#include "queues/amqp/pauses.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace celeriac::amqp {
namespace {

constexpr std::size_t page = 256;
constexpr std::size_t most = 1'000'000;  // of a snapshot: all are taken from the queue until it ends

// The same text for the same message, however often it was looked at.
std::string text_of(Message message) {
  message.properties.redelivered = false;
  message.properties.delivery_tag =
      message.properties.correlation_id.empty() ? "none" : message.properties.correlation_id;
  return encode_envelope(message);
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A dead letter as it was before it was buried; the note tells why.
struct Unburied {
  Message message;
  KeptLetter letter;
};

Unburied unbury(const std::string& queue, Message message) {
  Unburied out;
  out.letter.queue = queue;
  out.letter.id = queue + "/" + message.properties.correlation_id;
  if (auto headers = parse_json(message.headers); headers && headers->is_object()) {
    if (const auto note = headers->find(dead_letter_note); note != headers->end() && note->is_object()) {
      DeadLetter& why = out.letter.why;
      why.category = text_at(*note, "category");
      why.cause = text_at(*note, "cause");
      why.task = text_at(*note, "task");
      why.task_id = text_at(*note, "task_id");
      why.worker = text_at(*note, "worker");
      if (const auto attempts = note->find("attempts");
          attempts != note->end() && attempts->is_number_integer())
        why.attempts = attempts->get<std::int64_t>();
      if (const auto time = note->find("time"); time != note->end() && time->is_number())
        out.letter.time = time->get<double>();
      if (!why.task_id.empty()) out.letter.id = queue + "/" + why.task_id;
      message.properties.exchange = text_at(*note, "exchange");
      message.properties.routing_key = text_at(*note, "routing_key");
    }
    headers->erase(dead_letter_note);
    message.headers = dump_json(*headers);
  }
  out.letter.bytes = text_of(message);
  out.message = std::move(message);
  return out;
}

std::string queue_of(const std::string& id) { return id.substr(0, id.rfind('/')); }

// Answers the sum of several counts, or the first problem.
struct Sum {
  std::size_t missing;
  std::uint64_t count = 0;
  std::string problem;
  QueueKeeper::Answer<std::uint64_t> answer;

  void add(const Expected<std::uint64_t>& part) {
    if (part) count += *part;
    if (!part && problem.empty()) problem = part.error().what;
    if (--missing > 0) return;
    if (problem.empty())
      answer(count);
    else
      answer(unexpected(problem));
  }
};

}  // namespace

Keeper::Keeper(boost::asio::io_context& io, std::vector<Server> servers, TopologyOptions topology)
    : connection_(io, std::move(servers), 0),
      errands_(connection_),
      topology_(errands_, std::move(topology)),
      publisher_(io, connection_, topology_) {
  Connection::Handlers events;
  events.on_up = [this] {
    errands_.up();
    publisher_.up();
    for (auto& then : std::exchange(waiting_, {})) then();
  };
  events.on_down = [this](const std::string& why) {
    errands_.down();
    topology_.down();
    publisher_.down();
    for (const auto& weak : std::exchange(visits_, {}))
      if (const auto one = weak.lock()) one->lost(why);
  };
  events.on_failed = [this](const std::string& why) {
    given_up_ = why;
    errands_.give_up(why);
    publisher_.give_up(why);
    for (auto& then : std::exchange(waiting_, {})) then();
  };
  connection_.start(std::move(events));
}

Keeper::~Keeper() {
  for (const auto& weak : std::exchange(visits_, {}))
    if (const auto one = weak.lock()) one->lost("given up");
  publisher_.cancel();
  connection_.close();
}

void Keeper::when_up(std::function<void()> then) {
  if (connection_.ready() || !given_up_.empty()) return then();
  waiting_.push_back(std::move(then));
}

std::shared_ptr<Visit> Keeper::visit(std::string queue) {
  std::erase_if(visits_, [](const auto& weak) { return weak.expired(); });
  auto one = std::make_shared<Visit>(connection_, std::move(queue));
  visits_.push_back(one);
  return one;
}

// ---- looking ----

void Keeper::waiting(std::string queue, std::size_t offset, std::size_t count,
                     Answer<std::vector<WaitingMessage>> answer) {
  when_up([this, queue, offset, count, answer = std::move(answer)] {
    auto one = visit(queue);
    one->take(offset + count, [one, queue, offset, answer](Expected<std::vector<Incoming>> taken) {
      if (!taken) return answer(tl::unexpected(taken.error()));
      std::vector<WaitingMessage> messages;
      for (std::size_t i = offset; i < taken->size(); ++i)
        messages.push_back({queue, 0, i, text_of(std::move((*taken)[i].message))});
      one->leave([answer, messages = std::move(messages)] { answer(messages); });
    });
  });
}

void Keeper::snapshot(std::string queue, std::function<void(std::vector<WaitingMessage>&&)> on_page,
                      Answer<Count> answer) {
  when_up([this, queue, on_page = std::move(on_page), answer = std::move(answer)] {
    auto one = visit(queue);
    auto seen = std::make_shared<Count>(0);
    auto next = std::make_shared<std::function<void()>>();
    *next = [one, seen, queue, on_page, answer, next] {
      one->take(page, [one, seen, queue, on_page, answer, next](Expected<std::vector<Incoming>> taken) {
        const bool over = !taken || taken->size() < page || *seen >= most;
        std::vector<WaitingMessage> messages;
        if (taken)
          for (auto& incoming : *taken)
            messages.push_back({queue, 0, (*seen)++, text_of(std::move(incoming.message))});
        if (!messages.empty()) on_page(std::move(messages));
        if (!over) return (*next)();
        const Expected<Count> end = taken ? Expected<Count>(*seen) : tl::unexpected(taken.error());
        one->leave([answer, end] { answer(end); });
        *next = nullptr;
      });
    };
    (*next)();
  });
}

// ---- changing ----

struct Keeper::Tour {
  std::shared_ptr<Visit> visit;
  std::function<bool(const Message&)> meant;
  std::size_t enough;
  std::function<void(Message&&, Done)> act;
  Answer<Count> answer;
  std::size_t found = 0, open = 0;
  Count done = 0;
  bool seen = false;  // to the end
  std::string problem;

  void check() {
    if (!seen || open > 0 || !answer) return;
    const Expected<Count> end = problem.empty() ? Expected<Count>(done) : unexpected(problem);
    visit->leave([last = std::exchange(answer, nullptr), end] { last(end); });
  }
};

void Keeper::tour(std::string queue, std::function<bool(const Message&)> meant, std::size_t enough,
                  std::function<void(Message&&, Done)> act, Answer<Count> answer) {
  when_up([this, queue, meant = std::move(meant), enough, act = std::move(act), answer = std::move(answer)] {
    auto tour = std::make_shared<Tour>();
    tour->visit = visit(queue);
    tour->meant = meant;
    tour->enough = enough;
    tour->act = act;
    tour->answer = answer;
    go_on(tour);
  });
}

void Keeper::go_on(std::shared_ptr<Tour> tour) {
  tour->visit->take(page, [this, tour](Expected<std::vector<Incoming>> taken) {
    if (!taken) tour->problem = taken.error().what;
    if (taken) {
      for (auto& incoming : *taken) {
        if (tour->found == tour->enough || !tour->meant(incoming.message)) continue;
        ++tour->found;
        ++tour->open;
        tour->act(std::move(incoming.message), [tour, tag = incoming.tag](const Status& status) {
          --tour->open;
          if (status.ok())
            tour->visit->ack(tag), ++tour->done;
          else
            tour->problem = status.what;
          tour->check();
        });
      }
    }
    tour->seen = !taken || taken->size() < page || tour->found == tour->enough || !tour->problem.empty();
    if (!tour->seen) return go_on(tour);
    tour->check();
  });
}

namespace {

// Which messages of each queue are meant, and how often.
std::map<std::string, std::multiset<std::string>> by_queue(const std::vector<WaitingMessage>& messages) {
  std::map<std::string, std::multiset<std::string>> out;
  for (const auto& message : messages) out[message.queue].insert(message.bytes);
  return out;
}

std::function<bool(const Message&)> any_of(std::multiset<std::string> texts) {
  return [left = std::make_shared<std::multiset<std::string>>(std::move(texts))](const Message& message) {
    const auto found = left->find(text_of(message));
    if (found == left->end()) return false;
    left->erase(found);
    return true;
  };
}

void address(Message& message, const std::string& queue) {
  message.properties.exchange.clear();
  message.properties.routing_key = queue;
  message.properties.delivery_mode = 2;
}

}  // namespace

void Keeper::move(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer) {
  const auto queues = by_queue(messages);
  if (queues.empty()) return answer(Count{0});
  auto sum = std::make_shared<Sum>(Sum{queues.size(), 0, {}, std::move(answer)});
  for (const auto& [queue, texts] : queues)
    tour(
        queue, any_of(texts), texts.size(),
        [this, to](Message&& message, Done done) {
          address(message, to);
          publisher_.publish(std::move(message), std::move(done));
        },
        [sum](const Expected<Count>& count) { sum->add(count); });
}

void Keeper::drop(std::vector<WaitingMessage> messages, Answer<Count> answer) {
  const auto queues = by_queue(messages);
  if (queues.empty()) return answer(Count{0});
  auto sum = std::make_shared<Sum>(Sum{queues.size(), 0, {}, std::move(answer)});
  for (const auto& [queue, texts] : queues)
    tour(
        queue, any_of(texts), texts.size(), [](Message&&, const Done& done) { done({}); },
        [sum](const Expected<Count>& count) { sum->add(count); });
}

void Keeper::put(std::vector<WaitingMessage> messages, Answer<Count> answer) {
  if (messages.empty()) return answer(Count{0});
  when_up([this, messages = std::move(messages), answer = std::move(answer)] {
    auto sum = std::make_shared<Sum>(Sum{messages.size(), 0, {}, answer});
    for (const auto& one : messages) {
      auto message = decode_envelope(one.bytes);
      if (!message) {
        sum->add(tl::unexpected(message.error()));
        continue;
      }
      address(*message, one.queue);
      publisher_.publish(std::move(*message), [sum](const Status& status) {
        sum->add(status.ok() ? Expected<Count>(Count{1}) : Expected<Count>(unexpected(status.what)));
      });
    }
  });
}

// ---- dead letters ----

void Keeper::read_letters(std::string queue, Answer<std::vector<KeptLetter>> answer) {
  auto letters = std::make_shared<std::vector<KeptLetter>>();
  when_up([this, queue, letters, answer = std::move(answer)] {
    auto one = visit(dead_letter_queue(queue));
    auto next = std::make_shared<std::function<void()>>();
    *next = [one, letters, queue, answer, next] {
      one->take(page, [one, letters, queue, answer, next](Expected<std::vector<Incoming>> taken) {
        if (taken)
          for (auto& incoming : *taken) letters->push_back(unbury(queue, std::move(incoming.message)).letter);
        if (taken && taken->size() == page && letters->size() < most) return (*next)();
        const auto problem = taken ? std::nullopt : std::optional<Error>(taken.error());
        one->leave([answer, letters, problem] {
          if (problem) return answer(tl::unexpected(*problem));
          answer(std::move(*letters));
        });
        *next = nullptr;
      });
    };
    (*next)();
  });
}

void Keeper::dead(std::string queue, std::size_t offset, std::size_t count,
                  Answer<std::vector<KeptLetter>> answer) {
  if (queue.empty()) return answer(unexpected("RabbitMQ has no list of queues: name one with --queue"));
  read_letters(queue, [offset, count, answer = std::move(answer)](Expected<std::vector<KeptLetter>> letters) {
    if (letters) {
      letters->erase(letters->begin(),
                     letters->begin() + static_cast<std::ptrdiff_t>(std::min(offset, letters->size())));
      if (letters->size() > count) letters->resize(count);
    }
    answer(std::move(letters));
  });
}

void Keeper::dead_letter(std::string id, Answer<KeptLetter> answer) {
  read_letters(queue_of(id), [id, answer = std::move(answer)](Expected<std::vector<KeptLetter>> letters) {
    if (!letters) return answer(tl::unexpected(letters.error()));
    for (auto& letter : *letters)
      if (letter.id == id) return answer(std::move(letter));
    answer(unexpected("there is no dead letter " + id));
  });
}

void Keeper::requeue(std::vector<KeptLetter> letters, std::string to, Answer<Count> answer) {
  std::map<std::string, std::multiset<std::string>> ids;
  for (const auto& letter : letters) ids[letter.queue].insert(letter.id);
  if (ids.empty()) return answer(Count{0});
  auto sum = std::make_shared<Sum>(Sum{ids.size(), 0, {}, std::move(answer)});
  for (const auto& [queue, meant] : ids) {
    auto left = std::make_shared<std::multiset<std::string>>(meant);
    tour(
        dead_letter_queue(queue),
        [left, queue](const Message& message) {
          const auto found = left->find(unbury(queue, message).letter.id);
          if (found == left->end()) return false;
          left->erase(found);
          return true;
        },
        meant.size(),
        [this, queue, to](Message&& message, Done done) {
          Message restored = unbury(queue, std::move(message)).message;
          address(restored, to.empty() ? queue : to);
          publisher_.publish(std::move(restored), std::move(done));
        },
        [sum](const Expected<Count>& count) { sum->add(count); });
  }
}

void Keeper::discard(std::vector<std::string> ids, Answer<Count> answer) {
  std::map<std::string, std::set<std::string>> queues;
  for (const auto& id : ids) queues[queue_of(id)].insert(id);
  if (queues.empty()) return answer(Count{0});
  auto sum = std::make_shared<Sum>(Sum{queues.size(), 0, {}, std::move(answer)});
  for (const auto& [queue, meant] : queues)
    tour(
        dead_letter_queue(queue),
        [queue, meant](const Message& message) { return meant.count(unbury(queue, message).letter.id) != 0; },
        meant.size(), [](Message&&, const Done& done) { done({}); },
        [sum](const Expected<Count>& count) { sum->add(count); });
}

// ---- pausing ----

void Keeper::pause(std::string queue, std::string note, Answer<bool> answer) {
  const std::string marker = pause_marker(queue);
  errands_.look_at_queue(marker, [this, queue, marker, note, answer](const Errands::Outcome& found) {
    if (found.ok()) return tell_of_pause(queue, false, answer);
    if (found.code != not_found) return answer(unexpected("pause " + queue + ": " + found.text));
    QueueSpec spec;
    spec.name = marker;
    errands_.declare_queue(std::move(spec), [this, queue, answer](const Errands::Outcome& made) {
      if (!made.ok()) return answer(unexpected("pause " + queue + ": " + made.text));
      tell_of_pause(queue, true, answer);
    });
    Message message;
    message.body = note;
    message.content_type = "text/plain";
    message.properties.routing_key = marker;
    message.properties.delivery_mode = 2;
    errands_.publish(std::move(message), nullptr);
  });
}

void Keeper::resume(std::string queue, Answer<bool> answer) {
  const std::string marker = pause_marker(queue);
  errands_.look_at_queue(marker, [this, queue, marker, answer](const Errands::Outcome& found) {
    if (found.code == not_found) return tell_of_pause(queue, false, answer);
    if (!found.ok()) return answer(unexpected("resume " + queue + ": " + found.text));
    errands_.delete_queue(marker, [this, queue, answer](const Errands::Outcome& deleted) {
      if (!deleted.ok()) return answer(unexpected("resume " + queue + ": " + deleted.text));
      tell_of_pause(queue, true, answer);
    });
  });
}

// Also when nothing changed: whoever changed it may have died before it could tell.
void Keeper::tell_of_pause(const std::string& queue, bool changed, Answer<bool> answer) {
  Message notice;
  notice.body = queue;
  notice.content_type = "text/plain";
  notice.properties.exchange = pause_exchange;
  notice.properties.delivery_mode = 1;
  errands_.publish(std::move(notice), [queue, changed, answer](const Errands::Outcome& told) {
    // Without the exchange nobody listens.
    if (told.ok() || told.code == not_found) return answer(changed);
    answer(unexpected("telling the workers of " + queue + ": " + told.text));
  });
}

// ---- what RabbitMQ has no place for ----

namespace {

constexpr const char* no_delayed =
    "messages that wait for their time lie at workers (`celeriac inspect scheduled`) or in RabbitMQ's "
    "celery_delayed_* queues, where nobody can look for them";

}  // namespace

// AMQP has no list of queues, so none of the markers.
void Keeper::paused(Answer<std::vector<std::pair<std::string, std::string>>> answer) {
  answer(std::vector<std::pair<std::string, std::string>>());
}
void Keeper::delayed(std::function<void(std::vector<DelayedMessage>&&)>, Answer<Count> answer) {
  answer(unexpected(no_delayed));
}
void Keeper::hasten(std::vector<DelayedMessage>, Answer<Count> answer) { answer(unexpected(no_delayed)); }
void Keeper::cancel(std::vector<DelayedMessage>, Answer<Count> answer) { answer(unexpected(no_delayed)); }

}  // namespace celeriac::amqp
