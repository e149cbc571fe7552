#include "queues/tick_ledger.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace celeriac {

std::string TickRecord::text() const {
  std::array<char, 64> time{};
  std::snprintf(time.data(), time.size(), "%.6f", last_run_at);
  return std::string(time.data()) + " " + std::to_string(total_run_count) + " " + by;
}

Expected<TickRecord> TickRecord::read(std::string_view text) {
  const auto fault = [&] {
    return unexpected("'" + std::string(text.substr(0, 80)) + "' is no record of a run");
  };
  TickRecord record;
  const char* const end = text.data() + text.size();
  const auto time = std::from_chars(text.data(), end, record.last_run_at);
  if (time.ec != std::errc{} || !std::isfinite(record.last_run_at) || time.ptr == end || *time.ptr != ' ')
    return fault();
  const auto count = std::from_chars(time.ptr + 1, end, record.total_run_count);
  if (count.ec != std::errc{} || count.ptr == end || *count.ptr != ' ') return fault();
  record.by.assign(count.ptr + 1, end);
  return record;
}

}  // namespace celeriac
