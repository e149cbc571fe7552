// YAML into Json with the safe schema of PyYAML, which is YAML 1.1: yes and no are booleans, 010 is
// octal, 1:30 counts in sixties. yaml-cpp parses; this decides what each scalar is. Aliases are
// expanded, up to a bound.
#include "protocol/base64.hpp"
#include "protocol/iso8601.hpp"
#include "protocol/json_object.hpp"
#include "protocol/serializer.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

namespace celeriac {
namespace {

constexpr std::size_t max_bytes = 64u << 20;  // yaml-cpp needs about a microsecond for two bytes
constexpr std::size_t max_depth = 200;
constexpr std::size_t max_expanded = 64u << 20;  // bytes, roughly, that aliases may add

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool all_in(std::string_view text, std::string_view set) { return text.find_first_not_of(set) == text.npos; }

std::optional<bool> as_bool(std::string_view s) {
  if (one_of(s, {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return true;
  if (one_of(s, {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) return false;
  return std::nullopt;
}

bool is_null(std::string_view s) { return one_of(s, {"", "~", "null", "Null", "NULL"}); }

std::string without_underscores(std::string_view s) {
  std::string out(s);
  std::erase(out, '_');
  return out;
}

// "190:20:30": sixties, each part after the first below 60.
template <class Number, class Parse>
std::optional<Number> sixties(std::string_view s, Parse parse) {
  Number total = 0;
  for (bool first = true; !s.empty(); first = false) {
    const auto colon = std::min(s.find(':'), s.size());
    const auto part = s.substr(0, colon);
    const auto value = parse(part);
    if (!value || (!first && (*value >= 60 || part.size() < 1))) return std::nullopt;
    if (total > Number(1e15)) return std::nullopt;
    total = total * 60 + *value;
    s.remove_prefix(std::min(colon + 1, s.size()));
  }
  return total;
}

std::optional<Json> decimal_integer(std::string_view digits, bool negative) {
  if (digits.empty() || digits.size() > 4300 || !all_in(digits, "0123456789")) return std::nullopt;
  const std::string text = (negative ? "-" : "") + std::string(digits);
  auto parsed = parse_json(text);
  return parsed ? std::optional(std::move(*parsed)) : std::nullopt;
}

std::optional<Json> as_integer(std::string_view scalar) {
  std::string_view s = scalar;
  const bool negative = !s.empty() && s.front() == '-';
  if (negative || (!s.empty() && s.front() == '+')) s.remove_prefix(1);
  if (s.empty() || s.front() < '0' || s.front() > '9') return std::nullopt;
  if (s.find(':') != s.npos) {
    const auto part = [](std::string_view p) -> std::optional<std::int64_t> {
      std::int64_t n = 0;
      if (p.empty() || p.size() > 15 || !all_in(p, "0123456789")) return std::nullopt;
      std::from_chars(p.data(), p.data() + p.size(), n);
      return n;
    };
    const auto total = s.front() == '0' ? std::nullopt : sixties<std::int64_t>(without_underscores(s), part);
    if (!total) return std::nullopt;
    return Json(negative ? -*total : *total);
  }
  const std::string digits = without_underscores(s);
  if (digits == "0") return Json(0);
  int base = 10;
  std::size_t prefix = 0;
  if (digits.front() == '0') {
    const bool marked = digits.size() > 2 && (digits[1] == 'b' || digits[1] == 'x');
    base = !marked ? 8 : digits[1] == 'b' ? 2 : 16;
    prefix = marked ? 2 : 1;
  }
  if (base == 10) return decimal_integer(digits, negative);
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(digits.data() + prefix, digits.data() + digits.size(), n, base);
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (ec != std::errc() || (negative && n > std::uint64_t{1} << 63))
    throw std::runtime_error("integer too long");
  if (!negative) return Json(n);
  return Json(static_cast<std::int64_t>(~n + 1));
}

std::optional<double> float_digits(std::string_view s) {
  double value = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), value, std::chars_format::general);
  if (end != s.data() + s.size()) return std::nullopt;
  if (ec == std::errc::result_out_of_range) {
    const auto wide = parse_json(s.front() == '.' ? "0" + std::string(s) : std::string(s));
    if (!wide) return std::nullopt;
    return wide->get<double>();
  }
  return ec == std::errc() ? std::optional(value) : std::nullopt;
}

// A point is what makes a float; an exponent must have its sign.
std::optional<double> as_float(std::string_view scalar) {
  std::string_view s = scalar;
  const bool negative = !s.empty() && s.front() == '-';
  if (negative || (!s.empty() && s.front() == '+')) s.remove_prefix(1);
  const double sign = negative ? -1 : 1;
  if (one_of(s, {".inf", ".Inf", ".INF"})) return sign * std::numeric_limits<double>::infinity();
  if (one_of(scalar, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  const auto point = s.find('.');
  if (point == s.npos || !all_in(s, "0123456789_.:eE+-") || s.front() == '_') return std::nullopt;
  const auto e = s.find_first_of("eE");
  if (e != s.npos && (e < point || e + 2 >= s.size() || (s[e + 1] != '+' && s[e + 1] != '-')))
    return std::nullopt;
  const std::string digits = without_underscores(s);
  if (digits == ".") return std::nullopt;
  if (digits.find(':') != digits.npos) {
    const auto total = sixties<double>(digits, float_digits);
    return total ? std::optional(sign * *total) : std::nullopt;
  }
  const auto value = float_digits(digits);
  return value ? std::optional(sign * *value) : std::nullopt;
}

// "2026-01-02", "2026-01-02 03:04:05.6 +01:00": as kombu's tagged date and datetime.
std::optional<Json> as_timestamp(std::string_view s) {
  if (s.size() < 8 || !all_in(s.substr(0, 4), "0123456789") || s[4] != '-') return std::nullopt;
  if (s.size() == 10) {
    const auto date = parse_calendar_time(s);
    return date ? std::optional(make_tag("date", std::string(s))) : std::nullopt;
  }
  // One blank or 'T' between date and time, any blanks before the offset.
  std::string text;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const bool blank = s[i] == ' ' || s[i] == '\t';
    if (blank && i > 10) continue;
    text += i == 10 && blank ? 'T' : s[i];
  }
  if (text.size() < 19) return std::nullopt;
  const auto time = parse_calendar_time(text);
  if (!time) return std::nullopt;
  return make_tag("datetime", format_date(*time) + "T" + format_time_of_day(*time));
}

Json plain_scalar(const std::string& s) {
  if (is_null(s)) return nullptr;
  if (const auto flag = as_bool(s)) return *flag;
  if (auto number = as_integer(s)) return std::move(*number);
  if (const auto number = as_float(s)) return *number;
  if (auto time = as_timestamp(s)) return std::move(*time);
  return s;
}

template <class T>
Json required(std::optional<T> value, const std::string& tag) {
  if (!value) throw std::runtime_error("no value of " + tag);
  return std::move(*value);
}

Json scalar(const std::string& tag, const std::string& s) {
  constexpr std::string_view standard = "tag:yaml.org,2002:";
  if (tag == "?" || tag.empty()) return plain_scalar(s);
  if (tag == "!") return s;
  const std::string name = tag.starts_with(standard) ? tag.substr(standard.size()) : "";
  if (name == "str") return s;
  if (name == "int") return required(as_integer(s), tag);
  if (name == "bool") return required(as_bool(s), tag);
  if (name == "null") return nullptr;
  if (name == "timestamp") return required(as_timestamp(s), tag);
  if (name == "binary") {
    const auto bytes = base64_decode(s);
    if (!bytes) throw std::runtime_error(bytes.error().what);
    return tagged_bytes(*bytes);
  }
  if (name == "float") {
    if (const auto number = as_float(s)) return *number;
    const auto whole = as_integer(s);
    if (whole && whole->is_number()) return whole->get<double>();
  }
  throw std::runtime_error("tag " + tag.substr(0, 60) + " is not allowed");
}

std::string key_text(const Json& key) {
  if (key.is_string()) return key.get<std::string>();
  if (auto text = tagged_text(key)) return std::move(*text);
  if (key.is_structured()) throw std::runtime_error("a key is no scalar");
  return dump_json(key);
}

std::size_t weight(const Json& value) {
  std::size_t total = 16;
  if (value.is_string()) total += value.get_ref<const std::string&>().size();
  if (value.is_array()) {
    for (const auto& element : value) total += weight(element);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.get_ref<const Json::object_t&>())
      total += key.size() + weight(member);
  }
  return total;
}

class Builder : public YAML::EventHandler {
 public:
  Json take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t anchor) override { add(nullptr, anchor); }
  void OnScalar(const YAML::Mark&, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!is_utf8(value)) throw std::runtime_error("invalid UTF-8");
    const bool merge =
        tag == "?" && value == "<<" && !open_.empty() && open_.back().is_map && !open_.back().has_key;
    if (merge) {
      open_.back().has_key = open_.back().merging = true;
      return;
    }
    add(scalar(tag, value), anchor);
  }
  void OnAlias(const YAML::Mark&, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw std::runtime_error("an alias to something unfinished");
    expanded_ += found->second.weight;
    if (expanded_ > max_expanded) throw std::runtime_error("aliases expand to too much");
    add(found->second.value, 0);
  }
  void OnSequenceStart(const YAML::Mark&, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (!one_of(tag, {"?", "", "!", "tag:yaml.org,2002:seq"}))
      throw std::runtime_error("tag " + tag.substr(0, 60) + " is not allowed");
    open(false, anchor);
  }
  void OnMapStart(const YAML::Mark&, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (!one_of(tag, {"?", "", "!", "tag:yaml.org,2002:map"}))
      throw std::runtime_error("tag " + tag.substr(0, 60) + " is not allowed");
    open(true, anchor);
  }
  void OnSequenceEnd() override {
    Open done = close();
    add(Json(std::move(done.elements)), done.anchor);
  }
  void OnMapEnd() override {
    Open done = close();
    // Merged members come first, so that the map's own win.
    Members all = std::move(done.merged);
    std::move(done.members.begin(), done.members.end(), std::back_inserter(all));
    add(take_object(all), done.anchor);
  }

 private:
  struct Open {
    bool is_map = false, has_key = false, merging = false;
    YAML::anchor_t anchor = 0;
    std::string key;
    Json::array_t elements;
    Members members, merged;
  };
  struct Anchored {
    Json value;
    std::size_t weight;
  };

  void open(bool is_map, YAML::anchor_t anchor) {
    if (open_.size() == max_depth) throw std::runtime_error("nested too deeply");
    open_.emplace_back();
    open_.back().is_map = is_map;
    open_.back().anchor = anchor;
  }

  Open close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    return done;
  }

  void add(Json value, YAML::anchor_t anchor) {
    if (anchor != 0) {
      const std::size_t size = weight(value);
      expanded_ += size;  // nested anchors keep their text once for each level
      if (expanded_ > max_expanded) throw std::runtime_error("anchors hold too much");
      anchors_[anchor] = {value, size};
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (!parent.is_map) {
      parent.elements.push_back(std::move(value));
    } else if (!parent.has_key) {
      parent.key = key_text(value);
      parent.has_key = true;
    } else if (parent.merging) {
      merge(parent, value);
      parent.has_key = parent.merging = false;
    } else {
      parent.members.emplace_back(std::move(parent.key), std::move(value));
      parent.has_key = false;
    }
  }

  // "<<": a map, or a list of maps of which the earlier win.
  static void merge(Open& into, const Json& value) {
    if (value.is_object()) {
      for (const auto& [key, member] : value.get_ref<const Json::object_t&>())
        into.merged.emplace_back(key, member);
    } else if (value.is_array()) {
      for (auto map = value.rbegin(); map != value.rend(); ++map) {
        if (!map->is_object()) throw std::runtime_error("merging what is no map");
        merge(into, *map);
      }
    } else {
      throw std::runtime_error("merging what is no map");
    }
  }

  Json root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::size_t expanded_ = 0;
};

}  // namespace

Expected<Json> parse_yaml(std::string_view text) {
  if (text.size() > max_bytes) return unexpected("yaml: longer than " + std::to_string(max_bytes) + " bytes");
  if (!is_utf8(text)) return unexpected("yaml: invalid UTF-8");
  // The one place where a library answers bad input with exceptions: they end here.
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) return Json();
    Builder second;
    if (parser.HandleNextDocument(second)) return unexpected("yaml: more than one document");
    return builder.take();
  } catch (const YAML::Exception& e) {
    return unexpected(std::string("yaml: ") + e.what());
  } catch (const std::runtime_error& e) {
    return unexpected(std::string("yaml: ") + e.what());
  }
}

}  // namespace celeriac
