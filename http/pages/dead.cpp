// Dead letters: look at them, put them back, throw them away.
#include "http/front.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/html.hpp"
#include "http/pages/patience.hpp"

#include <algorithm>
#include <charconv>

namespace celeriac::http {
namespace {

constexpr std::size_t most_letters = 50, most_at_once = 10000, most_told = 100;

Response dead_page(const std::string& body, unsigned status = 200, bool still = false) {
  auto page = html_page({"Dead letters", "/dead", body, still});
  page.status = status;
  return page;
}

std::string dead_path(const std::string& queue) {
  return "/dead" + (queue.empty() ? "" : "?queue=" + url_encoded(queue));
}

std::string letters_html(const Request& request, const std::vector<KeptLetter>& letters,
                         const std::string& queue) {
  HtmlTable table("The oldest " + std::to_string(most_letters) + (queue.empty() ? "" : " of " + queue),
                  {"", "Buried (UTC)", "Queue", "Category", "Task", "Id", "Cause"});
  for (const auto& letter : letters)
    table.row({"<input type=checkbox name=letter value=\"" + escaped(letter.id) + "\" aria-label=\"choose " +
                   escaped(letter.why.task + " " + letter.id) + "\">",
               time_html(letter.time), queue_link(letter.queue), escaped(letter.why.category),
               escaped(letter.why.task),
               letter.why.task_id.empty() ? "<code>" + escaped(letter.id) + "</code>"
                                          : task_link(letter.why.task_id),
               "<details><summary>" + escaped(letter.why.cause.substr(0, 160)) + "</summary><pre>" +
                   escaped(letter.bytes.substr(0, 4096)) + "</pre></details>"});
  std::string inside = hidden_field("queue", queue) + table.text("There are none.");
  if (!letters.empty())
    inside +=
        "<div class=acts><button name=do value=requeue class=primary>Requeue the chosen</button><button "
        "name=do "
        "value=discard class=danger>Discard the chosen...</button><button name=do value=requeue-all>Requeue "
        "all...</button><button name=do value=discard-all class=danger>Discard all...</button></div>";
  return post_form(request, "/dead", inside, "plain");
}

std::string letters_notice(std::map<std::string, std::string> values) {
  const auto& done = values["done"];
  if (done != "requeue" && done != "discard") return "";
  std::uint64_t count = 0;
  std::from_chars(values["count"].data(), values["count"].data() + values["count"].size(), count);
  return notice_html(std::to_string(count) + (count == 1 ? " letter was " : " letters were ") +
                     (done == "requeue" ? "put back into the queue." : "discarded."));
}

std::string question_html(const Request& request, const std::vector<KeptLetter>& letters,
                          const std::string& act, bool all, const std::string& queue) {
  const auto count =
      std::to_string(letters.size()) + (letters.size() == 1 ? " dead letter" : " dead letters");
  std::string inside = hidden_field("queue", queue) + hidden_field("do", act + (all ? "-all" : "")) +
                       hidden_field("sure", "yes");
  if (!all)
    for (const auto& letter : letters) inside += hidden_field("letter", letter.id);
  inside += act == "discard" ? "<button class=danger>Discard " + count + "</button>"
                             : "<button class=primary>Requeue " + count + "</button>";
  return "<p><strong>" + count + "</strong>" +
         (all && !queue.empty() ? " of queue " + queue_link(queue) : "") +
         (act == "discard" ? " will be deleted for good."
                           : " will be put back into the queues they came from.") +
         "</p><div class=acts>" + post_form(request, "/dead", inside) + "<a class=button href=\"" +
         escaped(dead_path(queue)) + "\">Leave them</a></div>";
}

}  // namespace

// The letters that a form means: those it names, or all of a queue.
void Front::with_letters(const FormValues& form, bool all, Then<std::vector<KeptLetter>> then) {
  const auto ids = form.all("letter");
  keeper_->dead(form["queue"], 0, most_at_once,
                in_time<std::vector<KeptLetter>>(
                    io_, broker_late,
                    [ids, all, then = std::move(then)](const Expected<std::vector<KeptLetter>>& letters) {
                      if (!letters || all) return then(letters);
                      std::vector<KeptLetter> chosen;
                      for (const auto& letter : *letters)
                        if (std::find(ids.begin(), ids.end(), letter.id) != ids.end())
                          chosen.push_back(letter);
                      then(std::move(chosen));
                    }));
}

void Front::settle_letters(const Request& request, const FormValues& form, const Respond& respond) {
  const auto wanted = form["do"];
  const bool all = wanted.ends_with("-all"), sure = form["sure"] == "yes";
  const auto act_name = wanted.substr(0, wanted.find('-'));
  if (act_name != "requeue" && act_name != "discard")
    return respond(dead_page(warning_html("Requeue or discard?"), 422));
  if (!keeper_) return respond(dead_page(warning_html(keeper_problem_), 409));
  with_letters(
      form, all,
      [this, request, respond, act_name, all, sure,
       queue = form["queue"]](const Expected<std::vector<KeptLetter>>& letters) {
        if (!letters) return respond(dead_page(warning_html(letters.error().what), 503));
        if (letters->empty())
          return respond(dead_page(warning_html("None was chosen, or they are gone.") + "<p><a href=\"" +
                                       escaped(dead_path(queue)) + "\">Back</a></p>",
                                   409, true));
        // Those that were chosen one by one are put back at once; all else is asked about.
        if (!sure && (all || act_name == "discard"))
          return respond(dead_page(question_html(request, *letters, act_name, all, queue), 200, true));
        Json ids = Json::array();
        for (const auto& letter : *letters)
          if (ids.size() < most_told) ids.push_back(letter.id);
        act(request, respond, act_name, queue, Json{{"letters", ids}, {"chosen", letters->size()}},
            [this, respond, act_name, queue, letters = *letters](const EndAction& end) {
              const auto done = in_time<QueueKeeper::Count>(
                  io_, broker_late,
                  [respond, act_name, queue, end](const Expected<QueueKeeper::Count>& count) {
                    end(count ? "" : count.error().what, count ? Json{{"count", *count}} : Json::object(),
                        [respond, act_name, queue, count] {
                          if (!count) return respond(dead_page(warning_html(count.error().what), 503));
                          respond(see_other(dead_path(queue) + (queue.empty() ? "?" : "&") +
                                            "done=" + act_name + "&count=" + std::to_string(*count)));
                        });
                  });
              if (act_name == "requeue") return keeper_->requeue(letters, "", done);
              std::vector<std::string> chosen;
              for (const auto& letter : letters) chosen.push_back(letter.id);
              keeper_->discard(std::move(chosen), done);
            });
      });
}

void Front::add_dead_pages() {
  add_page("/dead", Access::admin, "Dead letters", [this](const Request& request, const Respond& respond) {
    const auto queue = request.query_values()["queue"];
    if (!keeper_ || !connected_)
      return respond(dead_page(warning_html(keeper_ ? "The broker cannot be reached." : keeper_problem_)));
    keeper_->dead(
        queue, 0, most_letters,
        in_time<std::vector<KeptLetter>>(
            io_, broker_late, [request, respond, queue](const Expected<std::vector<KeptLetter>>& letters) {
              if (!letters) return respond(dead_page(warning_html(letters.error().what), 503));
              respond(
                  dead_page(letters_notice(request.query_values()) + letters_html(request, *letters, queue)));
            }));
  });
  add_action("/dead", "Requeue or discard dead letters",
             [this](const Request& request, const FormValues& form, const Respond& respond) {
               settle_letters(request, form, respond);
             });
}

}  // namespace celeriac::http
