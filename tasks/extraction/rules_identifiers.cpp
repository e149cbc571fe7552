// Invoice number, order number, VAT ids, IBAN.
#include "tasks/extraction/rules.hpp"
#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace celeriac::rules {
namespace {

bool has_digit(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string clean_id(std::string_view token) {
  constexpr std::string_view around = " :;,#()[]*|\"'";
  const auto from = token.find_first_not_of(around);
  if (from == std::string_view::npos) return {};
  token = token.substr(from, token.find_last_not_of(around) - from + 1);
  while (token.ends_with('.')) token.remove_suffix(1);
  return std::string(token);
}

// A document's number as one token, or nothing. `least` characters at the least.
std::optional<std::string> id_token(const Reading& reading, const Token& token, std::size_t least) {
  std::string id = clean_id(token.text);
  if (id.size() < least || id.size() > 40 || !has_digit(id)) return std::nullopt;
  for (char c : id)
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("-/._").find(c) == std::string_view::npos)
      return std::nullopt;
  if (parse_date(id, reading.date_order) || id.find('%') != std::string::npos) return std::nullopt;
  if (auto amount = parse_amount(id, reading.decimal_mark);
      amount && amount->decimals == 2 && id.find(',') != std::string::npos)
    return std::nullopt;
  return id;
}

// The first token of a value that may be a number, past words that only announce it ("Nr.", "#").
std::optional<Field> id_at(const Reading& reading, Span span, std::size_t least, double sureness) {
  static constexpr std::array<std::string_view, 8> announcers{"nr",     "no",     "n",  "num",
                                                              "numero", "number", "id", ""};
  const Line& line = reading.line(span);
  std::size_t at = span.first;
  while (at < span.last && std::ranges::find(announcers, line.tokens[at].folded) != announcers.end()) ++at;
  if (at >= span.last) return std::nullopt;
  auto id = id_token(reading, line.tokens[at], least);
  if (!id) return std::nullopt;
  return make_field(reading, *id, {span.line, at, at + 1}, sureness);
}

// "Handelsrechnung (380) Nr. 471102 vom 05.03.2018", in its many variations: an invoice word
// at the start of a cell, "No.", the number; a date may follow and is read with the dates.
void read_title(const Reading& reading, ExtractedInvoice& invoice) {
  const auto& lines = reading.layout.lines;
  for (std::size_t l = 0; l < lines.size() && lines[l].page == 1; ++l) {
    const Line& line = lines[l];
    for (std::size_t k = 1; k + 1 < line.tokens.size(); ++k) {
      const std::string& word = line.tokens[k].folded;
      if (word != "nr" && word != "no" && word != "n" && word != "nummer" && word != "number") continue;
      const std::size_t start = line.cell_begin(k);
      bool invoice_word = false, refused = k - start > 7;
      for (std::size_t i = start; i < k; ++i) {
        invoice_word |= is_invoice_word(line.tokens[i].folded);
        refused |= is_order_word(line.tokens[i].folded);
      }
      if (!invoice_word || refused) continue;
      if (auto field = id_at(reading, {l, k + 1, line.cell_end(k + 1)}, 1, 0.93))
        offer(invoice.invoice_number, *field);
    }
  }
}

bool looks_like_vat_id(std::string_view text) {
  if (text.size() < 8 || text.size() > 16) return false;
  if (!std::isupper(static_cast<unsigned char>(text[0])) ||
      !std::isupper(static_cast<unsigned char>(text[1]))) {
    // Indian GSTIN: two digits, ten characters of the PAN, three more.
    return text.size() == 15 && has_digit(text.substr(0, 2)) &&
           std::ranges::all_of(text, [](char c) { return std::isalnum(static_cast<unsigned char>(c)); });
  }
  static constexpr std::array<std::string_view, 32> countries{
      "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "GB", "HR", "HU",
      "IE", "IT", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "XI", "GR"};
  if (std::ranges::find(countries, text.substr(0, 2)) == countries.end()) return false;
  const auto digits = std::ranges::count_if(text.substr(2), [](char c) { return c >= '0' && c <= '9'; });
  return digits >= 7 &&
         std::ranges::all_of(text, [](char c) { return std::isalnum(static_cast<unsigned char>(c)); });
}

std::string without_marks(std::string_view text) {
  std::string out;
  for (char c : text)
    if (std::isalnum(static_cast<unsigned char>(c))) out += c;
  return out;
}

// Up to five tokens that together are a VAT id: "DE 123 456 789".
std::optional<Field> vat_at(const Reading& reading, Span span, double sureness) {
  const Line& line = reading.line(span);
  const std::size_t reach = std::min(span.last, span.first + 3);
  for (std::size_t i = span.first; i < reach; ++i)
    if (looks_like_vat_id(without_marks(line.tokens[i].text)))
      return make_field(reading, clean_id(line.tokens[i].text), {span.line, i, i + 1}, sureness);
  for (std::size_t i = span.first; i < reach; ++i) {
    std::string joined = without_marks(line.tokens[i].text), best;
    std::size_t end = i + 1;
    for (std::size_t k = i + 1; k < std::min(span.last, i + 5); ++k) {
      const std::string part = without_marks(line.tokens[k].text);
      if (line.tokens[k].starts_cell || !has_digit(part)) break;
      joined += part;
      if (looks_like_vat_id(joined)) best = joined, end = k + 1;
    }
    if (!best.empty()) return make_field(reading, best, {span.line, i, end}, sureness);
  }
  return std::nullopt;
}

struct VatCandidate {
  Field field;
  std::size_t line;
};

// A VAT id stands in its party's block, or (the seller's) in the page's footer.
void assign_vat_ids(const Reading& reading, std::vector<VatCandidate> found, ExtractedInvoice& invoice) {
  if (found.empty()) return;
  std::size_t seller = reading.layout.lines.size(), buyer = seller;
  for (const FoundLabel& label : reading.labels) {
    if (label.weight < 0.9f) continue;
    if (label.label == Label::seller) seller = std::min(seller, label.line);
    if (label.label == Label::buyer) buyer = std::min(buyer, label.line);
  }
  const VatCandidate* chosen = nullptr;
  if (seller < buyer)
    for (const VatCandidate& c : found)
      if (!chosen && c.line > seller && c.line < buyer) chosen = &c;
  if (!chosen) {
    const bool several = std::ranges::any_of(
        found, [&](const VatCandidate& c) { return c.field.value != found.front().field.value; });
    chosen = &found.front();
    if (several && seller >= buyer)
      for (const VatCandidate& c : found) {
        const Box& page = reading.layout.pages[static_cast<std::size_t>(c.field.page - 1)];
        if (c.field.box && c.field.box->y0 > 0.8f * page.y1) chosen = &c;
      }
  }
  invoice.seller_vat_id = chosen->field;
  for (const VatCandidate& c : found)
    if (!invoice.buyer_vat_id.present() && c.field.value != chosen->field.value) {
      invoice.buyer_vat_id = c.field;
      invoice.buyer_vat_id.confidence *= 0.6;
    }
}

void read_vat_ids(const Reading& reading, ExtractedInvoice& invoice) {
  std::vector<VatCandidate> found;
  for (const FoundLabel& label : reading.labels) {
    if (label.label != Label::vat_id && label.label != Label::buyer_vat_id && label.label != Label::tax)
      continue;
    const double sureness = label.label == Label::tax ? 0.75 : 0.92;
    auto field = vat_at(reading, right_of(reading, label), sureness);
    if (!field && label.label != Label::tax)
      for (const Span& span : below(reading, label, 2)) {
        if ((field = vat_at(reading, span, sureness - 0.05))) break;
      }
    if (!field) continue;
    if (label.label == Label::buyer_vat_id)
      offer(invoice.buyer_vat_id, *field);
    else
      found.push_back({*field, label.line});
  }
  if (found.empty()) {
    for (std::size_t l = 0; l < reading.layout.lines.size(); ++l) {
      const Line& line = reading.layout.lines[l];
      for (std::size_t i = 0; i < line.tokens.size(); ++i) {
        const std::string value = without_marks(line.tokens[i].text);
        if (looks_like_vat_id(value) && value.size() <= 14 && value != invoice.buyer_vat_id.value &&
            std::isupper(static_cast<unsigned char>(value[0])))
          found.push_back({make_field(reading, value, {l, i, i + 1}, 0.5), l});
      }
    }
  }
  assign_vat_ids(reading, std::move(found), invoice);
}

void read_iban(const Reading& reading, ExtractedInvoice& invoice) {
  for (const FoundLabel& label : reading.labels) {
    if (label.label != Label::iban || invoice.iban.present()) continue;
    const Span span = right_of(reading, label);
    std::string value;
    std::size_t end = span.first;
    for (; end < span.last && value.size() < 34; ++end) {
      const std::string part = without_marks(reading.line(span).tokens[end].text);
      if (end > span.first && part.size() > 4 && value.size() >= 15) break;
      if (part == "BIC") break;
      value += part;
    }
    if (value.size() >= 15 && value.size() <= 34 && std::isupper(static_cast<unsigned char>(value[0])) &&
        std::isdigit(static_cast<unsigned char>(value[2])))
      invoice.iban = make_field(reading, value, {span.line, span.first, end}, 0.9);
  }
}

}  // namespace

void read_identifiers(const Reading& reading, ExtractedInvoice& invoice) {
  read_title(reading, invoice);
  for (const FoundLabel& label : reading.labels) {
    if (label.label != Label::invoice_number && label.label != Label::po_number) continue;
    Field& target = label.label == Label::invoice_number ? invoice.invoice_number : invoice.po_number;
    const Line& line = reading.layout.lines[label.line];
    const bool weak = label.weight < 0.75f;
    const std::size_t least = weak ? 3 : 1;
    // A weak word inside a sentence ("our invoice 2013 was") announces nothing.
    const bool opens_cell = line.cell_begin(label.first) == label.first;
    const bool announced = line.text(label.first, label.last).find(':') != std::string::npos;
    if ((weak || label.label == Label::po_number) && !opens_cell && !announced) continue;
    if (label.first > 0 && is_order_word(line.tokens[label.first - 1].folded)) continue;
    Span right = right_of(reading, label);
    if (auto field = id_at(reading, right, least, 0.97 * label.weight)) {
      offer(target, *field);
      continue;
    }
    if (weak && line.cell_end(label.first) != label.last) continue;
    if (right.first < right.last && !line.tokens[right.first].starts_cell) continue;
    for (const Span& span : below(reading, label, 2))
      if (auto field = id_at(reading, span, weak ? 4 : 2, 0.85 * label.weight)) {
        offer(target, *field);
        break;
      }
  }
  read_vat_ids(reading, invoice);
  read_iban(reading, invoice);
}

}  // namespace celeriac::rules
