// What kind of failure a dead letter is, how urgent, and whether another run can help. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace celeriac {

enum class DeadPriority { low, normal, high, critical };

// A label of dlqcategory. `kept_as` is the broker's word ("unknown_task", "undecodable", "expired", "poison",
// ...), `type` and `message` are the exception's.
std::string_view dead_category(std::string_view kept_as, std::string_view type, std::string_view message);

DeadPriority dead_priority(std::string_view task, std::string_view category, bool names_invoice);
std::string_view to_string(DeadPriority);  // "LOW", ... as the database spells it

// A failure that another run repeats (bad data, a broken rule, bytes nobody can read) waits for a person.
bool may_redrive(std::string_view category);

// Until the next redrive after `redrives` of them: 1, 2, 4 minutes, at most an hour.
std::chrono::seconds redrive_delay(int redrives);

// Share of redrives expected to succeed, for people who decide.
double expected_success(std::string_view category);

}  // namespace celeriac
