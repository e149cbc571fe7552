#!/usr/bin/env python3
"""Writes the sample documents of this folder.

    python3 make_documents.py [FOLDER]

invoice.pdf     a German invoice with a text layer
einvoice.pdf    an English invoice that carries its data as Factur-X XML (UN/CEFACT CII)
receipt.png     a till receipt without any text layer, as a scanner delivers it

Needs Python's standard library and pdftoppm (Debian package poppler-utils).
All names, numbers and accounts are invented.
"""
import pathlib
import subprocess
import sys
import tempfile
import zlib


class Page:
    """Text at positions; x and y in points from the top left corner."""

    def __init__(self, width=595, height=842):
        self.width, self.height, self.parts = width, height, []

    def text(self, x, y, text, size=10, bold=False, right=False):
        data = text.encode("cp1252")
        if right:
            x -= width_of(text, size)
        escaped = data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        font = b"/F2" if bold else b"/F1"
        self.parts.append(b"BT %s %g Tf %g %g Td (%s) Tj ET" % (font, size, x, self.height - y, escaped))
        return self


# Helvetica's widths, enough to set numbers flush right.
WIDTHS = {" ": 278, ",": 278, ".": 278, "-": 333, "€": 556, "%": 889}


def width_of(text, size):
    return sum(WIDTHS.get(c, 556 if c.isdigit() else 600) for c in text) * size / 1000


def write_pdf(path, page, attachment=None):
    content = zlib.compress(b"\n".join(page.parts))
    objects = [
        None,  # the catalog, once it is known what it points at
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R /Resources "
        b"<< /Font << /F1 5 0 R /F2 6 0 R >> >> >>" % (page.width, page.height),
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    catalog = b"<< /Type /Catalog /Pages 2 0 R"
    if attachment:
        name, data = attachment
        packed = zlib.compress(data)
        objects.append(b"<< /Type /EmbeddedFile /Subtype /text#2Fxml /Length %d /Filter /FlateDecode /Params << /Size %d >> >>\n"
                       b"stream\n%s\nendstream" % (len(packed), len(data), packed))
        objects.append(b"<< /Type /Filespec /F (%s) /UF (%s) /AFRelationship /Data /EF << /F 7 0 R >> >>" % (name, name))
        catalog += b" /Names << /EmbeddedFiles << /Names [(%s) 8 0 R] >> >> /AF [8 0 R]" % name
    objects[0] = catalog + b" >>"
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(out)


def invoice():
    p = Page()
    p.text(60, 60, "Nordlicht Möbel GmbH", 16, bold=True)
    p.text(60, 110, "Nordlicht Möbel GmbH · Hafenstraße 7 · 20457 Hamburg", 7)
    for i, line in enumerate(["Café Morgenrot KG", "Lindenweg 12", "50667 Köln"]):
        p.text(60, 130 + 14 * i, line)
    p.text(60, 220, "Rechnung", 14, bold=True)
    for i, (label, value) in enumerate([("Rechnungsnummer:", "NM-2024-0815"), ("Rechnungsdatum:", "14.03.2024"),
                                        ("Fällig am:", "13.04.2024"), ("Ihre Bestellung:", "CM-77120"), ("Kundennummer:", "10442")]):
        p.text(350, 130 + 14 * i, label).text(460, 130 + 14 * i, value)
    y = 260
    p.text(60, y, "Pos", 9, bold=True).text(90, y, "Beschreibung", 9, bold=True)
    p.text(350, y, "Menge", 9, bold=True, right=True).text(430, y, "Einzelpreis", 9, bold=True, right=True)
    p.text(475, y, "USt", 9, bold=True, right=True).text(540, y, "Betrag", 9, bold=True, right=True)
    rows = [("1", "Stuhl Eiche natur", "12", "89,50", "19 %", "1.074,00"), ("2", "Tisch rund 80 cm", "3", "240,00", "19 %", "720,00"),
            ("3", "Bildband Hafen", "2", "24,90", "7 %", "49,80")]
    for i, (pos, text, quantity, price, rate, total) in enumerate(rows):
        y = 280 + 18 * i
        p.text(60, y, pos).text(90, y, text).text(350, y, quantity, right=True).text(430, y, price, right=True)
        p.text(475, y, rate, right=True).text(540, y, total, right=True)
    for i, (label, value) in enumerate([("Nettobetrag", "1.843,80 €"), ("USt. 19 %", "340,86 €"), ("USt. 7 %", "3,49 €"),
                                        ("Gesamtbetrag", "2.188,15 €")]):
        p.text(350, 360 + 16 * i, label, bold=i == 3).text(540, 360 + 16 * i, value, bold=i == 3, right=True)
    p.text(60, 450, "Bitte überweisen Sie den Betrag auf das unten genannte Konto.")
    for i, line in enumerate(["Nordlicht Möbel GmbH · Amtsgericht Hamburg HRB 999999", "USt-IdNr.: DE123456789",
                              "IBAN: DE02 1203 0000 0000 2020 51"]):
        p.text(60, 780 + 11 * i, line, 8)
    return p


CII = """<?xml version="1.0" encoding="UTF-8"?>
<rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
 xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
 xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
 <rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>urn:cen.eu:en16931:2017</ram:ID>
 </ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
 <rsm:ExchangedDocument><ram:ID>HW-5521</ram:ID><ram:TypeCode>380</ram:TypeCode>
  <ram:IssueDateTime><udt:DateTimeString format="102">20240502</udt:DateTimeString></ram:IssueDateTime></rsm:ExchangedDocument>
 <rsm:SupplyChainTradeTransaction>
  <ram:IncludedSupplyChainTradeLineItem>
   <ram:AssociatedDocumentLineDocument><ram:LineID>1</ram:LineID></ram:AssociatedDocumentLineDocument>
   <ram:SpecifiedTradeProduct><ram:Name>Roof inspection</ram:Name></ram:SpecifiedTradeProduct>
   <ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>65.00</ram:ChargeAmount></ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
   <ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="HUR">4</ram:BilledQuantity></ram:SpecifiedLineTradeDelivery>
   <ram:SpecifiedLineTradeSettlement>
    <ram:ApplicableTradeTax><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S</ram:CategoryCode><ram:RateApplicablePercent>20</ram:RateApplicablePercent></ram:ApplicableTradeTax>
    <ram:SpecifiedTradeSettlementLineMonetarySummation><ram:LineTotalAmount>260.00</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation>
   </ram:SpecifiedLineTradeSettlement>
  </ram:IncludedSupplyChainTradeLineItem>
  <ram:ApplicableHeaderTradeAgreement>
   <ram:SellerTradeParty><ram:Name>Harbour Works Ltd</ram:Name>
    <ram:PostalTradeAddress><ram:PostcodeCode>BS1 4RN</ram:PostcodeCode><ram:LineOne>3 Quay Street</ram:LineOne><ram:CityName>Bristol</ram:CityName><ram:CountryID>GB</ram:CountryID></ram:PostalTradeAddress>
    <ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">GB123456789</ram:ID></ram:SpecifiedTaxRegistration></ram:SellerTradeParty>
   <ram:BuyerTradeParty><ram:Name>Old Mill Bakery</ram:Name></ram:BuyerTradeParty>
   <ram:BuyerOrderReferencedDocument><ram:IssuerAssignedID>OMB-19</ram:IssuerAssignedID></ram:BuyerOrderReferencedDocument>
  </ram:ApplicableHeaderTradeAgreement>
  <ram:ApplicableHeaderTradeDelivery/>
  <ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>GBP</ram:InvoiceCurrencyCode>
   <ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime><udt:DateTimeString format="102">20240601</udt:DateTimeString></ram:DueDateDateTime></ram:SpecifiedTradePaymentTerms>
   <ram:SpecifiedTradeSettlementHeaderMonetarySummation><ram:LineTotalAmount>260.00</ram:LineTotalAmount>
    <ram:TaxBasisTotalAmount>260.00</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="GBP">52.00</ram:TaxTotalAmount>
    <ram:GrandTotalAmount>312.00</ram:GrandTotalAmount><ram:DuePayableAmount>312.00</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>
  </ram:ApplicableHeaderTradeSettlement>
 </rsm:SupplyChainTradeTransaction>
</rsm:CrossIndustryInvoice>
"""


def einvoice():
    p = Page()
    p.text(60, 60, "Harbour Works Ltd", 16, bold=True).text(60, 78, "3 Quay Street").text(60, 92, "Bristol BS1 4RN")
    p.text(400, 60, "INVOICE", 16, bold=True)
    for i, (label, value) in enumerate([("Invoice No.", "HW-5521"), ("Invoice Date", "May 2, 2024"), ("Due Date", "June 1, 2024"),
                                        ("PO Number", "OMB-19")]):
        p.text(400, 90 + 14 * i, label).text(480, 90 + 14 * i, value)
    p.text(60, 150, "Bill To:", bold=True).text(60, 166, "Old Mill Bakery").text(60, 180, "9 Mill Lane").text(60, 194, "Bath BA1 1AA")
    p.text(60, 240, "Description", bold=True).text(330, 240, "Quantity", bold=True).text(400, 240, "Unit Price", bold=True)
    p.text(500, 240, "Amount", bold=True)
    p.text(60, 260, "Roof inspection").text(370, 260, "4", right=True).text(450, 260, "65.00", right=True).text(540, 260, "260.00", right=True)
    for i, (label, value) in enumerate([("Subtotal", "£260.00"), ("VAT 20%", "£52.00"), ("Total", "£312.00")]):
        p.text(400, 300 + 16 * i, label, bold=i == 2).text(490, 300 + 16 * i, value, bold=i == 2)
    p.text(60, 800, "Harbour Works Ltd, VAT No. GB123456789", 8)
    return p


def receipt():
    p = Page(220, 330)
    for y, line, bold in [(26, "CORNER KIOSK LTD", True), (40, "12 Station Road", False), (54, "Reading RG1 1AA", False),
                          (74, "VAT No. GB987654321", False), (94, "RECEIPT NO. 004711", True), (108, "Date: 21/06/2024 14:05", False)]:
        p.text(24, y, line, 10, bold=bold)
    for y, text, amount in [(138, "Newspaper", "2.80"), (154, "Coffee large", "3.40"), (170, "Sandwich", "4.90")]:
        p.text(24, y, text).text(190, y, amount, right=True)
    p.text(24, 200, "Subtotal").text(190, 200, "9.25", right=True)
    p.text(24, 216, "VAT").text(190, 216, "1.85", right=True)
    p.text(24, 234, "TOTAL GBP", 11, bold=True).text(190, 234, "11.10", 11, bold=True, right=True)
    p.text(24, 252, "CASH").text(190, 252, "20.00", right=True)
    p.text(24, 268, "CHANGE").text(190, 268, "8.90", right=True)
    p.text(24, 300, "Thank you, see you soon!")
    return p


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    write_pdf(folder / "invoice.pdf", invoice())
    write_pdf(folder / "einvoice.pdf", einvoice(), (b"factur-x.xml", CII.encode()))
    with tempfile.TemporaryDirectory() as scratch:
        page = pathlib.Path(scratch) / "receipt.pdf"
        write_pdf(page, receipt())
        subprocess.run(["pdftoppm", "-r", "200", "-gray", "-png", "-singlefile", page, folder / "receipt"], check=True)


if __name__ == "__main__":
    main()
