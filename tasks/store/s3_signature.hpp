// Addresses of S3 objects that whoever has them may read for a while: AWS Signature Version 4 in the query.
#pragma once

#include <chrono>
#include <string>

namespace celeriac {

struct S3Access {
  std::string key, secret, region;
};

// RFC 3986, as S3 wants keys: slashes stay.
std::string encode_s3_path(const std::string& path);

// "https://host/path?X-Amz-Algorithm=...". `origin` is "https://host[:port]", `path` encoded and beginning
// with a slash; valid for `seconds` (at most a week) from `now`.
std::string sign_s3_url(const S3Access& access, const std::string& origin, const std::string& path,
                        int seconds, std::chrono::system_clock::time_point now);

}  // namespace celeriac
