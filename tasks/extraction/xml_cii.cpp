// UN/CEFACT Cross Industry Invoice, in the namespaces of Factur-X / ZUGFeRD 2 and in the
// older names of ZUGFeRD 1.
#include "tasks/extraction/xml_reader.hpp"

namespace celeriac::xml {
namespace {

Field address(pugi::xml_node party) {
  std::string out;
  const pugi::xml_node postal = find(party, "PostalTradeAddress");
  for (const char* part : {"LineOne", "LineTwo", "LineThree", "PostcodeCode", "CityName", "CountryID"})
    if (Field f = text(find(postal, part)); f.present()) out += (out.empty() ? "" : ", ") + f.value;
  return field(out);
}

Field vat_id(pugi::xml_node party) {
  for (pugi::xml_node registration : all(party, "SpecifiedTaxRegistration")) {
    const pugi::xml_node id = find(registration, "ID");
    if (std::string_view(id.attribute("schemeID").value()) == "VA") return text(id);
  }
  return {};
}

LineItem line_item(pugi::xml_node line, ExtractedInvoice& report) {
  LineItem item;
  const pugi::xml_node agreement =
      find(line, "SpecifiedLineTradeAgreement|SpecifiedSupplyChainTradeAgreement");
  const pugi::xml_node settlement =
      find(line, "SpecifiedLineTradeSettlement|SpecifiedSupplyChainTradeSettlement");
  const pugi::xml_node quantity =
      find(line, "SpecifiedLineTradeDelivery|SpecifiedSupplyChainTradeDelivery/BilledQuantity");
  item.description = text(find(line, "SpecifiedTradeProduct/Name"));
  item.quantity = decimal(quantity, report);
  item.unit = field(quantity.attribute("unitCode").value());
  item.unit_price = decimal(find(agreement, "NetPriceProductTradePrice/ChargeAmount"), report);
  item.tax_rate =
      decimal(find(settlement, "ApplicableTradeTax/RateApplicablePercent|ApplicablePercent"), report);
  item.line_total = decimal(find(settlement,
                                 "SpecifiedTradeSettlementLineMonetarySummation|"
                                 "SpecifiedTradeSettlementMonetarySummation/LineTotalAmount"),
                            report);
  return item;
}

}  // namespace

void read_cii(pugi::xml_node root, ExtractedInvoice& invoice) {
  const pugi::xml_node header = find(root, "ExchangedDocument|HeaderExchangedDocument");
  const pugi::xml_node trade = find(root, "SupplyChainTradeTransaction|SpecifiedSupplyChainTradeTransaction");
  const pugi::xml_node agreement =
      find(trade, "ApplicableHeaderTradeAgreement|ApplicableSupplyChainTradeAgreement");
  const pugi::xml_node delivery =
      find(trade, "ApplicableHeaderTradeDelivery|ApplicableSupplyChainTradeDelivery");
  const pugi::xml_node settlement =
      find(trade, "ApplicableHeaderTradeSettlement|ApplicableSupplyChainTradeSettlement");

  const std::string type = text(find(header, "TypeCode")).value;
  invoice.type =
      type == "381" || type == "261" || type == "396" ? DocumentType::credit_note : DocumentType::invoice;
  invoice.invoice_number = text(find(header, "ID"));
  invoice.invoice_date = date(find(header, "IssueDateTime/DateTimeString"), invoice);
  invoice.currency = text(find(settlement, "InvoiceCurrencyCode"));
  invoice.due_date =
      date(find(settlement, "SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString"), invoice);
  invoice.delivery_date =
      date(find(delivery, "ActualDeliverySupplyChainEvent/OccurrenceDateTime/DateTimeString"), invoice);

  const pugi::xml_node seller = find(agreement, "SellerTradeParty"),
                       buyer = find(agreement, "BuyerTradeParty");
  invoice.seller_name = text(find(seller, "Name"));
  invoice.seller_vat_id = vat_id(seller);
  invoice.seller_address = address(seller);
  invoice.buyer_name = text(find(buyer, "Name"));
  invoice.buyer_vat_id = vat_id(buyer);
  invoice.buyer_address = address(buyer);
  invoice.po_number = text(find(agreement, "BuyerOrderReferencedDocument/IssuerAssignedID|ID"));
  invoice.iban = text(
      find(settlement, "SpecifiedTradeSettlementPaymentMeans/PayeePartyCreditorFinancialAccount/IBANID"));

  const pugi::xml_node sums = find(settlement,
                                   "SpecifiedTradeSettlementHeaderMonetarySummation|"
                                   "SpecifiedTradeSettlementMonetarySummation");
  const auto amount = [&](std::string_view name) {
    return decimal(in_currency(all(sums, name), invoice.currency.value), invoice);
  };
  invoice.subtotal = amount("TaxBasisTotalAmount");
  invoice.tax_amount = amount("TaxTotalAmount");
  invoice.total_amount = amount("GrandTotalAmount");
  invoice.amount_due = amount("DuePayableAmount");
  for (pugi::xml_node line : all(trade, "IncludedSupplyChainTradeLineItem")) {
    LineItem item = line_item(line, invoice);
    // ZUGFeRD 1 writes notes as lines without a product or an amount.
    if (item.description.present() || item.line_total.present())
      invoice.line_items.push_back(std::move(item));
  }
}

}  // namespace celeriac::xml
