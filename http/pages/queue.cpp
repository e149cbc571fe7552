// One queue: what waits in it; pause, resume, purge.
#include "http/front.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/html.hpp"
#include "http/pages/patience.hpp"
#include "http/pages/queues.hpp"
#include "protocol/envelope.hpp"
#include "protocol/message.hpp"
#include "protocol/time.hpp"
#include "worker/logging.hpp"

#include <charconv>

namespace celeriac::http {
namespace {

constexpr std::size_t most_messages = 50;

std::string shown_arguments(const TaskHeaders& headers) {
  auto args = headers.argsrepr, kwargs = headers.kwargsrepr;
  redact(args);
  redact(kwargs);
  return args.substr(0, 200) + (kwargs.empty() || kwargs == "{}" ? "" : " " + kwargs.substr(0, 200));
}

std::string waiting_html(const std::vector<WaitingMessage>& messages) {
  HtmlTable table("Next in line", {"", "Task", "Id", "Priority", "Retries", "Arguments", "Bytes"},
                  {0, 3, 4, 6});
  static const std::vector<std::string> accept = {"application/json"};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& message = messages[i];
    const auto bytes = std::to_string(message.bytes.size());
    const auto envelope = decode_envelope(message.bytes);
    const auto place = std::to_string(i + 1), step = std::to_string(message.step);
    if (!envelope) {
      table.row({place, "<span class=bad>unreadable: " + escaped(envelope.error().what) + "</span>", "", step,
                 "", "", bytes});
      continue;
    }
    const auto headers = read_task(*envelope, accept);
    if (!headers) {
      table.row({place, "<span class=bad>" + escaped(headers.error().cause) + "</span>",
                 escaped(headers.error().task_id), step, "", "", bytes});
      continue;
    }
    table.row({place, escaped(headers->task), task_link(headers->id), step, std::to_string(headers->retries),
               "<code>" + escaped(shown_arguments(*headers)) + "</code>", bytes});
  }
  return table.text("Nothing waits.");
}

std::string queue_notice(std::map<std::string, std::string> values) {
  const auto& done = values["done"];
  if (done == "purged") {
    std::uint64_t count = 0;
    std::from_chars(values["count"].data(), values["count"].data() + values["count"].size(), count);
    return notice_html(std::to_string(count) + (count == 1 ? " message was" : " messages were") +
                       " dropped.");
  }
  if (done == "paused")
    return notice_html("The queue is paused: celeriac workers take nothing more from it.");
  if (done == "resumed") return notice_html("Workers take from the queue again.");
  return "";
}

std::string queue_path(const std::string& name) { return "/queue?name=" + url_encoded(name); }

Response failed(const std::string& name, const std::string& why, unsigned status = 503) {
  auto page = html_page(
      {"Queue " + name, "/",
       warning_html(why) + "<p><a href=\"" + escaped(queue_path(name)) + "\">Back to the queue</a></p>",
       true});
  page.status = status;
  return page;
}

}  // namespace

void Front::show_queue(const Request& request, const Respond& respond, const std::string& name) {
  with_picture({name}, [this, request, respond, name](const QueuesPicture& picture) {
    const bool paused = picture.paused.contains(name);
    std::string body = queue_notice(request.query_values()) + queues_html(picture) + "<div class=acts>";
    const std::vector<std::pair<std::string, std::string>> named = {{"name", name}};
    if (keeper_ && paused)
      body += button_form(request, "/queue/resume", named, "Resume", "primary");
    else if (keeper_)
      body += post_form(request, "/queue/pause",
                        hidden_field("name", name) +
                            "<label>Why<input name=note maxlength=200></label><button>Pause</button>");
    body += "<a class=\"button danger\" href=\"/queue/purge?name=" + url_encoded(name) + "\">Purge...</a>" +
            "<a class=button href=\"/tasks?queue=" + url_encoded(name) + "\">Its runs</a>" +
            "<a class=button href=\"/dead?queue=" + url_encoded(name) + "\">Its dead letters</a></div>\n";
    const auto finish = [respond, name, body](const Expected<std::vector<WaitingMessage>>& messages) {
      respond(html_page({"Queue " + name, "/",
                         body + (messages ? waiting_html(*messages) : warning_html(messages.error().what))}));
    };
    if (!keeper_ || !connected_)
      return finish(unexpected(keeper_ ? "The broker cannot be reached." : keeper_problem_));
    keeper_->waiting(name, 0, most_messages, in_time<std::vector<WaitingMessage>>(io_, broker_late, finish));
  });
}

void Front::add_queue_pages() {
  const auto named = [](const Request& request) {
    auto name = request.query_values()["name"];
    if (name.size() > 255) name.clear();
    return name;
  };
  add_page("/queue", Access::admin, "One queue (?name=)",
           [this, named](const Request& request, const Respond& respond) {
             const auto name = named(request);
             if (name.empty()) return respond(failed(name, "Which queue? ?name= is missing.", 404));
             show_queue(request, respond, name);
           });
  add_page("/queue/purge", Access::admin, "Asks before a queue is purged",
           [this, named](const Request& request, const Respond& respond) {
             const auto name = named(request);
             if (name.empty()) return respond(failed(name, "Which queue? ?name= is missing.", 404));
             with_queues({name}, [request, respond, name](const Expected<std::vector<QueueInfo>>& queues) {
               if (!queues) return respond(failed(name, queues.error().what));
               const auto count = queues->front().ready;
               std::string body = "<p><strong>" + std::to_string(count) +
                                  (count == 1 ? " waiting message" : " waiting messages") +
                                  "</strong> of queue " + queue_link(name) +
                                  " will be dropped for good. What workers hold, and what is delayed, "
                                  "stays.</p><div class=acts>" +
                                  button_form(request, "/queue/purge", {{"name", name}},
                                              "Drop " + std::to_string(count), "danger") +
                                  "<a class=button href=\"" + escaped(queue_path(name)) +
                                  "\">Keep them</a></div>";
               respond(html_page({"Purge " + name + "?", "/", body, true}));
             });
           });
  add_action(
      "/queue/purge", "Drop what waits in a queue",
      [this](const Request& request, const FormValues& form, const Respond& respond) {
        const auto& name = form["name"];
        if (name.empty()) return respond(failed(name, "Which queue? Its name is missing.", 422));
        if (!connected_) return respond(failed(name, "The broker cannot be reached."));
        act(request, respond, "purge", name, Json::object(), [this, respond, name](const EndAction& end) {
          const auto answer = [respond, name, end](const Expected<std::uint64_t>& count) {
            end(count ? "" : count.error().what, count ? Json{{"count", *count}} : Json::object(),
                [respond, name, count] {
                  if (!count) return respond(failed(name, count.error().what));
                  respond(see_other(queue_path(name) + "&done=purged&count=" + std::to_string(*count)));
                });
          };
          broker_->purge(name, in_time<std::uint64_t>(io_, broker_late, answer));
        });
      });
  const auto change = [this](bool pausing) {
    return [this, pausing](const Request& request, const FormValues& form, const Respond& respond) {
      const auto& name = form["name"];
      if (name.empty() || form["note"].size() > 1000)
        return respond(failed(name, "The name is missing, or the note is too long.", 422));
      if (!keeper_) return respond(failed(name, keeper_problem_, 409));
      const auto note =
          format_iso8601(static_cast<double>(static_cast<std::int64_t>(unix_now()))).substr(0, 19) + "Z by " +
          request.caller.user_id + (form["note"].empty() ? "" : ": " + form["note"]);
      act(request, respond, pausing ? "pause" : "resume", name,
          pausing ? Json{{"note", form["note"]}} : Json::object(),
          [this, respond, name, note, pausing](const EndAction& end) {
            const auto answer =
                in_time<bool>(io_, broker_late, [respond, name, pausing, end](const Expected<bool>& changed) {
                  end(changed ? "" : changed.error().what, Json::object(), [respond, name, pausing, changed] {
                    if (!changed) return respond(failed(name, changed.error().what));
                    respond(see_other(queue_path(name) + (pausing ? "&done=paused" : "&done=resumed")));
                  });
                });
            pausing ? keeper_->pause(name, note, answer) : keeper_->resume(name, answer);
          });
    };
  };
  add_action("/queue/pause", "Keep workers from a queue", change(true));
  add_action("/queue/resume", "Let workers take from a queue again", change(false));
}

}  // namespace celeriac::http
