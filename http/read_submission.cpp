#include "http/read_submission.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <charconv>
#include <iterator>

namespace celeriac::http {
namespace {

std::optional<double> read_time(const Json& body, const char* name, Faults& faults) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return std::nullopt;
  if (found->is_number()) return unix_now() + found->get<double>();
  if (found->is_string()) {
    auto time = parse_iso8601(found->get_ref<const std::string&>());
    if (time) return *time;
  }
  faults.add("/" + std::string(name), "must be an ISO 8601 time or seconds from now");
  return std::nullopt;
}

// Seconds, or "90s", "10m", "2h", "1d".
std::optional<double> read_duration(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty() || unit == "s") return number;
  if (unit == "m") return number * 60;
  if (unit == "h") return number * 3600;
  if (unit == "d") return number * 86400;
  return std::nullopt;
}

void read_uniqueness(const Json& body, Submission& s, Faults& faults) {
  static constexpr double longest = 30 * 86400;
  const auto wanted = body.find("unique_for"), key = body.find("dedupe_key"),
             conflict = body.find("on_conflict");
  if (wanted != body.end()) {
    const auto seconds = read_duration(*wanted);
    if (seconds && *seconds > 0 && *seconds <= longest)
      s.unique_for = *seconds;
    else
      faults.add("/unique_for", "must be seconds or 10m, 2h, 1d, at most 30 days");
  }
  std::string kind = "args\n" + dump_json(s.args) + "\n" + dump_json(s.kwargs);
  if (key != body.end()) {
    if (wanted == body.end()) faults.add("/dedupe_key", "goes with unique_for");
    if (key->is_string() && !key->get_ref<const std::string&>().empty() &&
        key->get_ref<const std::string&>().size() <= 255)
      kind = "key\n" + key->get<std::string>();
    else
      faults.add("/dedupe_key", "must be a text of at most 255 bytes");
  }
  if (conflict != body.end()) {
    if (*conflict == "return")
      s.return_first = true;
    else if (*conflict != "refuse")
      faults.add("/on_conflict", "must be refuse or return");
  }
  s.unique_key = sha256_hex(s.task + "\n" + kind);
}

// Only to hosts that an operator has named: the front end stands where others cannot go.
void read_callback(const Json& body, const std::vector<std::string>& hosts, Submission& s, Faults& faults) {
  const auto found = body.find("callback_url");
  if (found == body.end() || found->is_null()) return;
  const auto refuse = [&](const char* why) { faults.add("/callback_url", why); };
  if (hosts.empty()) return refuse("nobody may be called back here: http_callback_hosts names none");
  if (!found->is_string() || found->get_ref<const std::string&>().size() > 2000)
    return refuse("must be a URL of at most 2000 bytes");
  const auto url = boost::urls::parse_absolute_uri(found->get_ref<const std::string&>());
  if (!url || (url->scheme() != "https" && url->scheme() != "http") || url->host().empty())
    return refuse("must be an http:// or https:// URL");
  if (url->has_userinfo()) return refuse("must not hold a password");
  if (std::none_of(hosts.begin(), hosts.end(),
                   [&](const auto& host) { return host == "*" || host == url->host(); }))
    return refuse("http_callback_hosts does not name this host");
  s.callback_url = found->get<std::string>();
}

}  // namespace

void Faults::add(const std::string& pointer, const std::string& what) {
  list.push_back(Json{{"pointer", "#" + pointer}, {"detail", what}});
}

Response bad_body(const Faults& faults) {
  auto response = problem(422, "body-does-not-fit", "The body does not fit the task");
  auto body = *parse_json(response.body);
  body["errors"] = faults.list;
  response.body = dump_json(body) + "\n";
  return response;
}

Submission read_submission(const Json& body, const TaskEntry& task,
                           const std::vector<std::string>& callback_hosts, Faults& faults) {
  static constexpr std::string_view members[] = {"args",       "kwargs",      "countdown",   "eta",
                                                 "expires",    "priority",    "queue",       "unique_for",
                                                 "dedupe_key", "on_conflict", "callback_url"};
  Submission s;
  s.id = uuid4();
  s.task = task.name;
  s.queue = task.queue;
  if (!body.is_object()) {
    faults.add("", "must be an object");
    return s;
  }
  for (const auto& [name, value] : body.items())
    if (name != "task" && std::find(std::begin(members), std::end(members), name) == std::end(members))
      faults.add("/" + std::string(name), "is not known here");
  if (const auto args = body.find("args"); args != body.end()) {
    s.args = *args;
    if (!s.args.is_array()) faults.add("/args", "must be an array");
  }
  if (const auto kwargs = body.find("kwargs"); kwargs != body.end()) {
    s.kwargs = *kwargs;
    if (!s.kwargs.is_object()) faults.add("/kwargs", "must be an object");
  }
  if (!task.params.empty() && s.args.is_array() && s.args.size() > task.params.size())
    faults.add("/args", "has more than " + std::to_string(task.params.size()) + " elements");
  if (!task.params.empty() && s.kwargs.is_object())
    for (const auto& [name, value] : s.kwargs.items())
      if (std::find(task.params.begin(), task.params.end(), name) == task.params.end())
        faults.add("/kwargs/" + name, "the task has no such argument");
  if (task.check && faults.list.empty()) task.check(s.args, s.kwargs, faults);
  if (const auto countdown = body.find("countdown"); countdown != body.end()) {
    if (countdown->is_number() && countdown->get<double>() >= 0)
      s.eta = unix_now() + countdown->get<double>();
    else
      faults.add("/countdown", "must be a number of seconds, not negative");
  }
  if (body.contains("eta")) s.eta = read_time(body, "eta", faults);
  s.expires = read_time(body, "expires", faults);
  if (const auto priority = body.find("priority"); priority != body.end()) {
    if (priority->is_number_integer() && *priority >= 0 && *priority <= 255)
      s.priority = priority->get<int>();
    else
      faults.add("/priority", "must be a whole number from 0 to 255");
  }
  read_uniqueness(body, s, faults);
  read_callback(body, callback_hosts, s, faults);
  if (const auto queue = body.find("queue"); queue != body.end()) {
    if (queue->is_string() && !queue->get_ref<const std::string&>().empty() &&
        queue->get_ref<const std::string&>().size() <= 255)
      s.queue = queue->get<std::string>();
    else
      faults.add("/queue", "must be a name");
  }
  return s;
}

double wanted_wait(std::string_view prefer) {
  static constexpr int longest = 60;
  static constexpr std::string_view name = "wait=";
  for (std::size_t begin = 0; begin < prefer.size();) {
    const auto end = std::min(prefer.find_first_of(",;", begin), prefer.size());
    auto one = prefer.substr(begin, end - begin);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    begin = end + 1;
    if (!one.starts_with(name)) continue;
    one.remove_prefix(name.size());
    int seconds = 0;
    const auto [rest, error] = std::from_chars(one.data(), one.data() + one.size(), seconds);
    if (error == std::errc::result_out_of_range) return one.starts_with('-') ? 0 : longest;
    return error == std::errc{} ? std::clamp(seconds, 0, longest) : 0;
  }
  return 0;
}

std::optional<std::string> idempotency_key(const std::string& header) {
  std::string key = header;
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  if (key.empty() || key.size() > 128) return std::nullopt;
  for (const unsigned char c : key)
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') return std::nullopt;
  return key;
}

}  // namespace celeriac::http
