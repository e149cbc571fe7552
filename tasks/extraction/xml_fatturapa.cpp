// FatturaPA 1.2. A file may carry several invoices; the first is read, with a warning.
#include "tasks/extraction/values.hpp"
#include "tasks/extraction/xml_reader.hpp"

namespace celeriac::xml {
namespace {

Field name_of(pugi::xml_node party) {
  const pugi::xml_node name = find(party, "DatiAnagrafici/Anagrafica");
  Field company = text(find(name, "Denominazione"));
  if (company.present()) return company;
  return field(text(find(name, "Nome")).value + " " + text(find(name, "Cognome")).value);
}

Field vat_id(pugi::xml_node party) {
  const pugi::xml_node id = find(party, "DatiAnagrafici/IdFiscaleIVA");
  return field(text(find(id, "IdPaese")).value + text(find(id, "IdCodice")).value);
}

Field address(pugi::xml_node party) {
  std::string out;
  const pugi::xml_node seat = find(party, "Sede");
  for (const char* part : {"Indirizzo", "NumeroCivico", "CAP", "Comune", "Provincia", "Nazione"})
    if (Field f = text(find(seat, part)); f.present()) out += (out.empty() ? "" : ", ") + f.value;
  return field(out);
}

// The summary states net and tax per rate; their sums are the document's.
void read_sums(pugi::xml_node goods, ExtractedInvoice& invoice) {
  std::int64_t net = 0, tax = 0;
  bool any = false;
  for (pugi::xml_node rate : all(goods, "DatiRiepilogo")) {
    const auto n = cents(decimal(find(rate, "ImponibileImporto"), invoice).value);
    const auto t = cents(decimal(find(rate, "Imposta"), invoice).value);
    if (!n || !t) continue;
    net += *n;
    tax += *t;
    any = true;
  }
  if (!any) return;
  invoice.subtotal = field(from_cents(net));
  invoice.tax_amount = field(from_cents(tax));
  if (!invoice.total_amount.present()) invoice.total_amount = field(from_cents(net + tax));
}

}  // namespace

void read_fatturapa(pugi::xml_node root, ExtractedInvoice& invoice) {
  const pugi::xml_node header = find(root, "FatturaElettronicaHeader");
  const pugi::xml_node body = find(root, "FatturaElettronicaBody");
  if (all(root, "FatturaElettronicaBody").size() > 1)
    invoice.warn("several_invoices", "the file holds several invoices; only the first was read");
  const pugi::xml_node general = find(body, "DatiGenerali/DatiGeneraliDocumento");
  const pugi::xml_node goods = find(body, "DatiBeniServizi");
  invoice.type = text(find(general, "TipoDocumento")).value == "TD04" ? DocumentType::credit_note
                                                                      : DocumentType::invoice;
  invoice.invoice_number = text(find(general, "Numero"));
  invoice.invoice_date = date(find(general, "Data"), invoice);
  invoice.currency = text(find(general, "Divisa"));
  invoice.total_amount = decimal(find(general, "ImportoTotaleDocumento"), invoice);
  const pugi::xml_node payment = find(body, "DatiPagamento/DettaglioPagamento");
  invoice.due_date = date(find(payment, "DataScadenzaPagamento"), invoice);
  invoice.iban = text(find(payment, "IBAN"));
  invoice.po_number = text(find(body, "DatiGenerali/DatiOrdineAcquisto/IdDocumento"));
  const pugi::xml_node seller = find(header, "CedentePrestatore");
  const pugi::xml_node buyer = find(header, "CessionarioCommittente");
  invoice.seller_name = name_of(seller);
  invoice.seller_vat_id = vat_id(seller);
  invoice.seller_address = address(seller);
  invoice.buyer_name = name_of(buyer);
  invoice.buyer_vat_id = vat_id(buyer);
  invoice.buyer_address = address(buyer);
  read_sums(goods, invoice);
  for (pugi::xml_node line : all(goods, "DettaglioLinee")) {
    LineItem item;
    item.description = text(find(line, "Descrizione"));
    item.quantity = decimal(find(line, "Quantita"), invoice);
    item.unit = text(find(line, "UnitaMisura"));
    item.unit_price = decimal(find(line, "PrezzoUnitario"), invoice);
    item.tax_rate = decimal(find(line, "AliquotaIVA"), invoice);
    item.line_total = decimal(find(line, "PrezzoTotale"), invoice);
    invoice.line_items.push_back(std::move(item));
  }
}

}  // namespace celeriac::xml
