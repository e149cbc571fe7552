#include "protocol/embed.hpp"

#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <utility>

namespace celeriac {
namespace {

constexpr std::array<std::string_view, 4> names = {"callbacks", "errbacks", "chain", "chord"};

void append_part(std::string_view key, std::string_view value, std::string& out) {
  dump_json_string(key, out);
  out += ": ";
  out += value;
}

}  // namespace

bool Embed::read_chain(JsonScanner& in, std::string_view& text, Embed& embed) {
  embed.next_at_ = 0;
  if (in.peek() != '[') return in.skip_value(text);
  const char* const begin = in.position();
  in.enter_array();
  embed.later_end_ = 1;
  std::string_view step;
  while (in.next_element()) {
    if (!step.empty()) embed.later_end_ = static_cast<std::size_t>(step.data() + step.size() - begin);
    if (!in.skip_value(step)) return false;
    embed.next_at_ = static_cast<std::size_t>(step.data() - begin);
  }
  text = {begin, static_cast<std::size_t>(in.position() - begin)};
  return !in.failed();
}

Expected<Embed> Embed::read(JsonScanner& in) {
  Embed embed;
  if (in.peek() == 'n') {
    in.read_null();
  } else if (in.enter_object()) {
    std::string_view key, value;
    while (in.next_key(key)) {
      const auto known = std::find(names.begin(), names.end(), key);
      const std::string other = known == names.end() ? std::string(key) : std::string();
      if (!(key == "chain" ? read_chain(in, value, embed) : in.skip_value(value))) break;
      if (known != names.end()) {
        embed.parts_[static_cast<std::size_t>(known - names.begin())] = value;
      } else {
        embed.others_ += ", ";
        append_part(other, value, embed.others_);
      }
    }
  }
  if (in.failed()) return unexpected(in.error());
  return embed;
}

Expected<Embed> Embed::of(std::string_view text) {
  JsonScanner in(text);
  auto embed = read(in);
  if (embed && !in.finish()) return unexpected(in.error());
  return embed;
}

Embed Embed::from(const Json& object) { return of(dump_json(object)).value(); }

bool Embed::empty() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const std::string& part) {
    return part.empty() || part == "null" || part == "[]" || part == "{}";
  });
}

void Embed::write(std::string& out) const {
  const char* separator = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += std::exchange(separator, ", ");
    append_part(names[i], part(i), out);
  }
  out += others_;
  out += '}';
}

std::string Embed::text() const {
  std::string out;
  write(out);
  return out;
}

Expected<Json> Embed::json() const { return parse_json(text()); }

void Embed::set_chain(std::string text) {
  parts_[2] = std::move(text);
  next_at_ = later_end_ = 0;
}

std::optional<ChainTexts> Embed::next_step() const {
  if (next_at_ == 0) return std::nullopt;
  const std::string_view text = chain();
  ChainTexts texts{text.substr(next_at_, text.size() - 1 - next_at_), {}};
  texts.later.reserve(later_end_ + 1);
  texts.later.append(text.substr(0, later_end_)).append("]");
  return texts;
}

}  // namespace celeriac
