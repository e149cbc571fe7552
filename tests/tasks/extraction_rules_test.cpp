// The rules on made-up pages: words at positions, no engine.
#include "tasks/extraction/confidence.hpp"
#include "tasks/extraction/rules.hpp"

#include <doctest/doctest.h>
#include <sstream>

using namespace celeriac;

namespace {

// Rows of text; two or more blanks part cells, and a column is 6 points wide.
PageText page_of(const std::vector<std::string>& rows) {
  PageText page{600, 840, {}};
  float y = 20;
  for (const std::string& row : rows) {
    for (std::size_t i = 0; i < row.size();) {
      if (row[i] == ' ') {
        ++i;
        continue;
      }
      const std::size_t end = std::min(row.find(' ', i), row.size());
      page.words.push_back({row.substr(i, end - i),
                            {static_cast<float>(i) * 6, y, static_cast<float>(end) * 6 - 1, y + 10},
                            1});
      i = end;
    }
    y += 14;
  }
  return page;
}

ExtractedInvoice read(const std::vector<std::string>& rows) {
  const std::vector<PageText> pages{page_of(rows)};
  const Layout layout = make_layout(pages);
  const auto reading = rules::start_reading(layout, FieldSource::text);
  ExtractedInvoice invoice;
  rules::read_identifiers(reading, invoice);
  rules::read_dates(reading, invoice);
  rules::read_totals(reading, invoice);
  rules::read_parties(reading, invoice);
  rules::read_line_items(reading, invoice);
  rules::classify(reading, invoice);
  return invoice;
}

}  // namespace

TEST_CASE("values stand right of their labels or below them") {
  const auto right =
      read({"Invoice Number:    A-17", "Invoice Date:      03/14/2024", "Total             USD 12.00"});
  CHECK(right.invoice_number.value == "A-17");
  CHECK(right.invoice_date.value == "2024-03-14");
  CHECK(right.total_amount.value == "12.00");
  CHECK(right.currency.value == "USD");
  const auto below = read(
      {"Invoice No.        Invoice Date       Due Date", "A-18               2024-03-14         2024-04-14"});
  CHECK(below.invoice_number.value == "A-18");
  CHECK(below.invoice_date.value == "2024-03-14");
  CHECK(below.due_date.value == "2024-04-14");
}

TEST_CASE("a German title line gives number and date") {
  const auto invoice = read({"Handelsrechnung (380) Nr. 471102 vom 05.03.2018",
                             "Rechnung gemäß Bestellung Nr. 2018-47 vom 01.03.2018."});
  CHECK(invoice.invoice_number.value == "471102");
  CHECK(invoice.invoice_date.value == "2018-03-05");
}

TEST_CASE("of all sums the three that add up are taken") {
  const auto invoice = read(
      {"Rechnung R1", "Positionssumme                    202,70", "Gesamtbetrag der Zuschläge          5,80",
       "Rechnungssumme ohne USt.          193,77", "Steuerbetrag                       21,30",
       "Bruttosumme                       215,07", "Zahlbetrag                        165,07"});
  CHECK(invoice.subtotal.value == "193.77");
  CHECK(invoice.tax_amount.value == "21.30");
  CHECK(invoice.total_amount.value == "215.07");
  CHECK(invoice.amount_due.value == "165.07");
  CHECK(invoice.total_amount.confidence > 0.9);
}

TEST_CASE("a subtotal is never mistaken for the total") {
  const auto invoice =
      read({"Invoice 100-7", "Subtotal:      90.00", "Tax:           10.00", "Total:        100.00"});
  CHECK(invoice.subtotal.value == "90.00");
  CHECK(invoice.total_amount.value == "100.00");
}

TEST_CASE("tax lines of several rates are added") {
  const auto invoice = read({"Rechnung 77-1", "Netto                100,00 €", "USt. 19 %             9,50 €",
                             "USt. 7 %              3,50 €", "Gesamtbetrag         113,00 €"});
  CHECK(invoice.tax_amount.value == "13.00");
}

TEST_CASE("sums that do not add up are doubted and reported") {
  auto invoice =
      read({"Invoice 100-7", "Subtotal:      90.00", "Tax:           10.00", "Total:        150.00"});
  check_totals(invoice);
  CHECK(invoice.total_amount.value == "150.00");
  CHECK(invoice.total_amount.confidence < 0.6);
  REQUIRE_FALSE(invoice.warnings.empty());
  CHECK(invoice.warnings.front().code == "totals_disagree");
}

TEST_CASE("line items follow the columns of their table") {
  const auto invoice = read({"Rechnung 77-1", "Pos  Beschreibung            Menge     Preis    Betrag",
                             "1    Rotes Rad 28 Zoll           2     40,00     80,00", "     mit Speichen",
                             "2    Klingel                     1      5,00      5,00", "",
                             "Nettobetrag                                      85,00"});
  REQUIRE(invoice.line_items.size() == 2);
  CHECK(invoice.line_items[0].description.value == "Rotes Rad 28 Zoll mit Speichen");
  CHECK(invoice.line_items[0].quantity.value == "2");
  CHECK(invoice.line_items[0].unit_price.value == "40.00");
  CHECK(invoice.line_items[0].line_total.value == "80.00");
  CHECK(invoice.line_items[1].description.value == "Klingel");
}

TEST_CASE("headed blocks tell seller and buyer") {
  const auto invoice =
      read({"Rechnung Nr. 12-1", "Verkäufer:", "Nummer : 5", "Lieferant GmbH", "Weg 1", "DE 80333 München",
            "USt.-Id.-Nr. : DE123456789", "Käufer:", "Kunden AG Mitte", "Platz 2", "DE 69876 Frankfurt"});
  CHECK(invoice.seller_name.value == "Lieferant GmbH");
  CHECK(invoice.buyer_name.value == "Kunden AG Mitte");
  CHECK(invoice.seller_vat_id.value == "DE123456789");
}

TEST_CASE("a letter or an order gives no invoice") {
  const auto letter = read({"Dear neighbour,", "the party starts on 12.06.2024. Total 2 salads."});
  CHECK(letter.type == DocumentType::other);
  CHECK_FALSE(letter.total_amount.present());
  const auto order = read({"Purchase Order No. 4711", "Date 12.06.2024", "Total EUR 100.00"});
  CHECK(order.type == DocumentType::other);
  CHECK_FALSE(order.invoice_number.present());
  CHECK(overall_confidence(order) == 0);
}

TEST_CASE("a credit note is told from an invoice") {
  CHECK(read({"Gutschrift Nr. G-1 vom 01.02.2024"}).type == DocumentType::credit_note);
  CHECK(read({"Credit Note 77-2", "Date 2024-01-02"}).type == DocumentType::credit_note);
}

TEST_CASE("an empty page and a page of noise give nothing and harm nothing") {
  CHECK_FALSE(read({}).invoice_number.present());
  CHECK_FALSE(read({"~~ ;; ::", ": : : %", "- - -", "( ( ("}).total_amount.present());
}
