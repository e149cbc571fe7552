// Deliveries that went back to their queue behind the worker's back (a lost channel), and their return.
#include "control_fixture.hpp"

#include <chrono>
#include <csignal>
#include <thread>

using namespace celeriac;
using namespace celeriac::control_test;

namespace {

using Tags = std::vector<Tag>;

Settings late(bool cancel = false) {
  Settings settings;
  settings.task_acks_late = true;
  settings.worker_cancel_long_running_tasks_on_connection_loss = cancel;
  return settings;
}

void again(Node& node, const std::string& id) { node.deliver(id, "t.add", {}, true); }

}  // namespace

TEST_CASE("a running task takes over the tag of its redelivery and is settled with it, once") {
  Node node(false, {}, late());
  node.deliver("a");  // tag 1
  node.begin(0);
  node.consumer->on_taken({1});
  CHECK(node.broker.requeued.empty());
  again(node, "a");  // tag 2
  CHECK(node.pool.jobs.size() == 1);
  CHECK(node.broker.acked.empty());
  node.finish(0, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{2});
  CHECK(node.rows.size() == 1);
  CHECK(node.consumer->requests().empty());
}

TEST_CASE(
    "a task that ends before its message is back is settled by the void tag, which the broker remembers") {
  Node node(false, {}, late());
  node.deliver("a");
  node.begin(0);
  node.consumer->on_taken({1});
  node.finish(0, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{1});
  CHECK(node.consumer->requests().empty());
}

TEST_CASE("a second loss while the redelivery is attached ends with the third delivery") {
  Node node(false, {}, late());
  node.deliver("a");
  node.begin(0);
  node.consumer->on_taken({1});
  again(node, "a");
  node.consumer->on_taken({2});
  again(node, "a");
  node.finish(0, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{3});
  CHECK(node.pool.jobs.size() == 1);
}

TEST_CASE("a delivery beside the one that is still valid is acknowledged together with it") {
  Node node(false, {}, late());
  node.deliver("a");
  node.begin(0);
  again(node, "a");
  CHECK(node.broker.acked.empty());
  node.finish(0, Returned{"3", "", "[]"});
  std::sort(node.broker.acked.begin(), node.broker.acked.end());
  CHECK(node.broker.acked == Tags{1, 2});
}

TEST_CASE("a duplicate whose delivery became void is not settled any more") {
  Node node(false, {}, late());
  node.deliver("a");
  node.begin(0);
  again(node, "a");
  node.consumer->on_taken({2});
  node.finish(0, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{1});
}

TEST_CASE("another delivery that is still valid carries on, before the task begins and while it runs") {
  Node node(false, {}, late());
  for (const char* id : {"a", "b"}) node.deliver(id);  // tags 1 and 2
  node.begin(0);
  again(node, "a");
  again(node, "b");
  node.consumer->on_taken({1, 2});
  CHECK(node.consumer->requests().size() == 2);
  node.finish(0, Returned{"3", "", "[]"});
  node.begin(1);
  node.finish(1, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{3, 4});
  CHECK(node.consumer->requests().empty());
}

TEST_CASE("what has not begun is forgotten and runs when it comes again") {
  Node node(false, {}, late());
  for (const char* id : {"a", "b", "c"}) node.deliver(id);
  node.begin(0);
  node.consumer->on_taken({1, 2, 3});
  std::sort(node.broker.requeued.begin(), node.broker.requeued.end());
  CHECK(node.broker.requeued == Tags{2, 3});  // tells the broker that nobody works on them
  CHECK(node.consumer->requests().size() == 1);
  again(node, "b");
  again(node, "c");
  CHECK(node.consumer->requests().size() == 3);
  again(node, "a");
  node.finish(0, Returned{"3", "", "[]"});
  CHECK(node.broker.acked == Tags{6});
}

TEST_CASE("a task acknowledged at its start is not begun again by a redelivery") {
  Node node;
  node.deliver("a");
  node.begin(0);
  CHECK(node.broker.acked == Tags{1});
  node.consumer->on_taken({1});  // the acknowledgement did not arrive
  again(node, "a");
  CHECK(node.pool.jobs.size() == 1);
  CHECK(node.broker.acked == Tags{1, 2});
}

TEST_CASE("messages that wait for their ETA are forgotten and scheduled anew") {
  Node node;
  const auto later = [](TaskHeaders& headers) { headers.eta = unix_now() + 600; };
  node.deliver("a", "t.add", later);
  node.deliver("b");
  node.begin(0);
  CHECK(node.consumer->scheduled().size() == 1);
  node.consumer->on_taken({1, 2});
  CHECK(node.consumer->scheduled().empty());
  node.deliver("a", "t.add", later, true);
  CHECK(node.consumer->scheduled().size() == 1);
  CHECK(node.broker.deferred == Tags{1, 3});
}

TEST_CASE("a retry is another message, not the return of the one that runs") {
  Node node(false, {}, late());
  node.deliver("a");
  node.begin(0);
  node.consumer->on_taken({1});
  node.deliver(
      "a", "t.add", [](TaskHeaders& headers) { headers.retries = 1; }, true);
  CHECK(node.pool.jobs.size() == 2);
}

TEST_CASE("worker_cancel_long_running_tasks_on_connection_loss ends what runs late, and it runs anew") {
  Node node(false, {}, late(true));
  node.deliver("a");
  node.begin(0);
  node.consumer->on_taken({1});
  CHECK(node.pool.terminated.size() == 1);
  CHECK(node.pool.terminated.begin()->second == SIGTERM);
}

TEST_CASE("what is acknowledged at its start does not count as held when the surplus goes back") {
  Node node;  // two slots: Celery's window is eight
  for (int i = 0; i < 11; ++i) node.deliver("t" + std::to_string(i));
  node.begin(0);
  node.begin(1);
  CHECK(node.broker.acked == Tags{1, 2});
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // longer than a message may wait
  node.consumer->tick();
  CHECK(node.broker.requeued == Tags{11});
}
