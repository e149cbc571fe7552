#include "worker/canvas/follow.hpp"

#include "protocol/time.hpp"
#include "worker/canvas/signature.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace celeriac::canvas {
namespace {

constexpr std::string_view empty_embed =
    "{\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]";

Expected<Json> checked(std::string_view text, const char* what) {
  auto signature = parse_json(text);
  if (!signature) return unexpected(std::string(what) + ": " + signature.error().what);
  if (auto ok = check_signature(*signature); !ok)
    return unexpected(std::string(what) + ": " + ok.error().what);
  return signature;
}

// Signatures; one by itself is a list of one.
Expected<Json> checked_list(std::string_view text, const char* what) {
  auto value = parse_json(text);
  if (!value) return unexpected(std::string(what) + ": " + value.error().what);
  Json list = Json::array();
  if (value->is_array())
    list = std::move(*value);
  else if (!value->is_null())
    list.push_back(std::move(*value));
  for (Json& signature : list) {
    if (auto ok = check_signature(signature); !ok)
      return unexpected(std::string(what) + ": " + ok.error().what);
  }
  return list;
}

bool holds_nothing(std::string_view text) { return text == "null" || text == "[]" || text == "{}"; }

Json one_argument(Json value) {
  Json args = Json::array();
  args.push_back(std::move(value));
  return args;
}

// The failure of one run, spread over all that would have followed it.
class Failure {
 public:
  Failure(Aftermath& out, std::string state, std::string exception, std::string traceback, bool stored,
          bool extended)
      : out_(out),
        state_(std::move(state)),
        exception_(std::move(exception)),
        traceback_(std::move(traceback)),
        stored_(stored),
        extended_(extended) {}

  // Every task in the signature, and what was to follow it.
  void spread(Json& s) {
    switch (kind_of(s)) {
      case Kind::task:
        task(s);
        break;
      case Kind::chain:
        if (!chain_tasks(s).empty()) {
          for (Json& step : chain_tasks(s)) spread(step);
          // The place of the whole chain in a chord is its last step's.
          if (text_option(chain_tasks(s).back(), "task_id").empty()) row(s);
          if (s["options"].contains("chord") && !chain_tasks(s).back()["options"].contains("chord"))
            part(s, text_option(chain_tasks(s).back(), "task_id"));
        }
        break;
      case Kind::group:
        for (Json& member : group_tasks(s)) spread(member);
        break;
      case Kind::chord:
        spread(chord_body(s));
        break;
    }
    for (Json& step : s["options"]["chain"]) spread(step);
  }

 private:
  void task(const Json& s) {
    row(s);
    if (s["options"].contains("chord")) part(s, text_option(s, "task_id"));
  }

  void row(const Json& s) {
    TaskResult row;
    row.task_id = text_option(s, "task_id");
    if (row.task_id.empty() || !stored_) return;
    row.status = state_;
    row.result = exception_;
    row.traceback = traceback_;
    row.date_done = unix_now();
    row.group_id = text_option(s, "group_id");
    row.extended = extended_;
    if (extended_) {
      row.name = s["task"].get<std::string>();
      row.args = dump_json(s["args"]);
      row.kwargs = dump_json(s["kwargs"]);
    }
    out_.rows.push_back(std::move(row));
  }

  void part(const Json& s, const std::string& task_id) {
    const Json& options = s["options"];
    PartEnd end;
    end.part.group_id = text_option(s, "group_id");
    end.part.task_id = task_id;
    if (end.part.group_id.empty() || task_id.empty() || !options["chord"].is_object()) return;
    if (const auto index = options.find("group_index"); index != options.end() && index->is_number_integer())
      end.part.index = index->get<std::int64_t>();
    end.part.state = state_;
    end.part.result = exception_;
    end.body = options["chord"];
    out_.parts.push_back(std::move(end));
  }

  Aftermath& out_;
  std::string state_, exception_, traceback_;
  bool stored_, extended_;
};

// An errback known here to take the error itself is sent with it; the others, together, with the id. Returns
// the result tuples of what is sent.
Json send_errbacks(Json errbacks, const std::string& failed_id, const Json& request,
                   const std::string& exception, const std::string& traceback, const Sender& sender,
                   const TakesError& takes_error, Aftermath& out) {
  Plan plan(sender);
  Json plain = Json::array();
  for (Json& errback : errbacks) {
    if (!takes_error(errback["task"].get<std::string>())) {
      plain.push_back(std::move(errback));
      continue;
    }
    Json args = one_argument(request);
    args.push_back(parse_json(exception).value_or(nullptr));
    args.push_back(traceback.empty() ? Json(nullptr) : Json(traceback));
    plan.apply(std::move(errback), args);
  }
  if (!plain.empty()) plan.apply(make_group(std::move(plain)), one_argument(failed_id));
  for (Step& step : plan.steps()) out.errbacks.push_back(std::move(step));
  return plan.children();
}

std::string chord_error(std::string_view text) {
  ExceptionInfo info{"ChordError", "celery.exceptions", "["};
  dump_json_string(text, info.args);
  info.args += ']';
  return info.json();
}

// The errbacks of the chord that this body is a part of.
Json outer_errbacks(Json& body) {
  if (kind_of(body) == Kind::chain && !chain_tasks(body).empty() && !body["options"].contains("chord"))
    return outer_errbacks(chain_tasks(body).back());
  const auto outer = body["options"].find("chord");
  return outer != body["options"].end() && outer->is_object() ? list_option(*outer, "link_error")
                                                              : Json::array();
}

Json without(const Json& list, const Json& left_out) {
  Json out = Json::array();
  for (const Json& item : list) {
    if (std::find(left_out.begin(), left_out.end(), item) == left_out.end()) out.push_back(item);
  }
  return out;
}

Json request_record(const TaskHeaders& headers) {
  Json request = Json::object();
  request["id"] = headers.id;
  request["task"] = headers.task;
  request["root_id"] = headers.root_id.empty() ? headers.id : headers.root_id;
  request["parent_id"] = headers.parent_id.empty() ? Json(nullptr) : Json(headers.parent_id);
  request["group"] = headers.group.empty() ? Json(nullptr) : Json(headers.group);
  request["retries"] = headers.retries;
  return request;
}

// The next step of the chain goes out with those behind it, which nobody reads here: they are its message's
// business. Only a composition takes them in.
Expected<bool> take_step(const Embed& embed, const Json& args, Plan& plan) {
  auto texts = embed.next_step();
  if (!texts) texts = ChainTexts{embed.chain(), "[]"};  // one step by itself
  auto next = checked(texts->next, "chain");
  if (!next) return tl::unexpected(next.error());
  if (kind_of(*next) == Kind::task) {
    plan.apply_step(std::move(*next), args, std::move(texts->later));
    return true;
  }
  auto later = checked_list(texts->later, "chain");
  if (!later) return tl::unexpected(later.error());
  Json options = Json::object();
  options["chain"] = std::move(*later);
  plan.apply(std::move(*next), args, Json::object(), std::move(options));
  return true;
}

Expected<bool> succeed(const Embed& embed, const Ended& ended, const Sender& sender, Aftermath& out) {
  auto callbacks = checked_list(embed.callbacks(), "link");
  if (!callbacks) return tl::unexpected(callbacks.error());
  if (callbacks->empty() && holds_nothing(embed.chain())) return true;
  auto value = parse_json(ended.result);
  if (!value) return tl::unexpected(value.error());
  const Json args = one_argument(std::move(*value));
  Plan plan(sender);
  if (callbacks->size() == 1) {
    plan.apply(std::move((*callbacks)[0]), args);
  } else {
    Json plain = Json::array();
    for (Json& callback : *callbacks) {
      if (kind_of(callback) == Kind::group)
        plan.apply(std::move(callback), args);
      else
        plain.push_back(std::move(callback));
    }
    if (!plain.empty()) plan.apply(make_group(std::move(plain)), args);
  }
  if (!holds_nothing(embed.chain())) {
    if (auto ok = take_step(embed, args, plan); !ok) return ok;
  }
  out.before = std::move(plan.steps());
  out.children = plan.children();
  return true;
}

}  // namespace

Expected<Aftermath> aftermath(const Embed& embed, const Ended& ended, const Sender& sender,
                              const TakesError& takes_error) {
  Aftermath out;
  if (!holds_nothing(embed.chord()) && !ended.headers->group.empty()) {
    auto body = checked(embed.chord(), "chord");
    if (!body) return tl::unexpected(body.error());
    PartEnd end;
    end.part.group_id = ended.headers->group;
    end.part.task_id = ended.headers->id;
    end.part.index = ended.headers->group_index;
    end.part.state = ended.state;
    end.part.result = ended.result;
    end.body = std::move(*body);
    out.parts.push_back(std::move(end));
  }
  if (ended.state == state::success) {
    if (auto ok = succeed(embed, ended, sender, out); !ok) return tl::unexpected(ok.error());
  } else if (ended.state == state::failure) {
    auto chain = checked_list(embed.chain(), "chain");
    if (!chain) return tl::unexpected(chain.error());
    Failure failure(out, ended.state, ended.result, ended.traceback, ended.stored, ended.extended);
    for (Json& step : *chain) failure.spread(step);
    auto errbacks = checked_list(embed.errbacks(), "link_error");
    if (!errbacks) return tl::unexpected(errbacks.error());
    send_errbacks(std::move(*errbacks), ended.headers->id, request_record(*ended.headers), ended.result,
                  ended.traceback, sender, takes_error, out);
  }
  return out;
}

Aftermath chord_failure(Json body, const ChordFailure& why, const Sender& sender, bool extended,
                        const TakesError& takes_error) {
  Aftermath out;
  const bool own = kind_of(body) == Kind::group && !why.cause.empty();
  const std::string exception = own ? why.cause : chord_error(why.text);
  const std::string id = text_option(body, "task_id");
  std::map<std::string, std::string> children;  // what each failed task's row names: its errbacks
  const auto call = [&](Json errbacks, const std::string& failed_id, const Json& failed) {
    for (Json& errback : errbacks) {
      if (!check_signature(errback)) errback = nullptr;
    }
    for (std::size_t i = errbacks.size(); i-- > 0;) {
      if (errbacks[i].is_null()) errbacks.erase(i);
    }
    TaskHeaders headers;
    headers.id = failed_id;
    headers.task = failed["task"].get<std::string>();
    Sender from = sender;
    from.parent_id = from.root_id = failed_id;
    const Json sent = send_errbacks(std::move(errbacks), failed_id, request_record(headers), exception, {},
                                    from, takes_error, out);
    children[failed_id] = dump_json(sent);
  };
  if (kind_of(body) == Kind::group) {
    for (const Json& member : group_tasks(body))
      call(list_option(member, "link_error"), text_option(member, "task_id"), member);
  } else {
    call(without(list_option(body, "link_error"), outer_errbacks(body)), id, body);
  }
  Failure failure(out, std::string(state::failure), exception, {}, true, extended);
  failure.spread(body);
  for (TaskResult& row : out.rows) {
    if (const auto sent = children.find(row.task_id); sent != children.end()) row.children = sent->second;
  }
  return out;
}

bool nothing_follows(std::string_view body) {
  while (!body.empty() && (body.back() == ' ' || body.back() == '\n')) body.remove_suffix(1);
  return body.ends_with(empty_embed);
}

ChordFailure failed_part(const std::string& task_id, const Json& exception) {
  ExceptionInfo info;
  if (exception.is_object()) {
    if (const auto type = exception.find("exc_type"); type != exception.end() && type->is_string())
      info.type = type->get<std::string>();
    if (const auto args = exception.find("exc_message"); args != exception.end())
      info.args = args->is_array() ? dump_json(*args) : dump_json(one_argument(*args));
  }
  return {"Dependency " + task_id + " raised " + info.repr(),
          info.type.empty() ? std::string() : dump_json(exception)};
}

}  // namespace celeriac::canvas
