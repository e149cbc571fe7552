#include "config/toml_file.hpp"
#include "tasks/validation/rules.hpp"

#include <algorithm>

namespace celeriac {
namespace {

struct Fault {
  std::string text;
};

// The one place that knows which keys the file has.
class RulesFile {
 public:
  RulesFile(const std::string& path, const TomlFile& file, std::vector<Rule>& rules)
      : path_(path), file_(file), rules_(rules) {}

  void read(std::string& name, bool& strict, bool& auto_resolve) {
    for (const auto& [key, value] : file_.values.items()) {
      if (key == "version") {
        name = text(key, value);
        if (name.empty() || name.size() > 24) fail(key, "must have 1 to 24 characters");
      } else if (key == "strict") {
        strict = truth(key, value);
      } else if (key == "auto_resolve") {
        auto_resolve = truth(key, value);
      } else if (key == "rules" && value.is_object()) {
        for (const auto& [id, options] : value.items()) rule(id, options);
      } else {
        fail(key, "is not one of version, strict, auto_resolve, [rules.<name>]");
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw Fault{path_ + ":" + std::to_string(file_.line_of(key)) + ": " + key + " " + what};
  }
  std::string text(const std::string& key, const Json& value) const {
    if (!value.is_string()) fail(key, "must be a text");
    return value.get<std::string>();
  }
  bool truth(const std::string& key, const Json& value) const {
    if (!value.is_boolean()) fail(key, "must be true or false");
    return value.get<bool>();
  }

  void rule(const std::string& id, const Json& options) {
    const std::string key = "rules." + id;
    const auto found = std::ranges::find(rules_, id, &Rule::id);
    if (found == rules_.end()) fail(key, "is no rule; docs/invoices.md lists them");
    if (!options.is_object()) fail(key, "must be a table");
    for (const auto& [name, value] : options.items()) {
      const std::string at = key + "." + name;
      if (name == "enabled") {
        found->enabled = truth(at, value);
      } else if (name == "severity") {
        const std::string word = text(at, value);
        if (word != "error" && word != "warning" && word != "info")
          fail(at, "must be error, warning or info");
        found->severity = word == "error"     ? Severity::error
                          : word == "warning" ? Severity::warning
                                              : Severity::info;
      } else if (name == "limit") {
        if (found->limit.empty()) fail(at, "has no meaning: this rule has no limit");
        const std::string limit = value.is_number_integer() ? value.dump() : text(at, value);
        const auto number = parse_decimal(limit);
        if (!number || *number < 0) fail(at, "must be a decimal of at least 0, written as a text (\"0.05\")");
        found->limit = limit;
      } else {
        fail(at, "is not one of enabled, severity, limit");
      }
    }
  }

  const std::string& path_;
  const TomlFile& file_;
  std::vector<Rule>& rules_;
};

}  // namespace

Expected<RuleSet> RuleSet::load(const std::string& path) {
  RuleSet set;
  if (path.empty()) return set;
  const auto file = read_toml_file(path);
  if (!file) return unexpected(file.error().what);
  try {
    RulesFile(path, *file, set.rules_).read(set.name_, set.strict_, set.auto_resolve_);
  } catch (const Fault& fault) {
    return unexpected(fault.text);
  }
  return set;
}

}  // namespace celeriac
