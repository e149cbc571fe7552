#include "queues/postgres/ledger_table.hpp"

#include "protocol/utf8.hpp"

#include <charconv>

namespace celeriac::pg {
namespace {

constexpr std::string_view columns =
    "task_id, task, queue, state, worker, attempt, received_at, started_at, ended_at, runtime_ms, cpu_ms, "
    "peak_rss_kib, cause, traceback, args, kwargs, result, root_id, parent_id";
constexpr std::string_view message_columns = ", headers, body, content_type, content_encoding, priority";

// What a search looks through; the same text stands in the index. Besides the words there are marks (no word
// begins with "="): what else a search may ask for, and the piece of the table that the run is in. So the
// index alone finds "these words, failed, in this piece", and a search goes from piece to piece, the newest
// first, until its page is full, however rare or frequent its words are.
constexpr std::string_view searched =
    "(to_tsvector('simple', task || ' ' || task_id || ' ' || coalesce(args, '') || ' ' || coalesce(kwargs, "
    "'') "
    "|| ' ' || coalesce(cause, '') || ' ' || coalesce(result, '')) || array_to_tsvector(ARRAY['=piece:' || "
    "(run >> 12)::text, '=state:' || left(state, 255), '=task:' || left(task, 255), '=queue:' || left(queue, "
    "255), '=worker:' || left(worker, 255)]))";
constexpr std::string_view piece_bits = "12";  // a piece is 4096 runs

// As to_tsquery reads it: in quotes, in which quotes and backslashes are doubled.
std::string mark(std::string_view name, std::string_view value) {
  std::string out = "'=" + std::string(name) + ":";
  for (const char c : value) out += (c == '\'' || c == '\\') ? std::string(2, c) : std::string(1, c);
  return out + "'";
}

constexpr int most_rates = 10000;  // runs

// PostgreSQL takes valid UTF-8 without NUL, and what a task was given may hold anything.
std::string clean(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const char* const begin = at;
    const auto code = decode_utf8(at, end);
    if (code > 0) out.append(begin, at);
    if (code >= 0) continue;
    out += "\xEF\xBF\xBD";  // U+FFFD
    at = begin + 1;
  }
  return out;
}

class Columns {
 public:
  void text(std::string LedgerRow::*member, bool empty_is_null) {
    auto array = ArrayParam::of_text();
    for (const auto& row : rows_)
      if (empty_is_null && (row.*member).empty())
        array.add_null();
      else
        array.add(clean(row.*member));
    add(std::move(array), "text[]");
  }
  void bytes(std::string LedgerRow::*member) {
    auto array = ArrayParam::of_bytes();
    for (const auto& row : rows_) array.add(row.*member);
    add(std::move(array), "bytea[]");
  }
  void number(std::int32_t LedgerRow::*member) {
    auto array = ArrayParam::of_int4();
    for (const auto& row : rows_) array.add_int4(row.*member);
    add(std::move(array), "int4[]");
  }
  void time(double LedgerRow::*member) {
    auto array = ArrayParam::of_timestamp();
    for (const auto& row : rows_)
      if (row.*member > 0)
        array.add_timestamp(row.*member);
      else
        array.add_null();
    add(std::move(array), "timestamp[]");
  }

  explicit Columns(const std::vector<LedgerRow>& rows) : rows_(rows) {}
  std::string sql;
  std::vector<Param> params;

 private:
  void add(ArrayParam&& array, std::string_view type) {
    params.push_back(std::move(array).finish());
    sql += (params.size() == 1 ? "$" : ", $") + std::to_string(params.size()) + "::" + std::string(type);
  }
  const std::vector<LedgerRow>& rows_;
};

double number_of(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::vector<Statement> create_ledger() {
  std::vector<Statement> out;
  // One creator at a time: IF NOT EXISTS alone may fail when two come at once.
  out.push_back({"SELECT pg_advisory_xact_lock(7308604897068083558)"});
  out.push_back({R"sql(
CREATE TABLE IF NOT EXISTS task_runs (
  run              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id          text NOT NULL,
  task             text NOT NULL,
  queue            text NOT NULL,
  state            text NOT NULL,
  worker           text NOT NULL,
  attempt          integer NOT NULL CHECK (attempt > 0),
  received_at      timestamp,
  started_at       timestamp,
  ended_at         timestamp NOT NULL,
  runtime_ms       integer NOT NULL CHECK (runtime_ms >= 0),
  cpu_ms           integer NOT NULL CHECK (cpu_ms >= 0),
  peak_rss_kib     integer NOT NULL CHECK (peak_rss_kib >= 0),
  cause            text,
  traceback        text,
  args             text,
  kwargs           text,
  result           text,
  root_id          text,
  parent_id        text,
  headers          text,
  body             bytea,
  content_type     text,
  content_encoding text,
  priority         integer NOT NULL DEFAULT 0,
  UNIQUE (task_id, attempt, worker, ended_at)
))sql"});
  for (const char* column : {"task", "queue", "state", "worker"})
    out.push_back({"CREATE INDEX IF NOT EXISTS task_runs_" + std::string(column) + " ON task_runs (" +
                   column + ", run DESC)"});
  // Failures of one task or queue, few among many: small, and no cost for what succeeds.
  for (const char* column : {"task", "queue"})
    out.push_back({"CREATE INDEX IF NOT EXISTS task_runs_trouble_" + std::string(column) + " ON task_runs (" +
                   column + ", state, run DESC) WHERE state <> 'SUCCESS'"});
  out.push_back({"CREATE INDEX IF NOT EXISTS task_runs_ended_at ON task_runs (ended_at)"});
  out.push_back(
      {"CREATE INDEX IF NOT EXISTS task_runs_parent ON task_runs (parent_id, run DESC) WHERE parent_id IS "
       "NOT "
       "NULL"});
  // Its list of what is not yet sorted in is read once for each piece: it is kept short (KiB).
  out.push_back({"CREATE INDEX IF NOT EXISTS task_runs_search ON task_runs USING gin (" +
                 std::string(searched) + ") WITH (gin_pending_list_limit = 64)"});
  out.push_back({"DROP INDEX IF EXISTS task_runs_words"});  // its forerunner
  out.push_back({R"sql(
CREATE TABLE IF NOT EXISTS task_runs_open (
  holder           text NOT NULL,
  seen_at          timestamp NOT NULL,
  task_id          text NOT NULL,
  task             text NOT NULL,
  queue            text NOT NULL,
  worker           text NOT NULL,
  attempt          integer NOT NULL CHECK (attempt > 0),
  received_at      timestamp,
  started_at       timestamp NOT NULL,
  args             text,
  kwargs           text,
  root_id          text,
  parent_id        text,
  headers          text,
  body             bytea,
  content_type     text,
  content_encoding text,
  priority         integer NOT NULL,
  PRIMARY KEY (holder, task_id, attempt)
))sql"});
  return out;
}

Statement insert_runs(const std::vector<LedgerRow>& rows) {
  Columns c(rows);
  using R = LedgerRow;
  for (auto member : {&R::task_id, &R::task, &R::queue, &R::state, &R::worker}) c.text(member, false);
  c.number(&R::attempt);
  for (auto member : {&R::received, &R::started, &R::ended}) c.time(member);
  for (auto member : {&R::runtime_ms, &R::cpu_ms, &R::peak_rss_kib}) c.number(member);
  for (auto member :
       {&R::cause, &R::traceback, &R::args, &R::kwargs, &R::result, &R::root_id, &R::parent_id, &R::headers})
    c.text(member, true);
  c.bytes(&R::body);
  for (auto member : {&R::content_type, &R::content_encoding}) c.text(member, true);
  c.number(&R::priority);
  Statement statement;
  statement.sql = "INSERT INTO task_runs (" + std::string(columns) + std::string(message_columns) +
                  ") SELECT * FROM unnest(" + c.sql + ") ON CONFLICT DO NOTHING";
  statement.params = std::move(c.params);
  return statement;
}

namespace {

constexpr std::string_view open_columns =
    "task_id, task, queue, worker, attempt, received_at, started_at, args, kwargs, root_id, parent_id, "
    "headers, "
    "body, content_type, content_encoding, priority";
constexpr std::string_view utc_now = "now() AT TIME ZONE 'UTC'";

}  // namespace

Statement open_runs(const std::string& holder, const std::vector<LedgerRow>& rows) {
  Columns c(rows);
  using R = LedgerRow;
  for (auto member : {&R::task_id, &R::task, &R::queue, &R::worker}) c.text(member, false);
  c.number(&R::attempt);
  for (auto member : {&R::received, &R::started}) c.time(member);
  for (auto member : {&R::args, &R::kwargs, &R::root_id, &R::parent_id, &R::headers}) c.text(member, true);
  c.bytes(&R::body);
  for (auto member : {&R::content_type, &R::content_encoding}) c.text(member, true);
  c.number(&R::priority);
  Statement statement;
  statement.params = std::move(c.params);
  statement.params.push_back(text(holder));
  statement.sql = "INSERT INTO task_runs_open (holder, seen_at, " + std::string(open_columns) + ") SELECT $" +
                  std::to_string(statement.params.size()) + ", " + std::string(utc_now) + ", * FROM unnest(" +
                  c.sql + ") ON CONFLICT DO NOTHING";
  return statement;
}

Statement keep_runs_open(const std::string& holder) {
  Statement statement;
  statement.sql = "UPDATE task_runs_open SET seen_at = " + std::string(utc_now) + " WHERE holder = $1";
  statement.params.push_back(text(holder));
  return statement;
}

Statement close_runs(const std::string& holder, const std::vector<LedgerRow>& rows) {
  Columns c(rows);
  c.text(&LedgerRow::task_id, false);
  c.number(&LedgerRow::attempt);
  Statement statement;
  statement.params = std::move(c.params);
  statement.params.push_back(text(holder));
  statement.sql = "DELETE FROM task_runs_open o USING unnest(" + c.sql +
                  ") AS ended (task_id, attempt) WHERE o.holder = $" +
                  std::to_string(statement.params.size()) +
                  " AND o.task_id = ended.task_id AND o.attempt = ended.attempt";
  return statement;
}

Statement end_lost_runs(int seconds) {
  Statement statement;
  const std::string shared(open_columns);
  statement.sql = "WITH lost AS (DELETE FROM task_runs_open WHERE seen_at < " + std::string(utc_now) +
                  " - $1 * interval '1 second' RETURNING *) INSERT INTO task_runs (" + shared +
                  ", state, ended_at, runtime_ms, cpu_ms, peak_rss_kib, cause) SELECT " + shared +
                  ", 'LOST', seen_at, greatest(0, least(2147483647, extract(epoch FROM seen_at - started_at) "
                  "* 1000))::int4, "
                  "0, 0, 'Nobody has told of it since: its worker was killed, or cut off. Its message comes "
                  "again.' FROM lost "
                  "WHERE NOT EXISTS (SELECT FROM task_runs r WHERE r.task_id = lost.task_id AND r.worker = "
                  "lost.worker AND "
                  "r.attempt = lost.attempt AND r.started_at = lost.started_at) ON CONFLICT DO NOTHING";
  statement.params.push_back(int4(seconds));
  return statement;
}

Statement select_runs(const LedgerQuery& query) {
  Statement statement;
  const auto bind = [&](Param param) {
    statement.params.push_back(std::move(param));
    return "$" + std::to_string(statement.params.size());
  };
  std::string where = "true";
  const auto condition = [&](std::string_view sql, Param param) {
    where += " AND " + std::string(sql) + " " + bind(std::move(param));
  };
  if (!query.task_id.empty()) condition("task_id =", text(clean(query.task_id)));
  if (!query.task.empty()) condition("task =", text(clean(query.task)));
  if (!query.queue.empty()) condition("queue =", text(clean(query.queue)));
  if (!query.state.empty()) condition("state =", text(clean(query.state)));
  if (!query.worker.empty()) condition("worker =", text(clean(query.worker)));
  if (!query.parent_id.empty()) condition("parent_id =", text(clean(query.parent_id)));
  if (query.since > 0) condition("ended_at >=", timestamp(query.since));
  if (query.until > 0) condition("ended_at <", timestamp(query.until));
  if (query.before > 0) condition("run <", int8(query.before));

  std::string shown = std::string(columns);
  // Epochs: what a reader wants are Unix seconds, whatever the session's zone.
  for (const char* time : {"received_at", "started_at", "ended_at"}) {
    const auto at = shown.find(time);
    shown.replace(at, std::string_view(time).size(), "extract(epoch FROM " + std::string(time) + ")");
  }
  if (query.with_message) {
    shown += message_columns;
    shown.replace(shown.find(", body,"), 7, ", encode(body, 'hex'),");
  }
  const std::string found = "SELECT run, " + shown + " FROM task_runs WHERE " + where;
  const std::string newest = " ORDER BY run DESC LIMIT " + std::to_string(query.limit);
  if (query.words.empty()) {
    statement.sql = found + newest;
    return statement;
  }
  std::string marks;
  for (const auto& [name, value] : {std::pair{"state", &query.state}, std::pair{"task", &query.task},
                                    std::pair{"queue", &query.queue}, std::pair{"worker", &query.worker}})
    if (!value->empty() && value->size() <= 255) marks += " & " + mark(name, clean(*value));
  const auto words = bind(text(clean(query.words))), also = bind(text(marks));
  const auto first = query.before > 0 ? bind(int8(query.before)) : "(SELECT max(run) FROM task_runs)";
  // The pieces come in their order, so the page fills with the newest first, and later pieces are not read.
  statement.sql =
      "SELECT * FROM (SELECT page.* FROM generate_series(" + first + " >> " + std::string(piece_bits) +
      ", (SELECT min(run) FROM task_runs) >> " + std::string(piece_bits) + ", -1) AS piece (n), LATERAL (" +
      found + " AND " + std::string(searched) + " @@ (plainto_tsquery('simple', " + words +
      ") && ('''=piece:' || piece.n || '''' || " + also + ")::tsquery) ORDER BY run DESC) AS page LIMIT " +
      std::to_string(query.limit) + ") AS page" + newest;
  return statement;
}

std::vector<LedgerRow> read_runs(const Rows& rows, bool with_message) {
  std::vector<LedgerRow> out;
  out.reserve(static_cast<std::size_t>(rows.size()));
  for (int i = 0; i < rows.size(); ++i) {
    int column = 0;
    const auto next = [&] { return rows.value(i, column++); };
    const auto integer = [&] { return static_cast<std::int32_t>(number_of(next())); };
    LedgerRow row;
    row.run = static_cast<std::int64_t>(number_of(next()));
    for (auto* member : {&row.task_id, &row.task, &row.queue, &row.state, &row.worker}) *member = next();
    row.attempt = integer();
    for (auto* member : {&row.received, &row.started, &row.ended}) *member = number_of(next());
    row.runtime_ms = integer();
    row.cpu_ms = integer();
    row.peak_rss_kib = integer();
    for (auto* member :
         {&row.cause, &row.traceback, &row.args, &row.kwargs, &row.result, &row.root_id, &row.parent_id})
      *member = next();
    if (with_message) {
      row.headers = next();
      const auto hex = next();
      const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
      for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        row.body += static_cast<char>(digit(hex[at]) * 16 + digit(hex[at + 1]));
      row.content_type = next();
      row.content_encoding = next();
      row.priority = integer();
    }
    out.push_back(std::move(row));
  }
  return out;
}

Statement select_rates(double since) {
  Statement statement;
  // How long ago the first of them ended: fewer minutes when there were many.
  statement.sql =
      "SELECT queue, count(*), count(*) FILTER (WHERE state = 'FAILURE'), CASE WHEN sum(count(*)) OVER () "
      ">= " +
      std::to_string(most_rates) +
      " THEN extract(epoch FROM now() AT TIME ZONE 'UTC' - min(min(ended_at)) OVER ()) ELSE extract(epoch "
      "FROM "
      "now() AT TIME ZONE 'UTC' - $1) END FROM (SELECT queue, state, ended_at FROM task_runs WHERE ended_at "
      ">= "
      "$1 ORDER BY ended_at DESC LIMIT " +
      std::to_string(most_rates) + ") AS lately GROUP BY queue";
  statement.params.push_back(timestamp(since));
  return statement;
}

std::vector<QueueRate> read_rates(const Rows& rows) {
  std::vector<QueueRate> out;
  for (int i = 0; i < rows.size(); ++i) {
    QueueRate rate;
    rate.queue = rows.value(i, 0);
    rate.runs = static_cast<std::uint64_t>(number_of(rows.value(i, 1)));
    rate.failures = static_cast<std::uint64_t>(number_of(rows.value(i, 2)));
    rate.seconds = number_of(rows.value(i, 3));
    out.push_back(std::move(rate));
  }
  return out;
}

Statement expire_runs(double before, std::int32_t limit) {
  Statement statement;
  statement.sql =
      "DELETE FROM task_runs WHERE run IN (SELECT run FROM task_runs WHERE ended_at < $1 ORDER BY ended_at "
      "LIMIT $2 FOR UPDATE SKIP LOCKED)";
  statement.params.push_back(timestamp(before));
  statement.params.push_back(int4(limit));
  return statement;
}

}  // namespace celeriac::pg
