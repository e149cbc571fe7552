// Every setting, under Celery's own lower-case name and with Celery's default.
//
// Settings is a plain struct: nothing here reads a file. config/settings_table.hpp drives
// file, environment, command line and the generated reference page from one table.
#pragma once

#include "config/url.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct RedisOptions {                // broker_transport_options / result_backend_transport_options
  double visibility_timeout = 3600;  // seconds
  std::string global_keyprefix;
  std::vector<int> priority_steps = {0, 3, 6, 9};
  std::string sep = "\x06\x16";
  std::string queue_order_strategy = "priority";  // strict priority over all queues; or round_robin, sorted
  std::string unacked_key = "unacked";
  std::string unacked_index_key = "unacked_index";
  std::string unacked_mutex_key = "unacked_mutex";
  double unacked_mutex_expire = 300;  // seconds
  double lease = 15;                  // seconds; ours: how soon a dead worker's messages come back
  double socket_timeout = 30;         // seconds without any answer before the connection is given up
  double socket_connect_timeout = 4;
  std::string master_name;                             // sentinel:// only: what the sentinels call the master
  std::map<std::string, std::string> sentinel_kwargs;  // username, password of the sentinels themselves
};

struct TlsOptions {     // broker_use_ssl / redis_backend_use_ssl, or URL query keys
  bool wanted = false;  // given, and not as false
  bool verify = true;   // ssl_cert_reqs
  std::string ca_certs, certfile, keyfile, server_hostname;
};

// One entry of task_queues: where the queue's messages come from, and what the broker is told of it.
struct QueueSettings {
  std::string exchange;                  // empty: task_default_queue, as in Celery
  std::string exchange_type = "direct";  // direct, topic, fanout, headers
  std::string routing_key;               // of the binding; empty: the queue's name
  std::string queue_arguments = "{}";  // JSON text: x-queue-type, x-max-priority, x-dead-letter-exchange, ...
};

struct BeatEntrySettings {                                 // one entry of beat_schedule
  std::string task;                                        // its name
  std::string schedule;                                    // JSON text: see docs/beat.md
  std::string args = "[]", kwargs = "{}", options = "{}";  // JSON texts
  bool relative = false;
};

struct Settings {
  // General and broker
  std::string broker_url = "redis://localhost:6379/0";
  std::vector<std::string> accept_content = {"json"};
  std::vector<std::string> result_accept_content;  // empty: accept_content
  bool enable_utc = true;
  std::string timezone = "UTC";
  double broker_connection_timeout = 4;  // seconds
  bool broker_connection_retry = true;
  bool broker_connection_retry_on_startup = true;
  int broker_connection_max_retries = 100;                           // 0: for ever
  double broker_heartbeat = 120;                                     // seconds, AMQP; 0: none
  std::string broker_login_method = "PLAIN";                         // AMQP: PLAIN, AMQPLAIN, EXTERNAL
  std::string broker_native_delayed_delivery_queue_type = "quorum";  // or classic
  // AMQP: queues of remote control, its replies, and events. Seconds; unset: no limit. Durable and exclusive
  // exclude each other; unset, they are exclusive unless durable.
  std::optional<double> control_queue_ttl = 300, control_queue_expires = 10;
  std::optional<double> event_queue_ttl = 5, event_queue_expires = 60;
  bool control_queue_durable = false, event_queue_durable = false;
  std::optional<bool> control_queue_exclusive, event_queue_exclusive;
  std::string event_queue_prefix = "celeryev";
  RedisOptions broker_transport_options;
  TlsOptions broker_use_ssl;

  // Tasks
  bool task_acks_late = false;
  bool task_acks_on_failure_or_timeout = true;
  std::optional<bool> task_acks_on_failure, task_acks_on_timeout;  // unset: the one above
  bool task_reject_on_worker_lost = false;
  std::string task_default_queue = "celery";
  std::optional<std::string> task_default_rate_limit;
  std::optional<int> task_default_priority;
  std::string task_default_queue_type = "classic";   // AMQP: of queues we declare; or quorum
  std::optional<int> task_queue_max_priority;        // AMQP: x-max-priority of queues we declare
  std::map<std::string, QueueSettings> task_queues;  // by the queue's name; empty: see WorkerOptions::queues
  bool task_ignore_result = false;
  bool task_store_errors_even_if_ignored = false;
  bool task_track_started = false;
  bool task_inherit_parent_priority = false;
  std::optional<double> task_time_limit, task_soft_time_limit;  // seconds
  std::string task_serializer = "json";
  std::string task_compression;
  std::map<std::string, std::string> task_routes;  // task name or glob -> queue
  std::string dead_letter_queue;                   // ours: told of what failed for good; empty: nobody is

  // Worker
  int worker_concurrency = 0;                   // 0: number of CPUs
  std::string worker_pool = "prefork";          // prefork, threads, solo, async
  int worker_prefetch_multiplier = 4;           // 0: unlimited
  bool worker_prefetch_multiplier_set = false;  // given by the user: then strictly kept
  bool worker_disable_prefetch = false;
  bool worker_detect_quorum_queues = true;
  bool worker_cancel_long_running_tasks_on_connection_loss = false;
  bool worker_disable_rate_limits = false;
  bool worker_deduplicate_successful_tasks = false;
  std::optional<int> worker_eta_task_limit;
  std::optional<int> worker_max_tasks_per_child;
  std::optional<std::int64_t> worker_max_memory_per_child;  // KiB, after a task, as in Celery
  std::optional<std::int64_t> worker_task_memory_limit;     // KiB, during a task; ours
  double worker_proc_alive_timeout = 4;
  double worker_soft_shutdown_timeout = 0;
  bool worker_enable_soft_shutdown_on_idle = false;
  bool worker_send_task_events = false;
  bool worker_enable_remote_control = true;
  bool worker_redirect_stdouts = true;
  std::string worker_redirect_stdouts_level = "WARNING";
  std::string worker_log_format = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s";
  std::string worker_task_log_format =
      "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s";
  bool worker_log_json = false;  // ours: one JSON object a line
  std::string worker_state_db;
  std::string worker_metrics_host = "127.0.0.1";  // ours, as is the port
  std::optional<int> worker_metrics_port;         // none: nothing listens; 0: any free port

  // Results
  std::string result_backend;     // several stores: separated by ','
  double result_expires = 86400;  // seconds; 0: never
  bool result_extended = false;
  std::string result_serializer = "json";
  RedisOptions result_backend_transport_options;
  TlsOptions redis_backend_use_ssl;
  std::map<std::string, std::string> database_table_names;    // task, group
  std::map<std::string, std::string> database_table_schemas;  // task, group
  bool database_create_tables_at_setup = true;

  // Signed messages: the serializer `auth`
  std::string security_key, security_key_password, security_certificate;  // PEM files
  std::string security_cert_store;                                        // folder or pattern of PEM files
  std::string security_digest = "sha256";
  std::string security_layout = "5.6";  // ours: 5.2 writes what Celery 5.2 reads

  // Beat
  std::map<std::string, BeatEntrySettings> beat_schedule;  // by the entry's name
  std::string beat_schedule_filename = "celerybeat-schedule";
  double beat_max_loop_interval = 0;                  // seconds; 0: 300
  std::optional<double> beat_cron_starting_deadline;  // seconds
  // The ledger of runs; ours
  std::string ledger_url;                // postgresql://...; empty: no ledger
  double ledger_expires = 30 * 86400.0;  // seconds; 0: never

  // The HTTP front end; ours
  std::string http_host = "127.0.0.1";
  int http_port = 8000;
  std::string http_jwt_algorithm = "HS256";  // the only one accepted
  std::string http_jwt_key;                  // HS256: the secret; RS256: file of the public key
  std::vector<std::string> http_allowed_hosts = {"localhost", "127.0.0.1", "[::1]"};
  std::vector<std::string> http_cors_origins;
  std::int64_t http_max_upload = 25 << 20;       // bytes
  int http_rate_limit = 1000;                    // requests an hour for each caller; 0: no limit
  int http_upload_rate_limit = 100;              // uploads an hour for each caller
  std::vector<std::string> http_callback_hosts;  // that may be told when a task has ended; "*" is any
  std::string http_callback_key;                 // signs what they are told

  // The invoice application
  std::string database_url;                             // postgresql://..., where invoices live
  std::map<std::string, std::string> export_endpoints;  // name -> https://user:password@host/path
  std::string virus_scan_url;                           // clamd://host:3310, or unix:/path of its socket
  std::string storage_root = ".celeriac/storage";       // local storage:// root
  std::string websocket_events_url;         // redis://... where progress is published; empty: nowhere
  std::string validation_rules;             // TOML file that changes rules; empty: the defaults
  std::vector<std::string> document_hosts;  // fetched from although not public; "*" is any
  std::string quickbooks_verifier_token;    // signs QuickBooks' webhooks; empty: unsigned ones are taken
  std::string circuit_breaker_url;  // redis://..., where breakers are shared; empty: each process's own

  // Language models
  std::string llm_provider = "openai";  // openai, openrouter, anthropic, huggingface, local
  std::string llm_base_url, llm_api_key;
  std::string llm_model, llm_model_simple, llm_model_complex;
  std::vector<std::string> llm_fallback_models;
  std::map<std::string, std::string> llm_prices;  // model -> "prompt/completion", USD for 1000 tokens
  int llm_max_tokens = 1000;
  double llm_temperature = 0.1;
  bool llm_stream = false;
  double llm_timeout = 60;                                                            // seconds
  double llm_cost_per_invoice = 0.10, llm_daily_cost = 100, llm_monthly_cost = 2000;  // USD
  double llm_cache_expires = 86400;                                                   // seconds

  // Mail
  std::map<std::string, std::string> email_accounts;  // name -> imaps://... or gmail://...
  std::vector<std::string> email_trusted_senders;     // addresses, domains, *.domains
  std::string email_quota_url;                        // redis://..., where Gmail's quota is counted
  std::string smtp_url;        // smtps://user:password@host; empty: no report is mailed
  std::string smtp_mail_from;  // the address they come from
  std::map<std::string, std::string> report_recipients;  // group -> addresses, with commas between them
};

// What `celeriac worker` takes beyond settings.
struct WorkerOptions {
  std::string hostname = "celery@%h";  // -n
  std::vector<std::string> queues;     // -Q; empty: task_queues, or task_default_queue and the tasks' own
  std::vector<std::string> exclude_queues;  // -X
  std::string loglevel = "WARNING";         // -l
  std::string logfile;                      // -f
  std::string pidfile;
  std::string optimization = "default";  // -O: default, fair
  bool purge = false;
  bool beat = false;  // -B: the beat runs inside this worker
  bool without_gossip = false, without_mingle = false, without_heartbeat = false;
  double heartbeat_interval = 2;
  bool quiet = false, no_color = false;
  std::optional<int> autoscale_max, autoscale_min;
};

}  // namespace celeriac
