#include "cli/dev/programs.hpp"

#include <pwd.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace celeriac::dev {
namespace {

bool is_program(const std::string& path) { return access(path.c_str(), X_OK) == 0; }

std::string on_path(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string_view rest = variable != nullptr ? variable : "/usr/bin:/bin";
  for (;;) {
    auto colon = rest.find(':');
    auto path = std::string(rest.substr(0, colon)) + "/" + name;
    if (is_program(path)) return path;
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
}

}  // namespace

Expected<std::string> find_redis_server() {
  if (auto path = on_path("redis-server"); !path.empty()) return path;
  return unexpected("redis-server was not found; install it: apt-get install redis-server");
}

Expected<std::string> find_postgres_programs(const std::string& major) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::string best;
  int best_version = -1;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    auto bin = entry.path().string() + "/bin";
    int version = std::atoi(entry.path().filename().c_str());
    if (!is_program(bin + "/postgres") || !is_program(bin + "/initdb")) continue;
    if (!major.empty() && major != std::to_string(version)) continue;
    if (version > best_version) best_version = version, best = bin;
  }
  if (!best.empty()) return best;
  if (auto initdb = on_path("initdb"); !initdb.empty()) {
    auto bin = fs::canonical(initdb, error).parent_path().string();
    if (is_program(bin + "/postgres")) return bin;
  }
  if (!major.empty())
    return unexpected("the data was made by PostgreSQL " + major +
                      ", which is not installed: apt-get install postgresql-" + major);
  return unexpected("PostgreSQL's server programs were not found; install them: apt-get install postgresql");
}

Expected<std::optional<std::pair<uid_t, gid_t>>> postgres_user() {
  using User = std::optional<std::pair<uid_t, gid_t>>;
  if (geteuid() != 0) return User{};
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr)
    return unexpected(
        "PostgreSQL does not run as root and there is no user 'postgres'; install postgresql by apt-get, "
        "or run this as another user");
  return User{{entry->pw_uid, entry->pw_gid}};
}

}  // namespace celeriac::dev
