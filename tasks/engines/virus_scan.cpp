#include "tasks/engines/virus_scan.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/url/parse.hpp>

#include <algorithm>
#include <array>
#include <istream>

namespace celeriac {
namespace {

constexpr std::size_t chunk = 64 * 1024;
constexpr std::size_t longest_answer = 4096;

// zINSTREAM: pieces with their length in front, four bytes in network order; an empty one is the end.
template <class Stream>
Expected<std::optional<std::string>> talk(Stream& stream, const std::string& url, std::string_view bytes) {
  const auto fault = [&](const std::string& why) { return unexpected("clamd at " + url + ": " + why); };
  if (!stream) return fault(stream.error().message());
  stream.write("zINSTREAM\0", 10);
  for (std::size_t at = 0; at < bytes.size() && stream; at += chunk) {
    const std::string_view piece = bytes.substr(at, chunk);
    const auto size = static_cast<std::uint32_t>(piece.size());
    const std::array<char, 4> length{static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                                     static_cast<char>(size >> 8), static_cast<char>(size)};
    stream.write(length.data(), length.size());
    stream.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  }
  stream.write("\0\0\0\0", 4);
  stream.flush();
  // A stream it finds too long it answers and closes while we write: the answer is there all the same.
  stream.clear();
  std::string answer;
  for (char c = 0; answer.size() < longest_answer && stream.get(c) && c != '\0';) answer += c;
  constexpr std::string_view before = "stream: ", found = " FOUND";
  if (answer == "stream: OK") return std::optional<std::string>();
  if (answer.starts_with(before) && answer.ends_with(found))
    return std::optional(answer.substr(before.size(), answer.size() - before.size() - found.size()));
  return fault(answer.empty() ? "no answer" : answer);
}

}  // namespace

Expected<std::optional<std::string>> scan_for_viruses(const std::string& url, std::string_view bytes,
                                                      std::chrono::seconds patience) {
  constexpr std::string_view unix_scheme = "unix:";
  if (url.starts_with(unix_scheme)) {
    using boost::asio::local::stream_protocol;
    stream_protocol::iostream stream;
    stream.expires_after(patience);
    stream.connect(stream_protocol::endpoint(url.substr(unix_scheme.size())));
    return talk(stream, url, bytes);
  }
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || parsed->scheme() != "clamd" || parsed->host().empty())
    return unexpected("virus_scan_url: neither clamd://host:3310 nor unix:/path");
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(patience);
  stream.connect(std::string(parsed->host()), parsed->has_port() ? std::string(parsed->port()) : "3310");
  return talk(stream, url, bytes);
}

}  // namespace celeriac
