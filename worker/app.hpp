// App is what a task author sees: register functions, nothing else.
//
//   celeriac::Json add(celeriac::Context&, double x, double y) { return x + y; }
//
//   int main(int argc, char** argv) {
//     celeriac::App app;
//     app.task("add", add, {.params = {"x", "y"}, .queue = "math", .max_retries = 5});
//     return celeriac::worker_main(app, argc, argv);
//   }
//
// There is no global registry: main() builds one App, so reading main() tells what the worker
// can do. Registration happens before the worker starts; afterwards the App is only read.
#pragma once

#include "worker/arguments.hpp"
#include "worker/context.hpp"
#include "worker/errors.hpp"
#include "worker/task_options.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace boost::asio {
class any_io_executor;
template <typename, typename>
class awaitable;
}  // namespace boost::asio

namespace celeriac {

// A task as a coroutine (worker/async_task.hpp). What it is given lives until it has ended.
using AsyncBody = std::function<boost::asio::awaitable<Json, boost::asio::any_io_executor>(
    Context&, const Json& args, const Json& kwargs)>;

class App {
 public:
  App();  // with Celery's built-in tasks

  using Body = std::function<Json(Context&, const Json& args, const Json& kwargs)>;
  struct Task {
    std::string name;
    TaskOptions options;
    Body body;
    AsyncBody async_body = nullptr;  // null: not a coroutine
    ArgumentRules rules = {};
  };

  // Registers a function `R fn(Context&, Args...)`. Arguments are taken by position, by the names
  // in options.params, or mixed, and converted (worker/arguments.hpp); a std::optional<T> or one with
  // a value in options.defaults may be left out. What does not fit fails the task with TypeError.
  // Throws std::logic_error if the name is taken.
  template <class R, class... Args>
  void task(std::string name, R (*fn)(Context&, Args...), TaskOptions options = {}) {
    auto rules = argument_rules(fn, options);
    Body body = bind_arguments(fn, options);
    add(std::move(name), std::move(body), std::move(options), std::move(rules));
  }

  // The same for a lambda or function object. In the threads pool several threads call it at once.
  template <class F>
  requires std::is_class_v<F>
  void task(std::string name, F fn, TaskOptions options = {}) {
    auto rules = argument_rules(fn, options);
    Body body = bind_arguments(std::move(fn), options);
    add(std::move(name), std::move(body), std::move(options), std::move(rules));
  }

  // Registers a function that wants its arguments raw: `Json fn(Context&, const Json& args,
  // const Json& kwargs)`. For *args and **kwargs shapes. `rules` tells senders what it takes.
  void raw_task(std::string name, Body body, TaskOptions options = {}, ArgumentRules rules = {}) {
    add(std::move(name), std::move(body), std::move(options), std::move(rules));
  }

  // Registers a coroutine. The async pool runs any number of them at once on one thread; every other
  // pool runs it to its end in the slot, as it would a function.
  void async_task(std::string name, AsyncBody body, TaskOptions options = {}, ArgumentRules rules = {});

  // Null when no such task is registered. A task of a built-in one's name takes its place.
  const Task* find(std::string_view name) const;
  std::vector<const Task*> tasks() const;     // by name, without the built-in ones
  std::vector<const Task*> builtins() const;  // celery.map, celery.chord_unlock, ...

  // Called once in every slot before its first job, e.g. to load an engine.
  void on_slot_start(std::function<void()> hook);
  void run_slot_start_hooks() const;

 private:
  void add(std::string name, Body body, TaskOptions options, ArgumentRules rules);

  std::map<std::string, Task, std::less<>> tasks_, builtins_;
  std::vector<std::function<void()>> slot_start_;
};

// Runs `celeriac worker` with this App's tasks: same options, same exit codes. The
// executable starts itself again for prefork slots, so call it from main() directly and do
// nothing before it that a slot must not repeat.
int worker_main(const App& app, int argc, char** argv);

}  // namespace celeriac
