#include "tasks/store/object_key.hpp"

#include "tasks/store/storage.hpp"

#include <algorithm>
#include <filesystem>

namespace celeriac {

void check_extension(std::string_view extension) {
  const bool fine = extension.empty() || (extension.size() <= 10 && extension.front() == '.' &&
                                          std::ranges::all_of(extension.substr(1), [](unsigned char c) {
                                            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                                          }));
  if (!fine) throw StorageError(StorageFailure::refused, "bad extension: " + std::string(extension));
}

void check_key(std::string_view text) {
  const std::filesystem::path key(text);
  bool fine = !key.empty() && key.is_relative() && text.find('\0') == std::string_view::npos;
  for (const auto& part : key) fine = fine && part != ".." && part != "." && !part.empty();
  if (!fine) throw StorageError(StorageFailure::refused, "the URI leads out of the storage root");
}

std::string key_of(std::string_view uri) {
  if (!uri.starts_with(storage_scheme))
    throw StorageError(StorageFailure::refused, "unknown storage URI: " + std::string(uri.substr(0, 200)));
  const std::string_view key = uri.substr(storage_scheme.size());
  check_key(key);
  return std::string(key);
}

std::string content_key(const std::string& sha256, std::string_view extension) {
  return "originals/" + sha256.substr(0, 2) + "/" + sha256.substr(2, 2) + "/" + sha256 +
         std::string(extension);
}

}  // namespace celeriac
