// A setting's value from the text of an environment variable or an option.
#include "config/settings_table.hpp"

#include <charconv>
#include <string>

namespace celeriac {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] | 0x20) != lower[i]) return false;
  return true;
}

SettingResult<Json> fault(const SettingInfo& setting, std::string_view expected, std::string_view text) {
  SettingFault out;
  out.key = setting.name;
  out.what = "expects " + std::string(expected) + ", not \"" + std::string(text.substr(0, 60)) + "\"";
  return tl::unexpected(std::move(out));
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    auto end = std::min(text.find(','), text.size());
    if (auto item = trim(text.substr(0, end)); !item.empty()) out.push_back(item);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One entry of k=v,k=v: its members have types of their own, so what reads as a number or a truth is one.
Json member_value(std::string_view text) {
  if (auto value = number<std::int64_t>(text)) return *value;
  if (auto value = number<double>(text)) return *value;
  if (text == "true") return true;
  if (text == "false") return false;
  return std::string(text);
}

}  // namespace

SettingResult<Json> read_setting_text(const SettingInfo& setting, std::string_view raw) {
  auto text = trim(raw);
  if (setting.optional && (text.empty() || same_word(text, "none"))) return Json(nullptr);
  bool json_form = !text.empty() && (text[0] == '[' || text[0] == '{');
  switch (setting.kind) {
    case SettingKind::boolean:
      for (std::string_view yes : {"true", "yes", "on", "1"})
        if (same_word(text, yes) || text == yes) return Json(true);
      for (std::string_view no : {"false", "no", "off", "0"})
        if (same_word(text, no) || text == no) return Json(false);
      return fault(setting, "true or false", text);
    case SettingKind::integer:
      if (auto value = number<std::int64_t>(text)) return Json(*value);
      return fault(setting, "a whole number, 0 or more", text);
    case SettingKind::number:
      if (auto value = number<double>(text)) return Json(*value);
      return fault(setting, "a number, 0 or more", text);
    case SettingKind::seconds:
      if (auto value = number<double>(text)) return Json(*value);
      return fault(setting, "seconds, 0 or more", text);
    case SettingKind::text:
      return Json(std::string(raw));
    default:
      break;
  }
  if (json_form) {
    auto parsed = parse_json(text, {.max_bytes = 1u << 20, .max_depth = 16});
    if (!parsed) return fault(setting, "well-formed JSON (" + parsed.error().what + ")", text);
    return *parsed;
  }
  if (setting.kind == SettingKind::table) {
    if (text == "true") return Json(true);
    Json out = Json::object();
    for (auto item : split(text)) {
      auto equals = item.find('=');
      if (equals == std::string_view::npos)
        return fault(setting, "a JSON object or name=value,name=value", text);
      out[std::string(trim(item.substr(0, equals)))] = member_value(trim(item.substr(equals + 1)));
    }
    return out;
  }
  Json list = Json::array();
  for (auto item : split(text)) {
    if (setting.kind == SettingKind::text_list)
      list.push_back(std::string(item));
    else if (auto value = number<std::int64_t>(item))
      list.push_back(*value);
    else
      return fault(setting, "whole numbers separated by commas", text);
  }
  return list;
}

}  // namespace celeriac
