// OASIS UBL 2 Invoice and CreditNote.
#include "tasks/extraction/xml_reader.hpp"

namespace celeriac::xml {
namespace {

Field name_of(pugi::xml_node party) {
  Field legal = text(find(party, "PartyLegalEntity/RegistrationName"));
  return legal.present() ? legal : text(find(party, "PartyName/Name"));
}

Field vat_id(pugi::xml_node party) {
  for (pugi::xml_node scheme : all(party, "PartyTaxScheme"))
    if (text(find(scheme, "TaxScheme/ID")).value == "VAT") return text(find(scheme, "CompanyID"));
  return {};
}

Field address(pugi::xml_node party) {
  std::string out;
  const pugi::xml_node postal = find(party, "PostalAddress");
  for (const char* part :
       {"StreetName", "AdditionalStreetName", "PostalZone", "CityName", "Country/IdentificationCode"})
    if (Field f = text(find(postal, part)); f.present()) out += (out.empty() ? "" : ", ") + f.value;
  return field(out);
}

}  // namespace

void read_ubl(pugi::xml_node root, ExtractedInvoice& invoice) {
  const bool credit = local_name(root) == "CreditNote";
  const std::string type = text(find(root, "InvoiceTypeCode|CreditNoteTypeCode")).value;
  invoice.type = credit || type == "381" ? DocumentType::credit_note : DocumentType::invoice;
  invoice.invoice_number = text(find(root, "ID"));
  invoice.invoice_date = date(find(root, "IssueDate"), invoice);
  invoice.due_date = date(find(root, "DueDate"), invoice);
  if (!invoice.due_date.present())
    invoice.due_date = date(find(root, "PaymentMeans/PaymentDueDate"), invoice);
  invoice.delivery_date = date(find(root, "Delivery/ActualDeliveryDate"), invoice);
  invoice.currency = text(find(root, "DocumentCurrencyCode"));
  const pugi::xml_node seller = find(root, "AccountingSupplierParty/Party");
  const pugi::xml_node buyer = find(root, "AccountingCustomerParty/Party");
  invoice.seller_name = name_of(seller);
  invoice.seller_vat_id = vat_id(seller);
  invoice.seller_address = address(seller);
  invoice.buyer_name = name_of(buyer);
  invoice.buyer_vat_id = vat_id(buyer);
  invoice.buyer_address = address(buyer);
  invoice.po_number = text(find(root, "OrderReference/ID"));
  invoice.iban = text(find(root, "PaymentMeans/PayeeFinancialAccount/ID"));

  std::vector<pugi::xml_node> taxes;
  for (pugi::xml_node total : all(root, "TaxTotal")) taxes.push_back(find(total, "TaxAmount"));
  invoice.tax_amount = decimal(in_currency(taxes, invoice.currency.value), invoice);
  const pugi::xml_node sums = find(root, "LegalMonetaryTotal");
  invoice.subtotal = decimal(find(sums, "TaxExclusiveAmount"), invoice);
  invoice.total_amount = decimal(find(sums, "TaxInclusiveAmount"), invoice);
  invoice.amount_due = decimal(find(sums, "PayableAmount"), invoice);

  for (pugi::xml_node line : all(root, credit ? "CreditNoteLine" : "InvoiceLine")) {
    LineItem item;
    const pugi::xml_node quantity = find(line, "InvoicedQuantity|CreditedQuantity");
    item.description = text(find(line, "Item/Name"));
    if (!item.description.present()) item.description = text(find(line, "Item/Description"));
    item.quantity = decimal(quantity, invoice);
    item.unit = field(quantity.attribute("unitCode").value());
    item.unit_price = decimal(find(line, "Price/PriceAmount"), invoice);
    item.tax_rate = decimal(find(line, "Item/ClassifiedTaxCategory/Percent"), invoice);
    item.line_total = decimal(find(line, "LineExtensionAmount"), invoice);
    invoice.line_items.push_back(std::move(item));
  }
}

}  // namespace celeriac::xml
