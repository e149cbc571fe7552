#include "http/pages/html.hpp"

#include "protocol/time.hpp"

#include <algorithm>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <utility>

namespace celeriac::http {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string url_encoded(std::string_view text) {
  return boost::urls::encode(text, boost::urls::unreserved_chars);
}

HtmlTable::HtmlTable(std::string caption, std::vector<std::string> head, std::vector<std::size_t> numeric)
    : caption_(std::move(caption)), head_(std::move(head)), numeric_(std::move(numeric)) {}

void HtmlTable::row(const std::vector<std::string>& cells) {
  rows_ += "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i)
    rows_ +=
        (std::find(numeric_.begin(), numeric_.end(), i) != numeric_.end() ? "<td class=number>" : "<td>") +
        cells[i] + "</td>";
  rows_ += "</tr>\n";
}

std::string HtmlTable::text(std::string_view none) const {
  std::string out = "<section><h2>" + escaped(caption_) + "</h2>\n";
  if (rows_.empty()) return out + "<p class=none>" + escaped(none) + "</p></section>\n";
  out += "<div class=wide tabindex=0 role=region aria-label=\"" + escaped(caption_) + "\"><table><thead><tr>";
  for (std::size_t i = 0; i < head_.size(); ++i)
    out += (std::find(numeric_.begin(), numeric_.end(), i) != numeric_.end() ? "<th scope=col class=number>"
                                                                             : "<th scope=col>") +
           escaped(head_[i]) + "</th>";
  return out + "</tr></thead><tbody>\n" + rows_ + "</tbody></table></div></section>\n";
}

constexpr std::string_view icon =
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle cx='4' "
    "cy='4' "
    "r='3.5' fill='%230b5cad'/%3E%3C/svg%3E";

Response html_page(const Page& page) {
  static constexpr std::pair<std::string_view, std::string_view> places[] = {
      {"/", "Overview"},         {"/tasks", "Tasks"},   {"/workers", "Workers"},
      {"/dead", "Dead letters"}, {"/upload", "Upload"}, {"/docs", "API"}};
  std::string out =
      "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
      "content=\"width=device-width, initial-scale=1\"><title>" +
      escaped(page.title) + " - celeriac</title><link rel=icon href=\"" + std::string(icon) +
      "\"><link rel=stylesheet href=\"/dashboard.css\"><script src=\"/dashboard.js\" "
      "defer></script>";
  if (page.again > 0)
    out += "<noscript><meta http-equiv=refresh content=" + std::to_string(page.again) + "></noscript>";
  out +=
      "</head><body><a class=skip href=\"#main\">To the content</a><header><strong>celeriac</strong><nav "
      "aria-label=Pages>";
  for (const auto& [target, name] : places) {
    out += "<a href=\"" + std::string(target) + "\"";
    if (target == page.place) out += " aria-current=page";
    out += ">" + std::string(name) + "</a>";
  }
  out += "</nav><span id=live></span></header><main id=main" + std::string(page.still ? " data-still" : "") +
         "><h1>" + escaped(page.title) + "</h1>\n" + page.body + "</main></body></html>\n";
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.body = std::move(out);
  return response.with("Content-Security-Policy",
                       "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                       "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
}

Response see_other(std::string path) {
  Response response;
  response.status = 303;
  response.content_type = "text/plain";
  return response.with("Location", std::move(path));
}

std::string time_html(double unix_seconds) {
  if (unix_seconds <= 0) return "<span class=dim>never</span>";
  auto text = format_iso8601(unix_seconds);
  auto shown = text.substr(0, 19);
  shown[10] = ' ';
  return "<time datetime=\"" + escaped(text) + "\">" + escaped(shown) + "</time>";
}

std::string state_html(const std::string& state) {
  const char* kind = state == "SUCCESS" || state == "completed" ? "good"
                     : state == "FAILURE" || state == "REVOKED" || state == "LOST" || state == "failed"
                         ? "bad"
                         : "dim";
  return "<span class=\"state " + std::string(kind) + "\">" + escaped(state) + "</span>";
}

std::string warning_html(std::string_view text) {
  return "<p class=warn role=status>" + escaped(text) + "</p>\n";
}

std::string notice_html(std::string_view text) {
  return "<p class=notice role=status>" + escaped(text) + "</p>\n";
}

std::string task_link(const std::string& task_id) {
  return "<a href=\"/tasks/" + url_encoded(task_id) + "\"><code>" + escaped(task_id) + "</code></a>";
}

std::string queue_link(const std::string& queue) {
  return "<a href=\"/queue?name=" + url_encoded(queue) + "\">" + escaped(queue) + "</a>";
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(seconds);
  const auto two = [](long long big, const char* of, long long small, const char* rest) {
    return std::to_string(big) + of + (small > 0 ? " " + std::to_string(small) + rest : "");
  };
  if (seconds < 1) return std::to_string(static_cast<long long>(seconds * 1000 + 0.5)) + " ms";
  if (whole < 10) {
    const auto tenths = static_cast<long long>(seconds * 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
  }
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return two(whole / 60, " min", whole % 60, " s");
  if (whole < 86400) return two(whole / 3600, " h", whole % 3600 / 60, " min");
  return two(whole / 86400, " d", whole % 86400 / 3600, " h");
}

}  // namespace celeriac::http
