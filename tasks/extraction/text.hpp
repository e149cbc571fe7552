// Small readings of UTF-8 text that every rule needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

// Lower-case ASCII letters and digits only, accents taken off ("Zuschläge:" -> "zuschlage",
// "ß" -> "ss"). Two labels are the same label when their folded forms are equal, whatever
// spacing and punctuation a layout gives them.
std::string fold(std::string_view utf8);

// Runs of white space (Unicode spaces too) become one space; none at the ends.
std::string squeeze(std::string_view utf8);

// Punctuation and white space that stands around a value (": 4711,").
std::string_view trim_value(std::string_view text);

// Drops what is not UTF-8, so that the text can go into JSON or a database.
std::string valid_utf8(std::string_view bytes);

}  // namespace celeriac
