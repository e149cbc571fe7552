// The front end: accepts tasks and documents, answers what became of them. It runs no task.
#pragma once

#include "config/settings.hpp"
#include "http/authenticator.hpp"
#include "http/callbacks.hpp"
#include "http/database_threads.hpp"
#include "http/job_states.hpp"
#include "http/live_workers.hpp"
#include "http/outbox_relay.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/patience.hpp"
#include "http/pages/queues.hpp"
#include "http/queue_trend.hpp"
#include "http/rate_limit.hpp"
#include "http/read_submission.hpp"
#include "http/rooms.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "http/submissions.hpp"
#include "queues/broker.hpp"
#include "queues/ledger.hpp"
#include "queues/queue_keeper.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace celeriac::http {

class Front final : public Service {
 public:
  // The Error names the setting that cannot be used.
  static Expected<std::unique_ptr<Front>> create(boost::asio::io_context& io, const Settings& settings,
                                                 std::vector<TaskEntry> tasks);
  ~Front() override;

  // Connects and listens.
  Expected<void> start();
  std::uint16_t port() const { return server_->port(); }
  // Answers what is under way, sends what was accepted if the broker takes it in time, disconnects.
  void stop(std::function<void()> done);

  std::optional<Response> admit(Request& request, BodyRule& rule) override;
  void serve(Request request, Respond respond) override;

 private:
  Front(boost::asio::io_context& io, const Settings& settings, std::vector<TaskEntry> tasks,
        TokenVerifier tokens);

  void add_task_routes();      // task_api.cpp
  void add_event_routes();     // event_api.cpp
  void add_invoice_routes();   // invoice_api.cpp
  void add_job_routes();       // job_api.cpp
  void add_review_routes();    // review_api.cpp
  void add_export_routes();    // export_api.cpp
  void add_health_routes();    // health_api.cpp
  void add_callback_routes();  // callback_api.cpp
  void add_document_routes();  // api_description.cpp

  // Pages for people: pages/.
  void add_overview_pages();
  void add_queue_pages();
  void add_task_pages();
  void add_dead_pages();
  void add_upload_pages();
  void add_page(std::string path, Access access, std::string summary,
                std::function<void(const Request&, const Respond&)> handle);
  // What a form of a page does. It comes from a page of ours, and its caller is an administrator.
  void add_action(std::string path, std::string summary,
                  std::function<void(const Request&, const FormValues&, const Respond&)> handle);
  // Ends an action with its error ("": it was done) and what is worth keeping, and then answers.
  using EndAction =
      std::function<void(const std::string& error, const Json& detail, std::function<void()> answer)>;
  // Does what a form asks for once its row is written (operator_actions.hpp): pages/actions.cpp.
  void act(const Request& request, const Respond& respond, std::string action, std::string target,
           Json detail, std::function<void(const EndAction&)> work);
  std::vector<std::string> queue_names();
  void with_queues(std::vector<std::string> names, Then<std::vector<QueueInfo>> then);
  void with_runs(const LedgerQuery& query, Then<std::vector<LedgerRow>> then);
  void with_picture(std::vector<std::string> names, std::function<void(const QueuesPicture&)> then);
  void with_letters(const FormValues& form, bool all, Then<std::vector<KeptLetter>> then);
  void settle_letters(const Request& request, const FormValues& form, const Respond& respond);
  void show_task(const Request& request, const Respond& respond, const std::string& note, unsigned status);
  void show_queue(const Request& request, const Respond& respond, const std::string& name);
  std::string queues_html(const QueuesPicture& picture) const;
  std::string workers_html();
  void watch_queues();
  void ask_workers();

  void decorate(const Request& request, Response& response) const;
  void dispatch(Request request, const Route& route, Respond respond);  // counts against the limits
  void admitted(Request request, const Route& route, Respond respond);
  bool refuse_caller(const Request& request, const Route& route, const Respond& respond);

  const TaskEntry* find_task(const Caller& caller, const std::string& name) const;
  Response unknown_task(const std::string& name) const;
  void send_task(Request request, Respond respond);
  void send_to_queue(const Request& request, const Respond& respond);
  void send_one(const Request& request, const Json& body, const TaskEntry& task, Respond respond);
  void send_batch(Request request, Respond respond);
  void task_state(Request request, Respond respond);
  bool is_forgotten(double due_for) const;
  void tell_forgotten(const std::string& id, const Respond& respond, const std::function<void()>& waits);
  void await_task(const std::string& id, double seconds, Respond respond, Response meanwhile);
  void cancel_task(Request request, Respond respond);
  bool revoke(const std::string& id, bool terminate);  // false: there is no connection
  void take_document(Request request, Respond respond);
  void follow_document(const Request& request, const Respond& respond);
  void with_known_task(const Request& request, const Respond& respond, std::function<void(Known)> then);
  void follow(const Request& request, const Respond& respond, std::string room, Rooms::Source source);
  void open_socket(const Request& request, const Respond& respond);  // socket_api.cpp
  class Member;
  Rooms::Source task_source(const std::string& id);
  Rooms::Source job_source(const std::string& job_id);
  std::shared_ptr<void> admit_listener(const std::string& user_id);
  std::size_t all_listeners() const;
  void find_job(const Caller& caller, const std::string& id,
                std::function<void(const std::optional<std::string>&, const Response&)> then);

  // A route whose handler runs on a database thread. {id} in the path is a UUID.
  void add_query(std::string method, std::string path, Access access, std::string summary,
                 std::function<Response(Database&, const Request&)> work);
  // POST, and `work` orders a document to be read.
  void add_order(std::string path, std::string summary,
                 std::function<Response(Database&, const Request&, const std::string& queue)> work);
  std::string document_queue() const;
  // `work` on a database thread; its answer, or 503.
  void in_database(std::function<Response(Database&)> work, Respond respond);

  boost::asio::io_context& io_;
  const Settings& settings_;
  std::vector<TaskEntry> tasks_;
  TokenVerifier tokens_;
  RateLimits rates_;
  Router router_;
  std::unique_ptr<DatabaseThreads> database_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<OutboxRelay> outbox_;
  std::unique_ptr<ResultBackend> results_;  // may be null
  std::unique_ptr<Callbacks> callbacks_;    // null: no host may be called back
  std::unique_ptr<Ledger> ledger_;          // null: no ledger_url
  bool ledger_up_ = false;
  std::unique_ptr<QueueKeeper> keeper_;  // null: the broker has none, see keeper_problem_
  std::string keeper_problem_;
  LiveWorkers live_workers_;
  QueueTrend trend_;
  boost::asio::steady_timer watch_timer_, ask_timer_;
  bool asking_ = false;
  std::unique_ptr<Server> server_;
  std::set<std::shared_ptr<std::function<void()>>> waiting_;  // answers those who wait for results
  bool connected_ = false, stopping_ = false;
  static constexpr std::size_t most_listeners = 20000, most_listeners_each = 200;
  Rooms rooms_;
  std::unique_ptr<JobStates> job_states_;
  // Readers of event streams and WebSockets, for each user; outlives us in those that hold it.
  std::shared_ptr<std::map<std::string, std::size_t>> listeners_ =
      std::make_shared<std::map<std::string, std::size_t>>();
  struct Counts;
  std::unique_ptr<Counts> counts_;
};

}  // namespace celeriac::http
