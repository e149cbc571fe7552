#include "worker/client.hpp"

#include "protocol/uuid.hpp"
#include "worker/canvas/plan.hpp"
#include "worker/canvas/signature.hpp"
#include "worker/client/core.hpp"
#include "worker/client/result_node.hpp"
#include "worker/client/task_message.hpp"

#include <iterator>
#include <utility>

namespace celeriac {
namespace {

// How much of send_all() and apply_all() is handed to the loop at once: while it is on its way, the next part
// is written.
constexpr std::size_t most_part_messages = 256, most_part_bytes = 1u << 20;

// What several compositions need at the broker and the store. The store comes first: a chord has to be known
// before its parts run.
class StepsPart {
 public:
  bool full() const { return messages_.size() >= most_part_messages || bytes_ >= most_part_bytes; }
  std::size_t messages() const { return messages_.size(); }

  // How many of the steps are messages.
  std::size_t add(std::vector<canvas::Step> steps) {
    const std::size_t before = messages();
    for (canvas::Step& step : steps) {
      if (const auto* out = std::get_if<Outgoing>(&step)) {
        bytes_ += out->message.body.size() + out->message.headers.size();
        messages_.push_back(std::move(step));
      } else {
        stores_.push_back(std::move(step));
      }
    }
    return messages() - before;
  }

  std::vector<canvas::Step> in_order() && {
    std::move(messages_.begin(), messages_.end(), std::back_inserter(stores_));
    return std::move(stores_);
  }

 private:
  std::vector<canvas::Step> stores_, messages_;
  std::size_t bytes_ = 0;
};

ResultNodePtr task_node(std::string id, bool ignored) {
  auto node = std::make_shared<ResultNode>();
  node->id = std::move(id);
  node->ignored = ignored;
  return node;
}

bool ignores_result(const Json& signature) {
  const auto options = signature.find("options");
  return options != signature.end() && options->is_object() &&
         options->value("ignore_result", Json()) == true;
}

// Names the tasks of a signature whose results are ignored, so that they are known in the result.
void name_ignored(Json& signature, bool outer, std::set<std::string>& ids) {
  const bool ignored = outer || ignores_result(signature);
  const auto all = [&](Json& list) {
    for (Json& member : list) name_ignored(member, ignored, ids);
  };
  switch (canvas::kind_of(signature)) {
    case canvas::Kind::task: {
      if (!ignored) return;
      std::string id = canvas::text_option(signature, "task_id");
      if (id.empty()) signature["options"]["task_id"] = id = uuid4();
      ids.insert(std::move(id));
      return;
    }
    case canvas::Kind::chain: {  // its options are those of the first step
      bool first = true;
      for (Json& step : canvas::chain_tasks(signature))
        name_ignored(step, std::exchange(first, false) && ignored, ids);
      return;
    }
    case canvas::Kind::group:
      return all(canvas::group_tasks(signature));
    case canvas::Kind::chord:
      all(canvas::chord_header(signature));
      return name_ignored(canvas::chord_body(signature), ignored, ids);
  }
}

}  // namespace

Expected<std::unique_ptr<Client>> Client::connect(const Settings& settings, ClientOptions options) {
  auto core = std::make_shared<ClientCore>(settings, options);
  if (auto connected = core->connect(); !connected) return tl::unexpected(connected.error());
  return std::unique_ptr<Client>(new Client(std::move(core)));
}

Client::~Client() { core_->close(); }

AsyncResult Client::send(std::string_view task, Json args, Json kwargs, SendOptions options) {
  options = complete_options(task, std::move(options), core_->settings(), core_->app());
  const bool ignored = *options.ignore_result;
  SendRequest request = client_message(task, std::move(args), std::move(kwargs), std::move(options));
  ClientCore::Sending sending(*core_, 1);
  std::vector<Message> messages;
  messages.push_back(std::move(request.outgoing.message));
  sending.publish(std::move(messages));
  sending.finish();
  return AsyncResult(core_, task_node(std::move(request.task_id), ignored));
}

std::vector<AsyncResult> Client::send_all(std::string_view task, std::vector<Json> argument_lists,
                                          const SendOptions& options) {
  if (!options.task_id.empty()) throw BadArguments("send_all() gives each task an id of its own");
  for (const Json& args : argument_lists)
    if (!args.is_array()) throw BadArguments("send_all() takes a list of arguments for each task");
  std::vector<AsyncResult> results;
  if (argument_lists.empty()) return results;
  results.reserve(argument_lists.size());
  const SendOptions all = complete_options(task, options, core_->settings(), core_->app());
  ClientCore::Sending sending(*core_, argument_lists.size());
  std::vector<Message> part;
  std::size_t bytes = 0;
  const auto hand_over = [&] {
    sending.publish(std::exchange(part, {}));
    bytes = 0;
  };
  for (Json& args : argument_lists) {
    SendRequest request = client_message(task, std::move(args), Json::object(), all);
    results.push_back(AsyncResult(core_, task_node(std::move(request.task_id), *all.ignore_result)));
    bytes += request.outgoing.message.body.size() + request.outgoing.message.headers.size();
    part.push_back(std::move(request.outgoing.message));
    if (part.size() == most_part_messages || bytes >= most_part_bytes) hand_over();
  }
  if (!part.empty()) hand_over();
  sending.finish();
  return results;
}

AsyncResult Client::apply(const Signature& signature) { return apply_all({signature}).front(); }

std::vector<AsyncResult> Client::apply_all(const std::vector<Signature>& signatures) {
  std::vector<AsyncResult> results;
  results.reserve(signatures.size());
  std::vector<StepsPart> parts;
  std::size_t messages = 0;
  for (const Signature& signature : signatures) {
    Json applied = signature.json();
    if (auto ok = canvas::check_signature(applied); !ok) throw BadArguments(ok.error().what);
    std::set<std::string> ignored;
    name_ignored(applied, false, ignored);
    canvas::Plan plan(core_->sender());
    const Json tuple = plan.apply(std::move(applied));
    results.push_back(AsyncResult(core_, read_result_tuple(tuple, ignored)));
    if (parts.empty() || parts.back().full()) parts.emplace_back();
    messages += parts.back().add(std::move(plan.steps()));
  }
  if (messages == 0) return results;
  ClientCore::Sending sending(*core_, messages);
  for (StepsPart& part : parts) {
    const std::size_t count = part.messages();
    if (count > 0) sending.send(std::move(part).in_order(), count);
  }
  sending.finish();
  return results;
}

AsyncResult Client::result(std::string task_id) const {
  return AsyncResult(core_, task_node(std::move(task_id), false));
}

AsyncResult Client::result_from_tuple(const Json& tuple) const {
  return AsyncResult(core_, read_result_tuple(tuple));
}

}  // namespace celeriac
