// What a message says is to follow its task: the third element of a body.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

class JsonScanner;

// A chain lists its steps backwards: its next step, and the list of those behind that one, as JSON texts.
struct ChainTexts {
  std::string_view next;
  std::string later;  // "[]" behind the last step
};

// Callbacks, errbacks, chain and chord, and whatever else a producer added behind them. Each part stays the
// JSON text that came in until somebody reads it: most tasks carry on what follows them, a long chain with
// each of its steps, and look at little of it.
class Embed {
 public:
  Embed() = default;  // nothing follows

  // The next value must be an object or null. Parts given twice: the last counts.
  static Expected<Embed> read(JsonScanner& in);
  static Expected<Embed> of(std::string_view text);
  static Embed from(const Json& object);

  // JSON text; "null" when absent.
  std::string_view callbacks() const { return part(0); }
  std::string_view errbacks() const { return part(1); }
  std::string_view chain() const { return part(2); }
  std::string_view chord() const { return part(3); }

  // Nothing when the chain is no list, or an empty one; and of one that was set instead of read.
  std::optional<ChainTexts> next_step() const;

  // `text` must be valid JSON.
  void set_callbacks(std::string text) { parts_[0] = std::move(text); }
  void set_errbacks(std::string text) { parts_[1] = std::move(text); }
  void set_chain(std::string text);
  void set_chord(std::string text) { parts_[3] = std::move(text); }

  bool empty() const;  // all four are null, or hold nothing

  // An object with the four keys first and always.
  void write(std::string& out) const;
  std::string text() const;
  // Fails on what is well-formed and still not read: integers of thousands of digits.
  Expected<Json> json() const;

 private:
  std::string_view part(std::size_t i) const {
    return parts_[i].empty() ? "null" : std::string_view(parts_[i]);
  }

  static bool read_chain(JsonScanner& in, std::string_view& text, Embed& embed);

  std::array<std::string, 4> parts_;  // empty: null
  std::size_t next_at_ = 0;           // in the chain's text: where its last element begins; 0: not known
  std::size_t later_end_ = 0;         // and where the one before ends
  std::string others_;                // `, "key": value` of each further member
};

}  // namespace celeriac
