#include "http/html.hpp"

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

Response html_page(std::string_view title, std::string_view path, const std::string& body) {
  static constexpr std::pair<std::string_view, std::string_view> places[] = {{"/", "Overview"},
                                                                             {"/tasks", "Tasks"},
                                                                             {"/workers", "Workers"},
                                                                             {"/dead", "Dead letters"},
                                                                             {"/docs", "API"}};
  std::string out =
      "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
      "content=\"width=device-width, initial-scale=1\"><title>" +
      escaped(title) +
      " - celeriac</title><link rel=stylesheet href=\"/dashboard.css\"><script src=\"/dashboard.js\" "
      "defer></script></head><body><header><strong>celeriac</strong><nav aria-label=Pages>";
  for (const auto& [target, name] : places) {
    out += "<a href=\"" + std::string(target) + "\"";
    if (target == path) out += " aria-current=page";
    out += ">" + std::string(name) + "</a>";
  }
  out += "</nav><span id=live></span></header><main><h1>" + escaped(title) + "</h1>\n" + body +
         "</main></body></html>\n";
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.body = std::move(out);
  return response.with("Content-Security-Policy",
                       "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                       "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
}

const char* const dashboard_style = R"css(
:root { color-scheme: light dark; --line: #d5dae1; --soft: #f4f6f8; --link: #0b5cad; --bad: #b3261e; --good: #1b6e3c; --dim: #5b6673; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a424d; --soft: #1d2229; --link: #8ab8ff; --bad: #ff9d94; --good: #7fd8a0; --dim: #a3adb8; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; align-items: center; padding: .7rem 1.2rem; background: var(--soft);
  border-bottom: 1px solid var(--line); }
nav { display: flex; flex-wrap: wrap; gap: 1rem; flex: 1; }
a { color: var(--link); }
nav a { text-decoration: none; padding: .15rem 0; }
nav a[aria-current] { font-weight: 600; border-bottom: 2px solid; }
main { max-width: 80rem; margin: 0 auto; padding: 0 1.2rem 2rem; }
h1 { font-size: 1.5rem; margin: 1.2rem 0 .6rem; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); }
.none, .dim { color: var(--dim); }
.warn { border-left: 4px solid var(--bad); padding: .5rem .8rem; background: var(--soft); }
code, pre { font: 13px/1.4 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
form { display: flex; flex-wrap: wrap; gap: .8rem; align-items: end; }
label { display: grid; gap: .2rem; color: var(--dim); font-size: .85rem; }
input, select, button { font: inherit; padding: .3rem .5rem; border: 1px solid var(--dim); border-radius: 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
)css";

const char* const dashboard_script = R"js(
'use strict';
// The page is whole without this. While nobody types and the page is seen, <main> is fetched anew.
const place = document.getElementById('live');
const button = document.createElement('button');
let paused = false;
function label() { button.textContent = paused ? 'Resume updates' : 'Pause updates'; button.setAttribute('aria-pressed', paused); }
button.addEventListener('click', () => { paused = !paused; label(); });
label();
place.append(button);
async function renew() {
  const main = document.querySelector('main');
  if (paused || document.hidden || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
    if (!paused) main.replaceWith(fresh);
    place.title = '';
  } catch (error) {
    place.title = 'Not updated: ' + error.message;
  }
}
setInterval(renew, 5000);
)js";

}  // namespace celeriac::http
