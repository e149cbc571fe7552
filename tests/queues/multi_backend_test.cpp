#include "queues/connect.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/postgres_server.hpp"
#include "tests/queues/redis_server.hpp"

#include <doctest/doctest.h>

namespace celeriac::testing {

TEST_CASE("several stores keep the contract as one") {
  static RedisServer redis;
  static PostgresServer postgres;
  const BackendUnderTest both = {.make =
                                     [&](boost::asio::io_context& io, const Settings& settings) {
                                       return make_backend(io, settings, redis.url() + ", " + postgres.url());
                                     },
                                 .kill_connections =
                                     [&] {
                                       redis.run({"CLIENT", "KILL", "TYPE", "normal"});
                                       postgres.sql(
                                           "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                           "WHERE application_name = 'celeriac'");
                                     }};
  exercise_backend(both);

  BackendLoop loop(both);
  CHECK(loop.backend->display_url().find(",db+postgresql://") != std::string::npos);
  CHECK(loop.store_now(result_of("twice", state::success, "7")).ok());
  CHECK(redis.number({"EXISTS", "celery-task-meta-twice"}) == 1);
  CHECK(postgres.sql("SELECT status FROM celery_taskmeta WHERE task_id = 'twice'") == "SUCCESS");
  // One store cannot hold it: an error, although the other one has it.
  const std::string long_id(200, 'x');
  CHECK_FALSE(loop.store_now(result_of(long_id, state::success, "7")).ok());
  CHECK(loop.fetch(long_id));
}

}  // namespace celeriac::testing
