#include "worker/canvas/runner.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/canvas/signature.hpp"
#include "worker/logging.hpp"
#include "worker/routes.hpp"

#include <chrono>
#include <map>
#include <utility>

namespace celeriac::canvas {
namespace {

// How long the last part of a chord with nested results waits for them: Celery's result_chord_join_timeout.
constexpr std::chrono::milliseconds join_timeout{3000};

void keep_first(std::string& kept, const std::string& problem) {
  if (kept.empty()) kept = problem;
}

}  // namespace

Sender CanvasRunner::sender(const TaskHeaders& headers, std::optional<int> priority) const {
  Sender sender;
  sender.parent_id = headers.id;
  sender.root_id = headers.root_id.empty() ? headers.id : headers.root_id;
  sender.priority = settings_.task_inherit_parent_priority ? priority : settings_.task_default_priority;
  sender.now = unix_now();
  sender.new_id = uuid4;
  static const std::string reply_to = uuid4();
  sender.reply_to = reply_to;
  sender.native_chords = stores_.chords() != nullptr;
  sender.route = [this](const std::string& task) { return route(task, settings_, app_); };
  return sender;
}

TakesError CanvasRunner::takes_error() const {
  return [this](const std::string& name) {
    const App::Task* task = app_.find(name);
    return task && task->options.params.size() == 3;
  };
}

// --- steps

struct CanvasRunner::Sending {
  std::vector<Step> steps;
  std::size_t next = 0, open = 0;
  std::string problem;
  Done done;
};

void CanvasRunner::send(std::vector<Step> steps, Done done) {
  auto sending = std::make_shared<Sending>();
  sending->steps = std::move(steps);
  sending->done = std::move(done);
  advance(sending);
}

void CanvasRunner::advance(const std::shared_ptr<Sending>& sending) {
  auto& [steps, next, open, problem, done] = *sending;
  if (next == steps.size() || !problem.empty()) return std::exchange(done, nullptr)({problem});
  const std::size_t first = next, kind = steps[next].index();
  while (next < steps.size() && steps[next].index() == kind) ++next;
  const std::size_t end = next;
  open = end - first;
  for (std::size_t i = first; i < end; ++i) {
    issue(steps[i], [this, sending](const Status& status) {
      keep_first(sending->problem, status.what);
      if (--sending->open == 0) advance(sending);
    });
  }
}

void CanvasRunner::issue(Step& step, Done done) {
  if (auto* out = std::get_if<Outgoing>(&step))
    return broker_.publish(std::move(out->message), std::move(done));
  ResultBackend* store = stores_.chords();
  if (!store) return done({});
  if (auto* size = std::get_if<ChordSize>(&step))
    return store->set_chord_size(size->group_id, size->size, std::move(done));
  auto& group = std::get<SaveGroup>(step);
  store->save_group(group.group_id, std::move(group.result), std::move(done));
}

void CanvasRunner::apply(const CanvasRequest& request, const Sender& sender,
                         std::function<void(const std::string& error, Json children)> done) {
  auto signature = parse_json(request.signature);
  if (!signature) return done(signature.error().what, {});
  if (auto ok = check_signature(*signature); !ok) return done(ok.error().what, {});
  Plan plan(sender);
  plan.apply(std::move(*signature));
  auto steps = std::make_shared<std::vector<Step>>(std::move(plan.steps()));
  auto send_all = [this, steps, children = plan.children(), done = std::move(done)](const Status& status) {
    if (!status.ok()) return done(status.what, {});
    send(std::move(*steps), [children, done](const Status& sent) { done(sent.what, children); });
  };
  if (request.grow_chord.empty()) return send_all({});
  ResultBackend* store = stores_.chords();
  if (!store) return send_all({"the result store cannot add tasks to a chord"});
  store->grow_chord(request.grow_chord, std::move(send_all));
}

// --- aftermath

struct CanvasRunner::Following {
  Aftermath rest;
  Sender sender;
  std::size_t part = 0, rows = 0;
  std::string problem;
  Done done;
};

void CanvasRunner::follow(Aftermath rest, const Sender& sender, Done done) {
  auto following = std::make_shared<Following>();
  following->rest = std::move(rest);
  following->sender = sender;
  following->done = std::move(done);
  auto& rows = following->rest.rows;
  following->rows = rows.size();
  if (rows.empty()) return next_part(following);
  for (TaskResult& row : rows) {
    stores_.store(std::move(row), [this, following](const Status& status) {
      keep_first(following->problem, status.what);
      if (--following->rows == 0) next_part(following);
    });
  }
}

void CanvasRunner::next_part(const std::shared_ptr<Following>& following) {
  auto& parts = following->rest.parts;
  if (following->part < parts.size()) {
    return join(std::move(parts[following->part++]), following->sender,
                [this, following](const Status& status) {
                  keep_first(following->problem, status.what);
                  next_part(following);
                });
  }
  send(std::move(following->rest.errbacks), [following](const Status& status) {
    keep_first(following->problem, status.what);
    following->done({following->problem});
  });
}

// --- chords

void CanvasRunner::join(PartEnd end, const Sender& sender, Done done) {
  ResultBackend* store = stores_.chords();
  if (!store) return done({});  // celery.chord_unlock looks at the rows
  const std::string group_id = end.part.group_id;
  auto answered = [this, group_id, body = std::move(end.body), sender,
                   done = std::move(done)](Expected<std::optional<ChordParts>> parts) mutable {
    if (!parts) return done({parts.error().what});
    if (!*parts) return done({});
    ChordParts& all = **parts;
    auto finish = [this, group_id, body = std::move(body), sender,
                   done = std::move(done)](Values values) mutable {
      finish_chord(group_id, std::move(body), std::move(values), sender, std::move(done));
    };
    if (all.group) {
      const Fetch fetch = [this](const std::string& id,
                                 std::function<void(Expected<std::optional<Json>>)> got) {
        stores_.first().wait(id, join_timeout, [got = std::move(got)](Expected<Json> meta) {
          if (!meta) return got(tl::unexpected(meta.error()));
          got(std::optional<Json>(std::move(*meta)));
        });
      };
      Json tuples =
          all.group->is_array() && all.group->size() > 1 ? std::move((*all.group)[1]) : Json::array();
      return gather(std::move(tuples), fetch, std::move(finish));
    }
    Values values;
    for (const std::string& text : all.members) {
      auto member = parse_json(text);
      if (!member || !member->is_array() || member->size() < 4 || !(*member)[1].is_string() ||
          !(*member)[2].is_string()) {
        values.failure.text = "Join error: a part cannot be read";
        break;
      }
      const auto& state = (*member)[2].get_ref<const std::string&>();
      if (state == state::failure || state == state::revoked) {
        values.failure = failed_part((*member)[1].get<std::string>(), (*member)[3]);
        break;
      }
      values.list.push_back(std::move((*member)[3]));
    }
    finish(std::move(values));
  };
  store->add_chord_part(std::move(end.part), std::move(answered));
}

struct CanvasRunner::Gathering {
  Json tuples;
  std::map<std::string, Json> found;  // by id
  std::vector<std::string> ids;       // in order
  std::size_t open = 0;
  Values values;
  std::function<void(Values)> done;

  static std::string id_of(const Json& tuple) {
    const Json* id = &tuple;
    while (id->is_array() && !id->empty()) id = &(*id)[0];
    return id->is_string() ? id->get<std::string>() : std::string();
  }

  void add(const Json& list) {
    for (const Json& tuple : list) {
      if (tuple.is_array() && tuple.size() > 1 && tuple[1].is_array())
        add(tuple[1]);
      else
        ids.push_back(id_of(tuple));
    }
  }

  Json build(const Json& list) const {
    Json out = Json::array();
    for (const Json& tuple : list) {
      const bool nested = tuple.is_array() && tuple.size() > 1 && tuple[1].is_array();
      out.push_back(nested ? build(tuple[1]) : found.at(id_of(tuple)));
    }
    return out;
  }

  void finish() {
    if (values.ready && values.failure.text.empty()) values.list = build(tuples);
    done(std::move(values));
  }
};

void CanvasRunner::gather(Json tuples, const Fetch& fetch, std::function<void(Values)> done) {
  auto all = std::make_shared<Gathering>();
  all->done = std::move(done);
  if (tuples.is_array()) all->add(tuples);
  all->tuples = std::move(tuples);
  all->open = all->ids.size();
  if (all->ids.empty()) return all->finish();
  for (const std::string& id : std::vector<std::string>(all->ids)) {
    fetch(id, [all, id](Expected<std::optional<Json>> meta) {
      Values& values = all->values;
      if (!meta) {
        keep_first(values.failure.text, "Join error: " + meta.error().what);
      } else if (!*meta || !is_ready((**meta).value("status", std::string()))) {
        values.ready = false;
      } else if ((**meta)["status"] != state::success) {
        if (values.failure.text.empty()) values.failure = failed_part(id, (**meta)["result"]);
      } else {
        all->found[id] = std::move((**meta)["result"]);
      }
      if (--all->open == 0) all->finish();
    });
  }
}

void CanvasRunner::finish_chord(const std::string& group_id, Json body, Values values, const Sender& sender,
                                Done done) {
  if (!values.failure.text.empty())
    return fail_chord(group_id, std::move(body), values.failure, sender, std::move(done));
  Plan plan(sender);
  Json args = Json::array();
  args.push_back(std::move(values.list));
  plan.apply(body, args);
  send(std::move(plan.steps()),
       [this, group_id, body, sender, done = std::move(done)](const Status& status) mutable {
         if (status.ok()) return forget_chord(group_id, std::move(done));
         fail_chord(group_id, std::move(body), {"Callback error: " + status.what, {}}, sender,
                    [this, group_id, done = std::move(done)](const Status& failed) mutable {
                      if (!failed.ok()) return done(failed);
                      forget_chord(group_id, std::move(done));
                    });
       });
}

// The parts stay in the store until they expire: an errback may want to look at them.
void CanvasRunner::fail_chord(const std::string& group_id, Json body, const ChordFailure& why,
                              const Sender& sender, Done done) {
  log(LogLevel::error, "Chord '" + group_id + "' raised: ChordError: " + why.text);
  follow(chord_failure(std::move(body), why, sender, settings_.result_extended, takes_error()), sender,
         std::move(done));
}

void CanvasRunner::forget_chord(const std::string& group_id, Done done) {
  if (ResultBackend* store = stores_.chords()) return store->forget_chord(group_id, std::move(done));
  done({});
}

void CanvasRunner::unlock(const UnlockRequest& request, const Sender& sender,
                          std::function<void(std::string)> done) {
  auto body = parse_json(request.body);
  auto tuples = parse_json(request.results);
  if (!body) return done(body.error().what);
  if (!tuples) return done(tuples.error().what);
  if (auto ok = check_signature(*body); !ok) return done(ok.error().what);
  if (stores_.empty()) return done("chords need a result store");
  const Fetch fetch = [this](const std::string& id, std::function<void(Expected<std::optional<Json>>)> got) {
    stores_.first().fetch(id, std::move(got));
  };
  gather(std::move(*tuples), fetch,
         [this, group_id = request.group_id, body = std::move(*body), sender,
          done = std::move(done)](Values values) mutable {
           if (!values.ready) return done(chord_not_ready);
           finish_chord(group_id, std::move(body), std::move(values), sender,
                        [done = std::move(done)](const Status& status) { done(status.what); });
         });
}

}  // namespace celeriac::canvas
