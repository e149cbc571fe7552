#include "protocol/envelope_edit.hpp"

#include "protocol/json.hpp"
#include "protocol/json_scanner.hpp"

#include <optional>

namespace celeriac {
namespace {

// Where the value of `name` stands in the object that comes next. False: the text is broken.
bool find_member(JsonScanner& in, std::string_view name, std::optional<std::string_view>& found) {
  if (in.peek() != '{') return in.skip_value();
  std::string_view key, value;
  in.enter_object();
  while (in.next_key(key)) {
    const bool wanted = key == name;
    if (!in.skip_value(value)) return false;
    if (wanted) found = value;
  }
  return !in.failed();
}

Expected<std::optional<std::string_view>> member_of(std::string_view object, std::string_view name) {
  std::optional<std::string_view> found;
  JsonScanner in(object);
  if (in.peek() != '{') return unexpected("envelope: expected an object");
  if (!find_member(in, name, found) || !in.finish()) return unexpected("envelope: " + in.error());
  return found;
}

// `text` with `part`, a view into it, replaced.
std::string with(std::string_view text, std::string_view part, std::string_view replacement) {
  const auto at = static_cast<std::size_t>(part.data() - text.data());
  std::string out;
  out.reserve(text.size() + replacement.size());
  out.append(text.substr(0, at)).append(replacement).append(text.substr(at + part.size()));
  return out;
}

}  // namespace

Expected<std::string> readdress(std::string_view envelope, std::string_view queue) {
  auto properties = member_of(envelope, "properties");
  if (!properties) return tl::unexpected(properties.error());
  if (!*properties) return unexpected("envelope: no properties");
  auto info = member_of(**properties, "delivery_info");
  if (!info) return tl::unexpected(info.error());
  if (!*info) return unexpected("envelope: no properties.delivery_info");

  std::string out(**info);
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"exchange", ""}, {"routing_key", queue}}) {
    auto old = member_of(out, name);
    if (!old) return tl::unexpected(old.error());
    if (!*old) return unexpected("envelope: no properties.delivery_info." + std::string(name));
    std::string quoted;
    dump_json_string(value, quoted);
    out = with(out, **old, quoted);
  }
  return with(envelope, **info, out);
}

Expected<std::string> without_eta(std::string_view envelope) {
  auto headers = member_of(envelope, "headers");
  if (!headers) return tl::unexpected(headers.error());
  if (!*headers) return unexpected("envelope: no headers");
  auto eta = member_of(**headers, "eta");
  if (!eta) return tl::unexpected(eta.error());
  return *eta ? with(envelope, **eta, "null") : std::string(envelope);
}

}  // namespace celeriac
