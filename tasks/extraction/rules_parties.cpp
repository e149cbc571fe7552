// Who sells and who buys. Best told by headed blocks ("Verkäufer:"), else by the address
// window of a letter: the sender's line, and the recipient below it.
#include "tasks/extraction/rules.hpp"
#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace celeriac::rules {
namespace {

// One cell as a candidate for a name or an address line.
struct Cell {
  Span span;
  std::string text;
};

std::size_t letters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<signed char>(c) < 0;
  }));
}

bool is_label_at(const Reading& reading, const Span& span) {
  return std::ranges::any_of(reading.labels, [&](const FoundLabel& l) {
    return l.line == span.line && l.first >= span.first && l.first < span.last && l.label != Label::net &&
           l.label != Label::tax && (l.first == span.first) && l.weight >= 0.6f;
  });
}

bool has_postcode(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::size_t end = i;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    const bool alone = (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))) &&
                       (end == text.size() || text[end] == ' ' || text[end] == ',');
    if (end - i >= 4 && end - i <= 6 && alone && letters(text.substr(end)) >= 3) return true;
    i = std::max(i, end);
  }
  return false;
}

bool is_contact(std::string_view text) {
  static constexpr std::array<std::string_view, 17> starts{
      "tel", "fon", "fax",   "phone", "mobil", "email",   "mail", "http", "www",
      "gln", "ust", "seite", "page",  "gst",   "hotline", "roc",  "co no"};
  const std::string folded = fold(text);
  return text.find('@') != std::string_view::npos ||
         std::ranges::any_of(starts, [&](std::string_view s) { return folded.starts_with(s); });
}

bool is_name(std::string_view text) {
  if (letters(text) < 3 || text.size() > 120) return false;
  if (text.starts_with('(')) return false;
  const std::string folded = fold(text);
  static constexpr std::array<std::string_view, 14> courtesies{
      "herr",     "frau",   "herrn",    "firma", "mr",   "mrs",         "ms",
      "monsieur", "madame", "original", "kopie", "copy", "deutschland", "germany"};
  return !is_contact(text) && std::ranges::find(courtesies, folded) == courtesies.end();
}

std::string strip_announcer(std::string text) {
  for (std::string_view lead : {"ATTN:", "Attn:", "Firma ", "c/o ", "M/S ", "M/s "})
    if (text.starts_with(lead)) text = squeeze(text.substr(lead.size()));
  return text;
}

// The cells below a heading, in its column, until another heading or a wide gap.
std::vector<Cell> block_below(const Reading& reading, const FoundLabel& heading) {
  constexpr std::size_t most = 14;
  const Line& from = reading.layout.lines[heading.line];
  const Box box = from.span_box(heading.first, heading.last);
  const float height = std::max(6.0f, box.y1 - box.y0);
  // The column reaches to the next cell on the heading's own line.
  float right = 1e6f;
  if (const std::size_t end = from.cell_end(heading.first); end < from.tokens.size())
    right = from.tokens[end].box.x0 - 2;
  float bottom = box.y1;
  std::vector<Cell> out;
  for (std::size_t l = heading.line + 1; l < reading.layout.lines.size() && out.size() < most; ++l) {
    const Line& line = reading.layout.lines[l];
    if (line.page != from.page || line.box.y0 - bottom > 2.6f * height) break;
    for (std::size_t i = 0; i < line.tokens.size(); i = line.cell_end(i)) {
      const float x = line.tokens[i].box.x0;
      if (x < box.x0 - 12 || x >= right) continue;
      const Span span{l, i, line.cell_end(i)};
      for (const FoundLabel& other : reading.labels)
        if (other.line == l && other.first == i && &other != &heading &&
            (other.label == Label::seller || other.label == Label::buyer ||
             other.label == Label::other_party) &&
            other.weight > 0.65f)
          return out;
      out.push_back({span, line.text(span.first, span.last)});
      bottom = line.box.y1;
      break;
    }
  }
  return out;
}

// "Name:  Lieferant GmbH" inside a block; a first part may stand on the line above.
std::optional<Field> labelled_name(const Reading& reading, const std::vector<Cell>& block) {
  for (const Cell& cell : block)
    for (const FoundLabel& label : reading.labels) {
      if (label.label != Label::name || label.line != cell.span.line || label.first < cell.span.first ||
          label.first >= cell.span.last)
        continue;
      Span right = right_of(reading, label);
      if (right.first >= right.last) continue;
      const Line& line = reading.line(right);
      right.last = std::min(right.last, line.cell_end(right.first));
      std::string name = line.text(right.first, right.last);
      if (label.line > 0) {
        const Line& above = reading.layout.lines[label.line - 1];
        const float x = line.tokens[right.first].box.x0;
        const bool close =
            above.page == line.page && line.box.y0 - above.box.y1 < 0.8f * (line.box.y1 - line.box.y0);
        if (close && above.cell_end(0) == above.tokens.size() && above.tokens[0].box.x0 > x - 8 &&
            is_name(above.text()) && !above.text().ends_with(')'))
          name = above.text() + " " + name;
      }
      return make_field(reading, std::string(trim_value(name)), right, 0.95);
    }
  return std::nullopt;
}

bool ends_company(std::string_view text) {
  const std::size_t blank = text.rfind(' ');
  return blank != std::string_view::npos && is_company_suffix(text.substr(blank + 1));
}

struct Party {
  Field name, address;
};

Party read_block(const Reading& reading, const FoundLabel& heading) {
  Party party;
  const Line& line = reading.layout.lines[heading.line];
  const Span right = right_of(reading, heading);
  auto block = block_below(reading, heading);
  if (auto name = labelled_name(reading, block)) party.name = *name;
  if (!party.name.present() && right.first < right.last && !line.tokens[right.first].starts_cell) {
    const Span value{right.line, right.first, std::min(right.last, line.cell_end(right.first))};
    if (const std::string text(trim_value(line.text(value.first, value.last)));
        is_name(text) && text.size() > 2)
      party.name = make_field(reading, text, value, 0.8 * heading.weight);
  }
  std::string address;
  Span address_span;
  for (const Cell& cell : block) {
    const Line& on = reading.line(cell.span);
    const bool labels_next =
        cell.span.last < on.tokens.size() && on.tokens[cell.span.last].text.starts_with(':');
    if (labels_next || is_label_at(reading, cell.span) || cell.text.find(':') != std::string::npos ||
        is_contact(cell.text)) {
      const bool announces = cell.text.starts_with("ATTN") || cell.text.starts_with("Attn");
      if (!announces) {
        if (!address.empty()) break;
        continue;
      }
    }
    if (!party.name.present()) {
      if (is_name(cell.text))
        party.name = make_field(reading, strip_announcer(std::string(trim_value(cell.text))), cell.span,
                                0.85 * heading.weight);
    } else {
      const bool more_name = address.empty() && !ends_company(party.name.value) && ends_company(cell.text);
      if (more_name) {
        party.name.value += " " + std::string(trim_value(cell.text));
        continue;
      }
      address += (address.empty() ? "" : ", ") + std::string(trim_value(cell.text));
      address_span = cell.span;
      if (has_postcode(cell.text)) break;
    }
  }
  if (!address.empty()) party.address = make_field(reading, address, address_span, 0.6 * heading.weight);
  return party;
}

std::string_view before_separator(std::string_view text) {
  std::size_t cut = std::string_view::npos;
  for (std::string_view sign : {"●", "•", "·", "|", " - ", " – ", "■", "*", ","})
    cut = std::min(cut, text.find(sign));
  return cut == std::string_view::npos ? text : trim_value(text.substr(0, cut));
}

// "Bei Spiel GmbH ● Ecke 12 ● 12345 Stadthausen", the small line above an address window.
std::optional<std::size_t> read_sender_line(const Reading& reading, ExtractedInvoice& invoice) {
  const auto& lines = reading.layout.lines;
  for (std::size_t l = 0; l < std::min<std::size_t>(lines.size(), 30) && lines[l].page == 1; ++l) {
    const std::string text = lines[l].text();
    std::size_t signs = 0;
    for (std::string_view sign : {"●", "•", "·", "|", " - ", " – ", "■"})
      for (std::size_t at = 0; (at = text.find(sign, at)) != std::string::npos; at += sign.size()) ++signs;
    if (signs < 2 || !has_postcode(text) || text.find(':') != std::string::npos) continue;
    const std::string name(before_separator(text));
    if (!is_name(name)) continue;
    offer(invoice.seller_name, make_field(reading, name, {l, 0, lines[l].tokens.size()}, 0.85));
    std::string address = squeeze(std::string_view(text).substr(name.size()));
    for (std::string_view sign : {"●", "•", "·", "|", "-", "–", "■"})
      if (address.starts_with(sign)) address = squeeze(address.substr(sign.size()));
    offer(invoice.seller_address, make_field(reading, address, {l, 0, lines[l].tokens.size()}, 0.5));
    return l;
  }
  return std::nullopt;
}

void read_seller_without_heading(const Reading& reading, ExtractedInvoice& invoice) {
  const auto& lines = reading.layout.lines;
  const std::size_t end = lines.size();
  const auto company_in = [&](std::size_t l) {
    const Line& line = lines[l];
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      if (i == 0 || line.tokens[i].starts_cell || !is_company_suffix(line.tokens[i].text)) continue;
      std::size_t last = i + 1;
      while (last < line.tokens.size() && !line.tokens[last].starts_cell &&
             is_company_suffix(line.tokens[last].text))
        ++last;
      const Span span{l, line.cell_begin(i), last};
      const std::string text(trim_value(line.text(span.first, span.last)));
      if (!is_name(text) || text == invoice.buyer_name.value || text.find(':') != std::string::npos) continue;
      offer(invoice.seller_name, make_field(reading, text, span, l < 8 ? 0.65 : 0.5));
      return invoice.seller_name.present();
    }
    return false;
  };
  std::size_t name_line = end;
  const std::size_t top = std::min<std::size_t>(end, reading.source == FieldSource::ocr ? 6 : 12);
  for (std::size_t l = 0; l < top && name_line == end; ++l)
    if (company_in(l)) name_line = l;
  if (name_line == end && reading.source != FieldSource::ocr)
    for (std::size_t l = end; l > top && name_line == end; --l)
      if (company_in(l - 1)) name_line = l - 1;
  if (name_line == end) {
    for (std::size_t l = 0; l < std::min<std::size_t>(end, 5); ++l) {
      const Line& line = lines[l];
      const Span span{l, 0, line.cell_end(0)};
      const std::string text(trim_value(line.text(span.first, span.last)));
      if (!is_name(text) || is_label_at(reading, span) || letters(text) < 4 ||
          is_invoice_word(line.tokens[0].folded))
        continue;
      if (text == invoice.buyer_name.value || date_in(reading, span, 3)) continue;
      invoice.seller_name = make_field(reading, text, span, 0.4);
      name_line = l;
      break;
    }
  }
  // A letterhead or a receipt prints the address right below the name.
  if (name_line >= std::min<std::size_t>(end, 10)) return;
  const Box name_box = invoice.seller_name.box.value_or(lines[name_line].box);
  std::string address;
  Span where;
  for (std::size_t l = name_line + 1; l < std::min(end, name_line + 7); ++l) {
    // Only what stands under the name; other columns are other matters.
    std::size_t at = 0;
    while (at < lines[l].tokens.size() && (lines[l].tokens[lines[l].cell_end(at) - 1].box.x1 < name_box.x0 ||
                                           lines[l].tokens[at].box.x0 > name_box.x1))
      at = lines[l].cell_end(at);
    if (at == lines[l].tokens.size()) continue;
    const Span span{l, at, lines[l].cell_end(at)};
    const std::string text = lines[l].text(span.first, span.last);
    if (is_contact(text) || is_invoice_word(lines[l].tokens[at].folded) || date_in(reading, span, 3)) break;
    if (is_label_at(reading, span)) break;
    if (text.starts_with('(') && text.size() < 20) continue;  // a company's register number
    address += (address.empty() ? "" : ", ") + std::string(trim_value(text));
    where = span;
  }
  if (letters(address) > 8) offer(invoice.seller_address, make_field(reading, address, where, 0.45));
}

// The recipient: below the sender's line, else the first block that ends in a postcode line.
void read_buyer_without_heading(const Reading& reading, std::optional<std::size_t> sender,
                                ExtractedInvoice& invoice) {
  const auto& lines = reading.layout.lines;
  if (sender) {
    const float x = lines[*sender].tokens[0].box.x0;
    for (std::size_t l = *sender + 1; l < std::min(lines.size(), *sender + 5); ++l) {
      const Span span{l, 0, lines[l].cell_end(0)};
      const std::string text = lines[l].text(span.first, span.last);
      if (lines[l].tokens[0].box.x0 > x + 60 || !is_name(text) || is_label_at(reading, span) ||
          text.find(':') != std::string::npos || text.size() > 60)
        continue;
      invoice.buyer_name = make_field(reading, std::string(trim_value(text)), span, 0.75);
      return;
    }
  }
  for (std::size_t l = 1; l < std::min<std::size_t>(lines.size(), 30) && lines[l].page == 1; ++l) {
    for (std::size_t i = 0; i < lines[l].tokens.size(); i = lines[l].cell_end(i)) {
      if (!has_postcode(lines[l].text(i, lines[l].cell_end(i)))) continue;
      // Upwards through the cells that start at the same x.
      const float x = lines[l].tokens[i].box.x0;
      float top = lines[l].box.y0;
      std::optional<Span> first;
      for (std::size_t k = l; k-- > 0 && l - k < 9;) {
        if (lines[k].page != lines[l].page ||
            top - lines[k].box.y1 > 1.3f * (lines[k].box.y1 - lines[k].box.y0))
          break;
        for (std::size_t j = 0; j < lines[k].tokens.size(); j = lines[k].cell_end(j)) {
          if (std::abs(lines[k].tokens[j].box.x0 - x) > 4) continue;
          const Span span{k, j, lines[k].cell_end(j)};
          if (is_name(lines[k].text(span.first, span.last)) && !is_label_at(reading, span)) first = span;
          top = lines[k].box.y0;
          break;
        }
      }
      if (!first || l - first->line < 2 || l - first->line > 6) continue;
      const std::string name(trim_value(reading.line(*first).text(first->first, first->last)));
      if (fold(name) == fold(invoice.seller_name.value) || name.find(':') != std::string::npos) continue;
      invoice.buyer_name = make_field(reading, name, *first, 0.5);
      return;
    }
  }
}

}  // namespace

void read_parties(const Reading& reading, ExtractedInvoice& invoice) {
  for (const FoundLabel& label : reading.labels) {
    if (label.label != Label::seller && label.label != Label::buyer) continue;
    const Line& line = reading.layout.lines[label.line];
    if (line.cell_begin(label.first) != label.first) continue;
    // A heading stands alone in its cell or is followed by a colon.
    if (line.cell_end(label.first) != label.last && !line.tokens[label.last - 1].text.ends_with(':'))
      continue;
    const Party party = read_block(reading, label);
    const bool seller = label.label == Label::seller;
    offer(seller ? invoice.seller_name : invoice.buyer_name, party.name);
    offer(seller ? invoice.seller_address : invoice.buyer_address, party.address);
  }
  const auto sender = invoice.seller_name.present() ? std::nullopt : read_sender_line(reading, invoice);
  if (!invoice.seller_name.present()) read_seller_without_heading(reading, invoice);
  if (!invoice.buyer_name.present() && reading.source != FieldSource::ocr)
    read_buyer_without_heading(reading, sender, invoice);
}

}  // namespace celeriac::rules
