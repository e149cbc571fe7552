// Text from documents, made fit for a column. A document may hold anything: broken UTF-8,
// NULs, the 30th of February; none of it may make the whole invoice unstorable.
#pragma once

#include "tasks/store/database.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace celeriac {

// Valid UTF-8 without control characters (line ends and tabs become blanks unless
// `keep_lines`), at most `max_characters` code points, trimmed.
std::string clean_text(std::string_view text, std::size_t max_characters, bool keep_lines = false);

// The same as a column value: nothing when nothing is left.
SqlValue text_value(std::string_view text, std::size_t max_characters);

// A real calendar day "yyyy-mm-dd", else NULL.
SqlValue date_value(std::string_view text);

// A plain decimal that fits the domain `amount`, else NULL.
SqlValue amount_value(std::string_view text);

// "0.87"; out of range is clamped, NaN is 0.
std::string confidence_value(double confidence);

}  // namespace celeriac
