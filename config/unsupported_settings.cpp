// Settings of Celery that are known here and have no effect, with the reason that is shown.
#include "config/settings_table.hpp"

namespace celeriac {
namespace {

constexpr std::string_view client_side = "it is read by the program that sends tasks";
constexpr std::string_view python_only = "it names Python code";
constexpr std::string_view option = "give it as an option of the worker command";
constexpr std::string_view in_url = "write it into the URL";
constexpr std::string_view own_way = "connections are kept in another way here";
constexpr std::string_view not_yet = "not supported by this version";

}  // namespace

const std::vector<std::pair<std::string_view, std::string_view>>& unsupported_settings() {
  static const std::vector<std::pair<std::string_view, std::string_view>> table = {
      {"imports", python_only},
      {"include", python_only},
      {"broker_read_url", "broker_url is used for both directions"},
      {"broker_write_url", "broker_url is used for both directions"},
      {"broker_channel_error_retry", own_way},
      {"broker_failover_strategy", "the URLs are tried in turn"},
      {"broker_heartbeat_checkrate", not_yet},
      {"broker_pool_limit", own_way},
      {"broker_pool_acquire_timeout", own_way},
      {"broker_host", in_url},
      {"broker_port", in_url},
      {"broker_user", in_url},
      {"broker_password", in_url},
      {"broker_vhost", in_url},
      {"broker_transport", in_url},
      {"control_exchange", not_yet},
      {"event_serializer", not_yet},
      {"event_exchange", not_yet},
      {"task_always_eager", client_side},
      {"task_eager_propagates", client_side},
      {"task_store_eager_result", client_side},
      {"task_annotations", python_only},
      {"task_create_missing_queues", "queues are always created"},
      {"task_create_missing_queue_type", not_yet},
      {"task_create_missing_queue_exchange_type", not_yet},
      {"task_default_exchange", "tasks go to the default exchange"},
      {"task_default_exchange_type", "tasks go to the default exchange"},
      {"task_default_routing_key", "tasks go to the default exchange"},
      {"task_default_delivery_mode", "messages are always persistent"},
      {"task_protocol", "this worker reads both and sends 2"},
      {"task_publish_retry", "what is queued is sent after a reconnect"},
      {"task_publish_retry_policy", "what is queued is sent after a reconnect"},
      {"task_remote_tracebacks", python_only},
      {"task_send_sent_event", client_side},
      {"task_allow_error_cb_on_chord_header", client_side},
      {"worker_agent", python_only},
      {"worker_autoscaler", python_only},
      {"worker_consumer", python_only},
      {"worker_timer", python_only},
      {"worker_timer_precision", "timers are exact"},
      {"worker_direct", not_yet},
      {"worker_enable_prefetch_count_reduction", "messages stay owned over a lost connection"},
      {"worker_hijack_root_logger", python_only},
      {"worker_log_color", "colour is used on terminals; see --no-color"},
      {"worker_lost_wait", "a lost process is noticed at once"},
      {"worker_pool_putlocks", own_way},
      {"worker_pool_restarts", not_yet},
      {"worker_logfile", option},
      {"worker_pidfile", option},
      {"worker_uid", "start the worker as the user it shall run as"},
      {"worker_gid", "start the worker as the user it shall run as"},
      {"worker_umask", "start the worker with the umask it shall have"},
      {"worker_executable", python_only},
      {"result_backend_always_retry", "writes are kept until they are done"},
      {"result_backend_max_sleep_between_retries_ms", "writes are kept until they are done"},
      {"result_backend_base_sleep_between_retries_ms", "writes are kept until they are done"},
      {"result_backend_max_retries", "writes are kept until they are done"},
      {"result_backend_thread_safe", client_side},
      {"result_cache_max", client_side},
      {"result_chord_retry_interval", not_yet},
      {"result_chord_join_timeout", not_yet},
      {"result_compression", not_yet},
      {"result_exchange", not_yet},
      {"result_exchange_type", not_yet},
      {"result_persistent", not_yet},
      {"redis_db", in_url},
      {"redis_host", in_url},
      {"redis_port", in_url},
      {"redis_username", in_url},
      {"redis_password", in_url},
      {"redis_max_connections", own_way},
      {"redis_socket_timeout", "use result_backend_transport_options"},
      {"redis_socket_connect_timeout", "use result_backend_transport_options"},
      {"redis_retry_on_timeout", own_way},
      {"redis_socket_keepalive", own_way},
      {"redis_backend_health_check_interval", own_way},
      {"redis_client_name", own_way},
      {"redis_backend_credential_provider", python_only},
      {"database_engine_options", own_way},
      {"database_short_lived_sessions", own_way},
      {"database_engine_callback", python_only},
      {"beat_scheduler", python_only},
      {"beat_sync_every", "every run is written down at once"},
  };
  return table;
}

std::string_view why_unsupported(std::string_view name) {
  for (const auto& [known, why] : unsupported_settings())
    if (known == name) return why;
  return {};
}

}  // namespace celeriac
