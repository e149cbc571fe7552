#include "tasks/extraction/vocabulary.hpp"

#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace celeriac {
namespace {

struct Entry {
  Label label;
  float weight;
  std::string_view words;  // folded, parted by blanks
};

// clang-format off
constexpr Entry entries[] = {
    {Label::invoice_number, 1.0f,
     "rechnungsnummer rechnungsnr rechnungnr rechnungsno rechnungnummer belegnummer belegnr rechnungsnrdatum "
     "invoicenumber invoiceno invoicenr invoicenum invoiceid taxinvoiceno taxinvoicenumber invno invoicenumberno "
     "numerodefacture nfacture ndefacture facturen facturenumero factureno numfacture "
     "numerofattura nfattura fatturan fatturanr numerofactura facturanumero facturano nfactura ndefactura "
     "factuurnummer factuurnr betaaloverzichtnummer gutschriftnummer gutschriftsnummer gutschriftnr "
     "creditnotenumber creditnoteno invoicereference"},
    {Label::invoice_number, 0.8f,
     "documentnumber documentno docno documentid receiptno receiptnumber receiptn billno billnumber cashbillno slipno "
     "belegno dokumentnummer quittungsnummer bonnr refno inv billid"},
    {Label::invoice_number, 0.6f,
     "rechnung invoice facture fattura factura factuur gutschrift avoir invoicen creditnote rechnungskorrektur receipt taxinvoice proforma"},
    {Label::invoice_number, 0.35f, "bookingid transno transactionno transactionid rcptno"},
    {Label::invoice_date, 1.0f,
     "rechnungsdatum belegdatum rechnungsdat ausstellungsdatum lieferundrechnungsdatum rechnungsundlieferdatum "
     "invoicedate dateofissue issuedate dateissued taxinvoicedate billdate invoicedatetime "
     "datedefacture datefacture datedefacturation datedemission facturedu "
     "datafattura datadocumento datadiemissione datadellafattura fechafactura fechadefactura fechadeemision fechadelafactura "
     "factuurdatum betaaloverzichtdatum datumrechnung rechnungvom documentdate docdate billdatetime gutschriftsdatum creditnotedate"},
    {Label::invoice_date, 0.7f, "datum date data fecha datedu datetime transactiondate receiptdate"},
    {Label::due_date, 1.0f,
     "falligkeit falligkeitsdatum falligam fallig zahlbarbis zahlbarbiszum zahlungsziel zubezahlenbis bittezahlenbis uberweisensiebiszum uberweisensiebis "
     "duedate paymentdue paymentduedate remituntil pleaseremituntil payableuntil payableby pleasepayby dueon duby payby datedue datedecheance echeance datalimite scadenza datascadenza fechadevencimiento "
     "vencimiento vervaldatum"},
    {Label::delivery_date, 0.9f,
     "lieferdatum leistungsdatum lieferundleistungsdatum lieferungsdatum deliverydate datedelivraison servicedate leistungszeitraum"},
    {Label::currency, 1.0f, "wahrung rechnungswahrung belegwahrung currency invoicecurrency devise valuta divisa moneda currencycode"},
    {Label::vat_id, 1.0f,
     "ustidnr ustid umsatzsteueridentifikationsnummer umsatzsteuerid ustidentnr ustidentifikationsnummer ustidnummer uidnr uid uidnummer mwstnr "
     "vatno vatnumber vatid vatregno vatregistrationno vatregistrationnumber vatidentificationnumber vatidno taxid taxidno gstin gstno gstregno "
     "gstid gstidno gstnumber ntva tvaintracommunautaire ntvaintracommunautaire tvaintra numerodetva "
     "partitaiva piva nif cif btwnr btwnummer vatidentifier ustnr sellervatid"},
    {Label::buyer_vat_id, 1.0f,
     "ntvaclient tvaclient customervatnumber customervatno yourvatnumber yourvatno ihreustidnr ihreustid uwbtwnummer ustidnrkunde kundenustid buyervatid"},
    {Label::po_number, 1.0f,
     "bestellnummer bestellnr bestellung ihrebestellung ihrebestellnummer ihrebestellnr bestellreferenz ponumber pono po purchaseorder purchaseorderno "
     "purchaseordernumber purchaseorderid customerpo yourorder yourorderno ordernumber orderno bestelnummer orderreference "
     "numerodecommande ncommande boncommande boncommandeno commande numeroordine ordinedacquisto numerodepedido pedido ihreauftragsnummer ponr"},
    {Label::po_number, 0.6f, "votrereference yourreference ihrereferenz ihrzeichen auftragsnummer auftragsnr order vostroriferimento sureferencia"},
    {Label::iban, 1.0f, "iban"},
    {Label::net, 1.0f,
     "nettobetrag nettosumme summenetto gesamtnetto nettogesamt rechnungssummenetto rechnungssummeohneust rechnungssummeohneumsatzsteuer gesamtbetragnetto nettowert netto "
     "zwischensumme zwischensummenetto gesamtsummenetto nettototal nettoentgelt warenwertnetto summeohnemwst subtotal totalnet nettotal netamount totalsalesexcludinggst totalsalesexclgst totalexclusiveofgst totalsalesexclusiveofgst totalexclvat "
     "subtotalexclvat totalexcludingvat totalexcltax totalwithouttax totalbeforetax totalamountwithoutvat taxableamount totalht montantht soustotal totalhorstaxes "
     "imponibile totaleimponibile baseimponible subtotaalexbtw subtotaal totaalexclbtw grondslag totaleimponible totalamountexcludinggst totalexclgst totalexcludinggst totalexgst sommenetto"},
    {Label::net, 0.6f, "positionssumme positionennetto warenwert summe zwischentotal itemstotal sumoflineitems"},
    {Label::tax, 1.0f,
     "steuerbetrag steuerbetragin steuersumme ustgesamt mwstgesamt umsatzsteuerbetrag mwstbetrag ustbetrag gesamtumsatzsteuer gesamtmwst summemwst summeust "
     "totaltax taxtotal totalvat vattotal totaltaxes taxamount vatamount totalvatamount totaltva montanttva totaleiva totaliva importoiva btwbedrag totalsst totalgst gstamount gstpayable"},
    {Label::tax, 0.75f,
     "umsatzsteuer mwst ust zuzuglichmwst zzglmwst zuzuglichumsatzsteuer zzglust zzglumsatzsteuer zuzuglichust mehrwertsteuer vat tax salestax tva iva btw gst "
     "enthaltenemwst inklmwst servicetax sst"},
    {Label::gross, 1.0f,
     "bruttosumme bruttobetrag gesamtbetragbrutto rechnungsbetrag rechnungssummebrutto rechnungssumme gesamtbetrag rechnungsendbetrag endbetrag endsumme gesamtsumme gesamtsummebrutto "
     "rechnungsgesamtbetrag totalbrutto bruttogesamt gesamtbrutto summebrutto "
     "gesamtbetragineur gesamtbetraginklmwst summeinklmwst brutto grandtotal totalamount totalinclvat totalincludingvat totalinclgst totalincludinggst totaltobepaid invoicetotal totalinvoice "
     "totalforthisinvoice invoiceamount totalgross grosstotal grossamount totalgrossamount nettotal2 totalttc montantttc totaltoutestaxescomprises netapayer totaledocumento totalefattura totaleapagare "
     "totalfactura importetotal totaalbedrag factuurtotaal bedraginclbtw totaalinclbtw totalwithtax totalincltax totalsalesinclusivegst totalsalesincludinggst totalsalesinclgst "
     "totalgstincl totalgstinclusive totalsalesinclusiveofgst totalsalesincgst totalinclusiveofgst totalamtpayable nettamt nettotalrm totalinclofgst totalincgst totalamountinclusiveofgst totalamountinclofgst totalamountincgst totalroundedrm totalinclusivegst6 totalamountinclgst totalamtinclgst totalinclusivegst roundedtotal totalrounded netttotal roundedtotalrm totalpayable totalamountpayable amountpayable totalamountincludingvat totalsales2"},
    {Label::gross, 0.8f, "total totale totaal gesamt totalrm totalamt totaleur summegesamt totalusd totaldue nettamount totalsales"},
    {Label::amount_due, 1.0f,
     "zahlbetrag zuzahlen zuzahlenderbetrag offenerbetrag fallligerbetrag falligerbetrag amountdue totalamountdue balancedue balance totaldueon amounttopay duepayable payableamount montantdu resteapayer residual saldo tebetalen"},
    {Label::seller, 1.0f,
     "verkaufer lieferant rechnungssteller rechnungsaussteller leistungserbringer seller vendor supplier fournisseur vendeur serviceprovider fornitore cedente proveedor leverancier"},
    {Label::seller, 0.6f, "from von absender"},
    {Label::buyer, 1.0f,
     "kaufer kauferleistungsempfanger rechnungsempfanger rechnungsadresse leistungsempfanger rechnungan billto billtoaddress billedto invoiceto invoiceaddress billingaddress soldto buyer "
     "acheteur clientacheteur facturea adressedefacturation adressefacturation cessionario destinatario factuuradres invoicee"},
    {Label::buyer, 0.7f, "kunde customer client cliente to guestname customername"},
    {Label::other_party, 1.0f,
     "warenempfanger abweichenderwarenempfanger abweichenderrechnungsempfanger abweichenderzahlungsempfanger lieferadresse shipto shiptoaddress deliveryaddress deliverto "
     "afleveradres adressedelivraison steuerbevollmachtigterdesverkaufers zahlungsempfanger endkunde"},
    {Label::name, 1.0f, "name firma company companyname nom"},
    {Label::ignored, 1.0f,
     "kundennummer kundennr customerno customernumber klantnummer gesamtbetragderzuschlage gesamtbetragderabschlage erhalteneanzahlungen steuernummer "
     "bestelldatum lieferscheinnr lieferscheinnummer lieferscheindatum orderdate auftragsdatum umsatzsteueraufschlusselung steueraufschlusselung wahrungderumsatzsteuerbuchung "
     "ursprungsbelegnr reklamationsnummer auftragnrlief auftragdatumlief totalqty totalquantity totalitems totalitem totaldiscount totalsavings paymentterms taxcode taxsummary gstsummary accountnumber "
     "factureliee referencedinvoice relatedinvoice zuschlage rechnungsrabatt registrationno taxrate steuersatz ustsatz mwstsatz basisbetrag invoicesummary invoicedto taxinvoicesummary "
     "rechnungsdatenblatt totaltendered totalpaid vatexemption vatclause taxid2 gstsummary2 totalnumberofitems printdate druckdatum dateprinted invoicestotal changedue totalchange"},
};
// clang-format on

using Labels = std::unordered_map<std::string_view, std::pair<Label, float>>;

const Labels& labels() {
  static const Labels map = [] {
    Labels out;
    for (const Entry& entry : entries) {
      std::string_view rest = entry.words;
      while (!rest.empty()) {
        const std::size_t blank = rest.find(' ');
        if (const std::string_view word = rest.substr(0, blank); !word.empty())
          out.emplace(word, std::pair(entry.label, entry.weight));
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
      }
    }
    return out;
  }();
  return map;
}

struct ColumnEntry {
  Column column;
  std::string_view words;
};

// clang-format off
constexpr ColumnEntry column_entries[] = {
    {Column::position, "pos position nr no posnr lfdnr line"},
    {Column::article, "artnr artikelnr artikelnummer artnrkunde artnrlief artnrlieferant artikel gtin itemno itemcode sku productid productcode article ean ref reference code art"},
    {Column::description, "beschreibung bezeichnung artikelbezeichnung artikelbeschreibung produkt produktbeschreibung leistung description item items product productname service "
                          "designation libelle descrizione descripcion omschrijving concepto text details itemdescription leistungsbeschreibung produktname"},
    {Column::quantity, "menge anzahl quantity qty quantite qte quantita cantidad hoeveelheid aantal stk stuck units hours stunden std"},
    {Column::unit, "einheit unit me unite um"},
    {Column::unit_price, "nettopreis einzelpreis preis preiseinh preisproeinheit stuckpreis epreis ep unitprice price rate prixunitaire pu prix prezzounitario prezzo preciounitario precio prijs "
                         "unitpriceexclvat einzelpreisnetto priceperunit netprice netunitprice unitcost puht uprice"},
    {Column::tax_rate, "steuersatz ust mwst vat vat2 tva iva btw steuer mwstsatz ustsatz taxrate btwvat vatrate tax"},
    {Column::discount, "rabatt discount rem remise disc sconto descuento korting"},
    {Column::line_total, "nettobetrag gesamt gesamtbetrag gesamtpreis betrag netto nettowert entgelt positionsbetrag summe amount linetotal total lineamount lineamountexclvat pricewotax pricewo prixht totalht montant montantht "
                         "importo importe bedrag totale totalprice extendedprice netamount nettosumme gesamtnetto wert linetotalnet amountrm amountexclvat subtotal"},
    {Column::ignored, "warenwert basisbetrag steuerbetrag zuabschlag"},
};
// clang-format on

const std::unordered_map<std::string_view, Column>& columns() {
  static const auto map = [] {
    std::unordered_map<std::string_view, Column> out;
    for (const ColumnEntry& entry : column_entries) {
      std::string_view rest = entry.words;
      while (!rest.empty()) {
        const std::size_t blank = rest.find(' ');
        if (const std::string_view word = rest.substr(0, blank); !word.empty())
          out.emplace(word, entry.column);
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
      }
    }
    return out;
  }();
  return map;
}

// Calls `hit(value, token count)` for every known phrase that starts at `at`; the last is longest.
template <class Map, class Hit>
void phrases(const Map& map, const Line& line, std::size_t at, Hit hit) {
  constexpr std::size_t most_tokens = 8, most_letters = 60;
  std::string joined;
  for (std::size_t i = at; i < line.tokens.size() && i - at < most_tokens; ++i) {
    if (i > at && line.tokens[i].starts_cell && !line.tokens[i].folded.empty()) break;
    joined += line.tokens[i].folded;
    if (joined.size() > most_letters) break;
    if (joined.empty()) break;  // a label does not begin with a sign
    if (auto found = map.find(joined); found != map.end()) hit(found->second, i - at + 1);
    if (line.tokens[i].text.ends_with(':') && i > at) {
      // Nothing of a label comes after its colon.
      break;
    }
  }
}

bool contains_any(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(words,
                             [&](std::string_view w) { return text.find(w) != std::string_view::npos; });
}

}  // namespace

std::optional<LabelMatch> match_label(const Line& line, std::size_t at) {
  std::optional<LabelMatch> best;
  phrases(labels(), line, at, [&](const std::pair<Label, float>& found, std::size_t tokens) {
    best = LabelMatch{found.first, found.second, tokens};
  });
  return best;
}

std::optional<ColumnMatch> match_column(const Line& line, std::size_t at) {
  std::optional<ColumnMatch> best;
  phrases(columns(), line, at, [&](Column column, std::size_t tokens) {
    best = ColumnMatch{column, tokens};
  });
  return best;
}

bool is_invoice_word(std::string_view folded) {
  static constexpr std::array<std::string_view, 6> parts{"rechnung", "gutschrift", "buchungshilfe",
                                                         "facture",  "factuur",    "fattura"};
  static constexpr std::array<std::string_view, 16> words{
      "invoice",  "factura",   "faktura",  "avoir",    "creditnote", "receipt",
      "quittung", "kassenbon", "bill",     "einvoice", "taxinvoice", "betaaloverzichtnummer",
      "inv",      "invoices",  "ricevuta", "invoiceno"};
  return contains_any(folded, parts) || std::ranges::find(words, folded) != words.end();
}

bool is_credit_note_word(std::string_view folded) {
  static constexpr std::array<std::string_view, 7> parts{
      "gutschrift", "rechnungskorrektur", "korrekturrechnung", "stornorechnung",
      "creditnote", "notadicredito",      "notadecredito"};
  return contains_any(folded, parts) || folded == "avoir";
}

bool is_order_word(std::string_view folded) {
  static constexpr std::array<std::string_view, 15> words{
      "bestellung", "auftrag",  "angebot", "lieferung", "lieferschein", "vertrag",  "gemass",  "zu",
      "order",      "commande", "liee",    "delivery",  "quote",        "contract", "original"};
  return std::ranges::find(words, folded) != words.end();
}

bool is_company_suffix(std::string_view token) {
  while (!token.empty() && (token.back() == ',' || token.back() == ';' || token.back() == ')'))
    token.remove_suffix(1);
  static constexpr std::array<std::string_view, 44> suffixes{
      "GmbH", "AG",   "KG",   "OHG",    "UG",     "e.V.",  "eG",          "GbR",     "KGaA",
      "SE",   "GMBH", "Ltd",  "Ltd.",   "LTD",    "LTD.",  "Limited",     "LIMITED", "Inc",
      "Inc.", "INC",  "LLC",  "LLP",    "Corp",   "Corp.", "Corporation", "PLC",     "plc",
      "SARL", "SAS",  "S.A.", "S.A.S.", "S.r.l.", "SRL",   "S.p.A.",      "SpA",     "S.L.",
      "B.V.", "b.v.", "BV",   "N.V.",   "BHD",    "BHD.",  "Bhd",         "a.G."};
  return std::ranges::find(suffixes, token) != suffixes.end();
}

}  // namespace celeriac
