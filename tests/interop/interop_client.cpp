// Sends what a program in C++ may send to a worker that has the tasks of Celery's integration tests, and
// checks each result. What only a Celery client can judge is printed, one JSON object a line.
//
//   interop_client BROKER BACKEND
#include "config/settings.hpp"
#include "worker/client.hpp"

#include <iostream>

using namespace celeriac;
using namespace std::chrono_literals;

namespace {

constexpr auto limit = 60s;  // a guard against a hang
int wrong = 0;

std::string name(const std::string& task) { return "t.integration.tasks." + task; }
Signature task(const std::string& task, std::vector<Json> args = {}) {
  return Signature(name(task), std::move(args));
}

void check(const std::string& what, const Json& value, const Json& expected) {
  if (value == expected) return;
  ++wrong;
  std::cerr << what << ": " << value << " instead of " << expected << std::endl;
}

void check_raises(const std::string& what, const AsyncResult& result, const std::string& type) {
  try {
    const Json value = result.get(limit);
    check(what, value, type);
  } catch (const TaskError& error) {
    check(what, error.info().type, type);
  }
}

void print(const std::string& kind, Json value) {
  std::cout << dump_json(Json{{kind, std::move(value)}}) << std::endl;
}

void send_tasks(Client& client) {
  const auto call = [&](const std::string& task, Json args, SendOptions options = {}) {
    return client.send(name(task), std::move(args), Json::object(), std::move(options));
  };
  check("task", call("add", {1, 2}).get(limit), 3);
  check("keywords", client.send(name("add"), {}, {{"x", 1}, {"y", 2}}).get(limit), 3);
  check("text", call("identity", {"h\u00e5 \u20ac"}).get(limit), "h\u00e5 \u20ac");
  check("id", call("add", {1, 2}, {.task_id = "id-of-my-own"}).id(), "id-of-my-own");
  check("priority", call("return_priority", {}, {.priority = 6}).get(limit), "Priority: 6");
  check("countdown", call("add", {1, 2}, {.countdown = 0.5}).get(limit), 3);
  check_raises("expired", call("add", {1, 2}, {.countdown = 0.2, .expires = 1}), "TaskRevokedError");
  const AsyncResult ids = call("ids", {7});
  check("root and parent", ids.get(limit), Json::array({ids.id(), nullptr, 7}));

  const AsyncResult failed = call("fail", {"why"});
  check_raises("failure", failed, "ExpectedException");
  check("state", failed.state(), "FAILURE");
  check("stored failure", failed.get(limit, false)["exc_type"], "ExpectedException");
  failed.forget();
  check("forgotten", failed.state(), "PENDING");

  std::vector<Json> lists;
  for (int i = 0; i < 300; ++i) lists.push_back(Json::array({i, i}));
  const auto many = client.send_all(name("add"), lists);
  for (int i = 0; i < 300; ++i) check("send_all", many[i].get(limit), 2 * i);

  print("ignored", call("add", {1, 2}, {.ignore_result = true}).id());
  const AsyncResult revoked = call("add", {1, 2}, {.countdown = 3600});
  revoked.revoke();
  print("revoked", revoked.id());
}

void send_compositions(Client& client) {
  const auto value = [&](const std::string& what, const Signature& signature, const Json& expected) {
    const AsyncResult result = client.apply(signature);
    check(what, result.get(limit), expected);
    print("tuple", Json{{"tuple", result.as_tuple()}, {"value", expected}});
  };
  const auto raises = [&](const std::string& what, const Signature& signature, const std::string& type) {
    check_raises(what, client.apply(signature), type);
  };
  value("chain", chain({task("add", {1, 2}), task("mul", {10}), task("add", {5})}), 35);
  value("immutable step", chain({task("add", {1, 2}), task("add", {3, 4}).immutable()}), 7);
  value("group", group({task("add", {1, 1}), task("add", {2, 2}), task("add", {3, 3})}), {2, 4, 6});
  value("chord", chord({task("add", {1, 1}), task("add", {2, 2})}, task("tsum")), 6);
  value("chain to group", chain({task("add", {1, 1}), group({task("mul", {2}), task("mul", {3})})}), {4, 6});
  value("chord in a chain",
        chain({task("add", {1, 1}), group({task("mul", {2}), task("mul", {3})}), task("tsum"),
               task("add", {1})}),
        11);
  value("chord in a header",
        chord({chord({task("add", {1, 1}), task("add", {2, 2})}, task("tsum")), task("add", {3, 3})},
              task("tsum")),
        12);
  value("chain in a header",
        chord({chain({task("add", {1, 1}), task("mul", {10})}), task("add", {2, 2})}, task("tsum")), 24);
  value("group in a header",
        chord({task("add", {1, 1}), group({task("add", {2, 2}), task("add", {3, 3})})}, task("xsum")), 12);
  std::vector<Signature> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(chain({task("add", {i, 1}), task("mul", {10})}));
    many.push_back(chord({task("add", {i, 0}), task("add", {0, i})}, task("tsum")));
  }
  const auto results = client.apply_all(many);
  for (int i = 0; i < 300; ++i) {
    check("apply_all, chain", results[2 * i].get(limit), 10 * (i + 1));
    check("apply_all, chord", results[2 * i + 1].get(limit), 2 * i);
  }
  raises("failing first step", chain({task("fail"), task("add", {1}), task("add", {2})}),
         "ExpectedException");
  // Both may be stored when the client looks: the part's failure, and the body's that follows from it.
  try {
    client.apply(chord({task("add", {1, 1}), task("fail", {"part"})}, task("tsum"))).get(limit);
    check("failing part", "a value", "a failure");
  } catch (const TaskError& error) {
    if (error.info().type != "ChordError") check("failing part", error.info().type, "ExpectedException");
  }
  raises("failing member", group({task("add", {1, 1}), task("fail", {"member"})}), "ExpectedException");

  const AsyncResult called_back = client.apply(
      task("fail", {"x"}).on_error(task("errback_old_style")).on_error(task("errback_new_style")));
  check_raises("errbacks", called_back, "ExpectedException");
  print("errbacks", called_back.id());
  check("link",
        client.apply(task("add", {1, 2}).link(task("redis_echo", {"x", "linked"}).immutable())).get(limit),
        3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Settings settings;
  settings.broker_url = argv[1];
  settings.result_backend = argv[2];
  const auto client = Client::connect(settings, {.timeout = 60s});
  if (!client) return std::cerr << client.error().what << "\n", 1;
  try {
    send_tasks(**client);
    send_compositions(**client);
  } catch (const std::exception& error) {
    return std::cerr << error.what() << "\n", 1;
  }
  return wrong ? 1 : 0;
}
