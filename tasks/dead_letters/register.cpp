#include "tasks/dead_letters/register.hpp"

#include "tasks/dead_letters/dead_letters.hpp"
#include "tasks/store/slot_database.hpp"

#include <utility>

namespace celeriac {
namespace {

constexpr int most_redrives = 100;  // in one round

TaskOptions dead_options(std::vector<std::string> params, const std::string& queue) {
  TaskOptions options;
  options.params = std::move(params);
  options.queue = queue;
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = std::nullopt;  // the database will be back: a dead letter is not lost meanwhile
  options.autoretry_for = {"OperationalError"};
  options.retry_backoff = 1;
  options.retry_backoff_max = 60;
  options.throws = {"DeadLetterNotFound", "RedriveRefused"};
  return options;
}

void require_uuid(const std::string& id) {
  if (!is_uuid(id)) throw BadArguments("'" + id.substr(0, 100) + "' is not a UUID");
}

}  // namespace

void register_dead_letters(App& app, const std::string& url) {
  app.task(
      "dead_letters.record",
      [url](Context&, const Json& letter) {
        return with_database(url, [&](Database& database) { return record_dead_letter(database, letter); });
      },
      dead_options({"letter"}, "dlq_processing"));

  auto options = dead_options({"id", "force"}, "dlq_redrive");
  options.defaults = {{"force", false}};
  app.task(
      "dead_letters.redrive",
      [url](Context& context, const std::string& id, bool force) {
        require_uuid(id);
        return with_database(url, [&](Database& database) { return redrive(context, database, id, force); });
      },
      std::move(options));

  options = dead_options({"limit"}, "dlq_redrive");
  options.defaults = {{"limit", most_redrives}};
  app.task(
      "dead_letters.auto_redrive",
      [url](Context& context, int limit) {
        if (limit < 1 || limit > 10000) throw BadArguments("limit must be 1 to 10000");
        return with_database(url, [&](Database& database) { return auto_redrive(context, database, limit); });
      },
      std::move(options));

  app.task(
      "dead_letters.monitor",
      [url](Context& context) {
        Json health = with_database(url, [&](Database& database) { return dead_letter_health(database); });
        for (const auto& alert : health.at("alerts")) {
          const bool critical = alert.at("level") == "critical";
          context.log(critical ? 4 : 3, "dead letters: " + alert.at("message").get<std::string>());
        }
        return health;
      },
      dead_options({}, "dlq_processing"));

  app.task(
      "dead_letters.archive",
      [url](Context&, const std::string& id, const std::string& by) {
        require_uuid(id);
        return with_database(url, [&](Database& database) { return archive_dead_letter(database, id, by); });
      },
      dead_options({"id", "by"}, "dlq_processing"));
}

}  // namespace celeriac
