#include "worker/control/state_file.hpp"

#include "protocol/json.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace celeriac {
namespace {

constexpr std::size_t most_bytes = 64u << 20;
constexpr int format = 1;

tl::unexpected<Error> fault(const std::string& path, const std::string& what) {
  return unexpected("--statedb " + path + ": " + what);
}

bool write_all(int fd, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t wrote = ::write(fd, text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += static_cast<std::size_t>(wrote);
  }
  return ::fsync(fd) == 0;
}

}  // namespace

Expected<bool> load_state(const std::string& path, RevokedSet& revoked, LamportClock& clock, double now) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ENOENT) return true;
    return fault(path, std::strerror(errno));
  }
  std::ostringstream text;
  text << in.rdbuf();
  JsonLimits limits;
  limits.max_bytes = most_bytes;
  limits.max_depth = 8;
  const auto state = parse_json(text.str(), limits);
  if (!state) return fault(path, state.error().what);
  if (!state->is_object() || state->value("format", 0) != format) {
    return fault(path, "not a state file of celeriac");
  }
  std::vector<std::pair<double, std::string>> ids;
  if (const auto known = state->find("revoked"); known != state->end() && known->is_object()) {
    for (const auto& [id, when] : known->items()) {
      if (when.is_number()) ids.emplace_back(std::min(when.get<double>(), now), id);
    }
  }
  std::sort(ids.begin(), ids.end());  // the oldest are forgotten first
  for (auto& [when, id] : ids) revoked.add(std::move(id), when);
  if (const auto value = state->find("clock"); value != state->end() && value->is_number_unsigned()) {
    clock.adjust(value->get<std::uint64_t>());
  }
  return true;
}

Expected<bool> save_state(const std::string& path, const RevokedSet& revoked, const LamportClock& clock,
                          double now) {
  Json ids = Json::object();
  for (const auto& [id, when] : revoked.entries()) {
    if (revoked.contains(id, now)) ids.get_ref<Json::object_t&>().emplace_back(id, when);
  }
  Json state = Json::object();
  state["format"] = format;
  state["clock"] = clock.value();
  state["revoked"] = std::move(ids);
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fault(path, std::strerror(errno));
  const bool written = write_all(fd, dump_json(state) + "\n");
  const int error = errno;
  ::close(fd);
  if (!written) return fault(path, std::strerror(error));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fault(path, std::strerror(errno));
  return true;
}

}  // namespace celeriac
