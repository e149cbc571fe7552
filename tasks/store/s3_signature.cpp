#include "tasks/store/s3_signature.hpp"

#include "tasks/engines/http.hpp"
#include "tasks/store/digest.hpp"

#include <ctime>
#include <string_view>

namespace celeriac {
namespace {

std::string digest(std::string_view text) {
  Sha256 sha256;
  sha256.update(text);
  return sha256.hex();
}

}  // namespace

std::string encode_s3_path(const std::string& path) {
  std::string out;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    out += url_encode(std::string_view(path).substr(begin, end - begin));
    if (end < path.size()) out += '/';
    begin = end + 1;
  }
  return out;
}

std::string sign_s3_url(const S3Access& access, const std::string& origin, const std::string& path,
                        int seconds, std::chrono::system_clock::time_point now) {
  const std::time_t clock = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&clock, &utc);
  std::array<char, 17> stamp{};  // 20130524T000000Z
  std::strftime(stamp.data(), stamp.size(), "%Y%m%dT%H%M%SZ", &utc);
  const std::string time = stamp.data(), day = time.substr(0, 8);
  const std::string scope = day + "/" + access.region + "/s3/aws4_request";
  const std::string query =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url_encode(access.key + "/" + scope) +
      "&X-Amz-Date=" + time + "&X-Amz-Expires=" + std::to_string(seconds) + "&X-Amz-SignedHeaders=host";
  const std::string host = origin.substr(origin.find("://") + 3);
  const std::string request = "GET\n" + path + "\n" + query + "\nhost:" + host + "\n\nhost\nUNSIGNED-PAYLOAD";
  const std::string text = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + digest(request);
  const std::string key =
      hmac_sha256(hmac_sha256(hmac_sha256(hmac_sha256("AWS4" + access.secret, day), access.region), "s3"),
                  "aws4_request");
  return origin + path + "?" + query + "&X-Amz-Signature=" + hexadecimal(hmac_sha256(key, text));
}

}  // namespace celeriac
