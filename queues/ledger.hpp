// The ledger: one row in PostgreSQL's task_runs for every run of a task, for history and search. Results
// and acknowledgements never wait for it: rows gather and leave in batches, and while the
// server is away the newest are kept up to a bound, the oldest dropped and counted.
//
// Lives on one loop; nothing blocks.
#pragma once

#include "config/settings.hpp"
#include "protocol/error.hpp"
#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct LedgerRow {
  std::int64_t run = 0;  // given by the ledger, ascending
  std::string task_id, task, queue, state, worker;
  std::int32_t attempt = 1;
  double received = 0, started = 0, ended = 0;                // Unix seconds; started 0: it never ran
  std::int32_t runtime_ms = 0, cpu_ms = 0, peak_rss_kib = 0;  // peak 0: not known
  std::string cause, traceback;                               // empty: none
  std::string args, kwargs, result;                           // text for people, cut at text_limit
  std::string root_id, parent_id;
  // The message, to run the task again exactly; headers empty when it was larger than message_limit.
  std::string headers, body, content_type, content_encoding;
  std::int32_t priority = 0;

  static constexpr std::size_t text_limit = 4096, message_limit = 65536;
  std::size_t bytes() const;
};

// Which rows; what is empty or unset means all. Newest first.
struct LedgerQuery {
  std::string task_id, task, queue, state, worker, parent_id;
  std::string words;            // all of them in task, id, arguments, cause or result
  double since = 0, until = 0;  // of the end; 0: no bound
  std::int64_t before = 0;      // only runs recorded before this one: the next page
  std::int32_t limit = 50;
  bool with_message = false;  // also what is needed to run them again
};

// What a queue's workers have done lately.
struct QueueRate {
  std::string queue;
  std::uint64_t runs = 0, failures = 0;  // that ended within `seconds`
  double seconds = 0;
};

// The message of a run as it was, without the times that kept it back or would drop it now. The row was
// found with_message. An Error when it was too large to be kept, or is damaged.
Expected<Message> message_of(const LedgerRow& row);

class Ledger {
 public:
  // Null when settings.ledger_url is empty.
  static Expected<std::unique_ptr<Ledger>> connect(boost::asio::io_context& io, const Settings& settings);
  ~Ledger();

  // Creates the table when it is missing. `on_state` as of a result store.
  void start(std::function<void(BrokerState, std::string)> on_state);

  void record(LedgerRow row);

  // Long runs are told of while they go on, so that one that dies with its process ends in the ledger, too:
  // as LOST, once nobody has told of it for lost_after seconds. `holder` names this process's life.
  static constexpr int lost_after = 60;
  bool up() const;
  void open(const std::string& holder, std::vector<LedgerRow> rows);  // they have started; nothing has ended
  void keep_open(const std::string& holder);                          // all of them still go on
  // They have ended, and were recorded. Of each row task_id and attempt.
  void close(const std::string& holder, std::vector<LedgerRow> rows);
  // Anybody's; answers how many.
  void end_lost(std::function<void(Expected<std::uint64_t>)> done);
  std::size_t waiting() const;  // rows not yet in the table
  std::uint64_t written() const;
  std::uint64_t dropped() const;

  void find(const LedgerQuery& query, std::function<void(Expected<std::vector<LedgerRow>>)> done);
  // Over the last five minutes, or the newest 10 000 runs when there were more.
  void rates(std::function<void(Expected<std::vector<QueueRate>>)> done);
  // Deletes runs older than ledger_expires, in pieces; answers how many.
  void expire(std::function<void(Expected<std::uint64_t>)> done);

  // Writes what waits, then disconnects.
  void stop(std::function<void()> done);

  std::string display_url() const;

 private:
  struct Impl;
  explicit Ledger(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac
