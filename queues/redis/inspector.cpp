#include "queues/redis/inspector.hpp"

#include "protocol/json.hpp"
#include "protocol/time.hpp"
#include "queues/redis/pause_keys.hpp"
#include "queues/redis/scripts.hpp"

#include <map>

namespace celeriac::redis {
namespace {

constexpr std::uint64_t most_entries = 200000;
constexpr int page_size = 500;

}  // namespace

struct Inspector::Job {
  std::vector<QueueInfo> infos;
  std::map<std::string, std::size_t> by_name;  // as it stands in JSON, without quotes
  std::function<void(Expected<std::vector<QueueInfo>>)> done;
  std::string cursor = "0";
  std::uint64_t seen = 0, total = 0;
};

void Inspector::inspect(std::vector<std::string> queues,
                        std::function<void(Expected<std::vector<QueueInfo>>)> done) {
  auto job = std::make_shared<Job>();
  job->done = std::move(done);
  for (auto& queue : queues) {
    std::string quoted;
    dump_json_string(queue, quoted);
    job->by_name[quoted.substr(1, quoted.size() - 2)] = job->infos.size();
    QueueInfo info;
    info.name = std::move(queue);
    job->infos.push_back(std::move(info));
  }
  sizes(std::move(job));
}

void Inspector::sizes(std::shared_ptr<Job> job) {
  const auto& steps = keys_.steps();
  Request request;
  request.add("MULTI");
  for (auto& info : job->infos) {
    for (int step : steps) request.add("LLEN", keys_.list(info.name, step));
    request.add("ZCARD", keys_.dead_of_queue(info.name)).add("HEXISTS", paused_key(keys_), info.name);
  }
  request.add("HLEN", keys_.unacked).add("EXEC");
  outbox_.send(std::move(request), [this, job](Reply reply) {
    const auto& all = keys_.steps();
    if (reply.size() != job->infos.size() * (all.size() + 2) + 1)
      return job->done(unexpected("queue sizes: " + reply.problem()));
    std::size_t at = 0;
    for (auto& info : job->infos) {
      for (int step : all) {
        if (!reply[at].ok()) return job->done(unexpected("queue " + info.name + ": " + reply[at].problem()));
        const auto count = static_cast<std::uint64_t>(reply[at++].integer());
        info.ready += count;
        info.by_priority.emplace_back(step, count);
      }
      info.dead = static_cast<std::uint64_t>(reply[at++].integer());
      if (reply[at++].integer() > 0) info.consumers = 0;  // paused: nobody of ours takes from it
    }
    job->total = static_cast<std::uint64_t>(reply[at].integer());
    count_page(job);
  });
}

void Inspector::count_page(std::shared_ptr<Job> job) {
  Request request;
  request.add("EVALSHA", scripts().count.sha, 2, keys_.unacked, keys_.unacked_index, job->cursor, page_size,
              std::to_string(unix_now()));
  outbox_.send(std::move(request), [this, job](Reply reply) {
    if (reply.size() < 2) return job->done(unexpected("counting unacked messages: " + reply.problem()));
    job->cursor = reply[0].text();
    job->seen += static_cast<std::uint64_t>(reply[1].integer());
    for (std::size_t i = 2; i + 2 < reply.size(); i += 3) {
      auto found = job->by_name.find(std::string(reply[i].text()));
      if (found == job->by_name.end()) continue;
      job->infos[found->second].unacked += static_cast<std::uint64_t>(reply[i + 1].integer());
      job->infos[found->second].delayed += static_cast<std::uint64_t>(reply[i + 2].integer());
    }
    if (job->cursor != "0" && job->seen < most_entries) return count_page(job);
    if (job->cursor != "0" && job->total > job->seen) {
      const double scale = static_cast<double>(job->total) / static_cast<double>(job->seen);
      for (auto& info : job->infos) {
        info.unacked = static_cast<std::uint64_t>(static_cast<double>(info.unacked) * scale);
        info.delayed = static_cast<std::uint64_t>(static_cast<double>(info.delayed) * scale);
        info.estimated = true;
      }
    }
    job->done(std::move(job->infos));
  });
}

void Inspector::purge(const std::string& queue, std::function<void(Expected<std::uint64_t>)> done) {
  Request request;
  request.add("MULTI");
  for (int step : keys_.steps())
    request.add("LLEN", keys_.list(queue, step)).add("DEL", keys_.list(queue, step));
  request.add("EXEC");
  outbox_.send(std::move(request), [done = std::move(done)](Reply reply) {
    if (!reply.is_array()) return done(unexpected("purge: " + reply.problem()));
    std::uint64_t dropped = 0;
    for (std::size_t i = 0; i < reply.size(); i += 2)
      dropped += static_cast<std::uint64_t>(reply[i].integer());
    done(dropped);
  });
}

void Inspector::declare(const std::string& queue, Done done) {
  Request request;
  request.add("SADD", keys_.binding(queue), keys_.binding_member(queue));
  outbox_.send(std::move(request), [done = std::move(done)](Reply reply) {
    if (done) done(Status{reply.problem()});
  });
}

}  // namespace celeriac::redis
