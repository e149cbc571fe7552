// How stored objects are named, whatever holds them.
#pragma once

#include <string>
#include <string_view>

namespace celeriac {

inline constexpr std::string_view storage_scheme = "storage://", file_scheme = "file://";

// "", ".pdf": a dot and up to nine of a-z, 0-9. Throws StorageError (refused).
void check_extension(std::string_view extension);

// Relative, of parts that are neither "." nor "..", without a NUL. Throws StorageError (refused).
void check_key(std::string_view key);

// The key of "storage://<key>", checked. Throws StorageError (refused) for any other URI.
std::string key_of(std::string_view uri);

// originals/ab/cd/<sha256><extension>
std::string content_key(const std::string& sha256, std::string_view extension);

}  // namespace celeriac
