#include "tasks/extraction/xml_invoice.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace celeriac;

namespace {

const char* const ubl = R"(<?xml version="1.0"?>
<ubl:Invoice xmlns:ubl="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:cbc="c" xmlns:cac="a">
 <cbc:ID>U-9</cbc:ID><cbc:IssueDate>2024-05-06</cbc:IssueDate><cbc:DueDate>2024-06-05Z</cbc:DueDate>
 <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode><cac:OrderReference><cbc:ID>PO1</cbc:ID></cac:OrderReference>
 <cac:AccountingSupplierParty><cac:Party><cac:PartyName><cbc:Name>Shop</cbc:Name></cac:PartyName>
  <cac:PartyTaxScheme><cbc:CompanyID>123/4</cbc:CompanyID><cac:TaxScheme><cbc:ID>FC</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
  <cac:PartyTaxScheme><cbc:CompanyID>DE123456789</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
  <cac:PartyLegalEntity><cbc:RegistrationName>Shop GmbH</cbc:RegistrationName></cac:PartyLegalEntity></cac:Party></cac:AccountingSupplierParty>
 <cac:TaxTotal><cbc:TaxAmount currencyID="USD">9</cbc:TaxAmount></cac:TaxTotal>
 <cac:TaxTotal><cbc:TaxAmount currencyID="EUR">19.00</cbc:TaxAmount></cac:TaxTotal>
 <cac:LegalMonetaryTotal><cbc:TaxExclusiveAmount>100.00</cbc:TaxExclusiveAmount><cbc:TaxInclusiveAmount>119.00</cbc:TaxInclusiveAmount>
  <cbc:PayableAmount>119.00</cbc:PayableAmount></cac:LegalMonetaryTotal>
 <cac:InvoiceLine><cbc:InvoicedQuantity unitCode="C62">3.0000</cbc:InvoicedQuantity><cbc:LineExtensionAmount>100.00</cbc:LineExtensionAmount>
  <cac:Item><cbc:Name>Thing</cbc:Name></cac:Item><cac:Price><cbc:PriceAmount>33.3333</cbc:PriceAmount></cac:Price></cac:InvoiceLine>
</ubl:Invoice>)";

const char* const zugferd1 = R"(<rsm:CrossIndustryDocument xmlns:rsm="r" xmlns:ram="a" xmlns:udt="u">
 <rsm:HeaderExchangedDocument><ram:ID>Z-1</ram:ID><ram:TypeCode>381</ram:TypeCode>
  <ram:IssueDateTime><udt:DateTimeString format="102">20130916</udt:DateTimeString></ram:IssueDateTime></rsm:HeaderExchangedDocument>
 <rsm:SpecifiedSupplyChainTradeTransaction><ram:ApplicableSupplyChainTradeSettlement>
  <ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode><ram:SpecifiedTradeSettlementMonetarySummation>
  <ram:TaxBasisTotalAmount currencyID="EUR">-7.67</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="EUR">-1.12</ram:TaxTotalAmount>
  <ram:GrandTotalAmount currencyID="EUR">-8.79</ram:GrandTotalAmount></ram:SpecifiedTradeSettlementMonetarySummation>
 </ram:ApplicableSupplyChainTradeSettlement></rsm:SpecifiedSupplyChainTradeTransaction></rsm:CrossIndustryDocument>)";

const char* const fattura =
    R"(<p:FatturaElettronica xmlns:p="f"><FatturaElettronicaHeader><CedentePrestatore><DatiAnagrafici>
 <IdFiscaleIVA><IdPaese>IT</IdPaese><IdCodice>01234567890</IdCodice></IdFiscaleIVA><Anagrafica><Nome>Anna</Nome><Cognome>Rossi</Cognome></Anagrafica>
 </DatiAnagrafici></CedentePrestatore></FatturaElettronicaHeader><FatturaElettronicaBody><DatiGenerali><DatiGeneraliDocumento>
 <TipoDocumento>TD01</TipoDocumento><Divisa>EUR</Divisa><Data>2024-01-02</Data><Numero>12/A</Numero></DatiGeneraliDocumento></DatiGenerali>
 <DatiBeniServizi><DettaglioLinee><Descrizione>Ore</Descrizione><PrezzoUnitario>10.00</PrezzoUnitario><PrezzoTotale>10.00</PrezzoTotale>
 <AliquotaIVA>22.00</AliquotaIVA></DettaglioLinee><DatiRiepilogo><ImponibileImporto>10.00</ImponibileImporto><Imposta>2.20</Imposta></DatiRiepilogo>
 </DatiBeniServizi></FatturaElettronicaBody></p:FatturaElettronica>)";

}  // namespace

TEST_CASE("UBL is read whatever the prefixes") {
  const auto invoice = read_xml_invoice(ubl);
  REQUIRE(invoice);
  CHECK(invoice->xml_format == "ubl");
  CHECK(invoice->invoice_number.value == "U-9");
  CHECK(invoice->due_date.value == "2024-06-05");
  CHECK(invoice->seller_name.value == "Shop GmbH");
  CHECK(invoice->seller_vat_id.value == "DE123456789");
  CHECK(invoice->tax_amount.value == "19.00");
  CHECK(invoice->total_amount.confidence == 1);
  REQUIRE(invoice->line_items.size() == 1);
  CHECK(invoice->line_items[0].quantity.value == "3.00");
  CHECK(invoice->line_items[0].unit_price.value == "33.3333");
  CHECK(invoice->line_items[0].unit.value == "C62");
}

TEST_CASE("ZUGFeRD 1 keeps its older names and its signs") {
  const auto invoice = read_xml_invoice(zugferd1);
  REQUIRE(invoice);
  CHECK(invoice->xml_format == "cii1");
  CHECK(invoice->type == DocumentType::credit_note);
  CHECK(invoice->invoice_date.value == "2013-09-16");
  CHECK(invoice->total_amount.value == "-8.79");
}

TEST_CASE("FatturaPA sums come from its summary") {
  const auto invoice = read_xml_invoice(fattura);
  REQUIRE(invoice);
  CHECK(invoice->seller_name.value == "Anna Rossi");
  CHECK(invoice->seller_vat_id.value == "IT01234567890");
  CHECK(invoice->total_amount.value == "12.20");
}

TEST_CASE("a DTD is refused, so nothing can expand or be fetched") {
  const auto bomb = read_xml_invoice(
      R"(<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]><Invoice><ID>&f;</ID></Invoice>)");
  REQUIRE_FALSE(bomb);
  CHECK(bomb.error().code == ExtractErrorCode::invalid_xml);
}

TEST_CASE("other and broken XML is refused") {
  for (const char* text :
       {"", "<a/>", "<Invoice/>", "<Invoice><ID>1</ID>", "not xml", "<Order><ID>1</ID></Order>"}) {
    CAPTURE(text);
    const auto result = read_xml_invoice(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ExtractErrorCode::invalid_xml);
  }
}

TEST_CASE("a value that is no date or number is left out with a warning") {
  const auto invoice = read_xml_invoice(
      "<Invoice><ID>1</ID><IssueDate>soon</IssueDate><LegalMonetaryTotal>"
      "<TaxInclusiveAmount>1e9</TaxInclusiveAmount></LegalMonetaryTotal></Invoice>");
  REQUIRE(invoice);
  CHECK_FALSE(invoice->invoice_date.present());
  CHECK_FALSE(invoice->total_amount.present());
  CHECK(invoice->warnings.size() == 2);
}

TEST_CASE("deep nesting does not exhaust the stack") {
  std::string deep = "<Invoice>";
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  CHECK_FALSE(read_xml_invoice(deep));
  for (int i = 0; i < 200'000; ++i) deep += "</a>";
  CHECK_FALSE(read_xml_invoice(deep + "</Invoice>"));
}
