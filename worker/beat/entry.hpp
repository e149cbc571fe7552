// One entry of the beat schedule: what is sent, and when. Reads it from its settings.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"
#include "worker/beat/schedule.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac {

class BeatEntry {
 public:
  // The Error names the entry and what is wrong with it.
  static Expected<BeatEntry> read(const std::string& name, const BeatEntrySettings& from,
                                  const Settings& settings, const App& app);

  const std::string& name() const { return name_; }
  const std::string& task() const { return task_; }
  const std::string& queue() const { return options_.queue; }
  const Schedule& schedule() const { return schedule_; }

  // The task to send at `now` (Unix seconds), with a fresh id.
  Message message(double now) const;

 private:
  BeatEntry(std::string name, std::string task, Schedule schedule)
      : name_(std::move(name)), task_(std::move(task)), schedule_(std::move(schedule)) {}
  Expected<void> read_options(const Json& options);

  std::string name_, task_;
  Schedule schedule_;
  Json args_, kwargs_;
  SendOptions options_;               // without the times, which depend on when it is sent
  std::optional<double> expires_in_;  // seconds from the time it is sent
};

// All of settings.beat_schedule, by name.
Expected<std::vector<BeatEntry>> read_beat_schedule(const Settings& settings, const App& app);

}  // namespace celeriac
