// From Json to a member of Settings and back, one overload a type. Used by settings_table.cpp only.
#pragma once

#include "config/settings_table.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::setting_values {

using Warnings = std::vector<std::string>;
using Result = SettingResult<void>;

// A fault of the value itself; whoever knows the key puts it in front.
tl::unexpected<SettingFault> expects(std::string_view what, const Json& got);

Result read(const Json& value, bool& out, Warnings&);
Result read(const Json& value, int& out, Warnings&);           // 0 or more
Result read(const Json& value, std::int64_t& out, Warnings&);  // 0 or more
Result read(const Json& value, double& out, Warnings&);        // finite, 0 or more
Result read(const Json& value, std::string& out, Warnings&);
Result read(const Json& value, std::vector<std::string>& out, Warnings&);
Result read(const Json& value, std::vector<int>& out, Warnings&);
Result read(const Json& value, std::map<std::string, std::string>& out, Warnings&);
Result read(const Json& value, RedisOptions& out, Warnings&);
Result read(const Json& value, TlsOptions& out, Warnings&);
Result read(const Json& value, std::map<std::string, BeatEntrySettings>& out, Warnings&);
// Celery's two forms: a table by the queues' names, or a list of tables with `name`.
Result read(const Json& value, std::map<std::string, QueueSettings>& out, Warnings&);

template <class T>
Result read(const Json& value, std::optional<T>& out, Warnings& warnings) {
  if (value.is_null()) {
    out.reset();
    return {};
  }
  T inner{};
  if (auto done = read(value, inner, warnings); !done) return done;
  out = std::move(inner);
  return {};
}

Json write(bool value);
Json write(int value);
Json write(std::int64_t value);
Json write(double value);
Json write(const std::string& value);
Json write(const std::vector<std::string>& value);
Json write(const std::vector<int>& value);
Json write(const std::map<std::string, std::string>& value);
Json write(const RedisOptions& value);
Json write(const TlsOptions& value);
Json write(const std::map<std::string, BeatEntrySettings>& value);
Json write(const std::map<std::string, QueueSettings>& value);
template <class T>
Json write(const std::optional<T>& value) {
  return value ? write(*value) : Json(nullptr);
}

constexpr SettingKind kind_of(const bool*) { return SettingKind::boolean; }
constexpr SettingKind kind_of(const int*) { return SettingKind::integer; }
constexpr SettingKind kind_of(const std::int64_t*) { return SettingKind::integer; }
constexpr SettingKind kind_of(const double*) { return SettingKind::seconds; }
constexpr SettingKind kind_of(const std::string*) { return SettingKind::text; }
constexpr SettingKind kind_of(const std::vector<std::string>*) { return SettingKind::text_list; }
constexpr SettingKind kind_of(const std::vector<int>*) { return SettingKind::integer_list; }
constexpr SettingKind kind_of(const std::map<std::string, std::string>*) { return SettingKind::table; }
constexpr SettingKind kind_of(const RedisOptions*) { return SettingKind::table; }
constexpr SettingKind kind_of(const TlsOptions*) { return SettingKind::table; }
constexpr SettingKind kind_of(const std::map<std::string, BeatEntrySettings>*) { return SettingKind::table; }
constexpr SettingKind kind_of(const std::map<std::string, QueueSettings>*) { return SettingKind::table; }
template <class T>
constexpr SettingKind kind_of(const std::optional<T>*) {
  return kind_of(static_cast<const T*>(nullptr));
}
template <class T>
constexpr bool is_optional(const T*) {
  return false;
}
template <class T>
constexpr bool is_optional(const std::optional<T>*) {
  return true;
}

// Members of the nested tables, for the reference page.
std::vector<MemberInfo> redis_members();
std::vector<MemberInfo> tls_members();
std::vector<MemberInfo> beat_entry_members();
std::vector<MemberInfo> queue_members();

}  // namespace celeriac::setting_values
