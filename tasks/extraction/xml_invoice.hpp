// Structured e-invoices: UN/CEFACT CII (Factur-X, XRechnung, ZUGFeRD 1 and 2), UBL Invoice
// and CreditNote, and FatturaPA.
#pragma once

#include "tasks/extraction/invoice.hpp"

namespace celeriac {

// Reads one XML document. A document with a DTD is refused unread, so entities can neither
// grow nor fetch. Elements are found by local name, whatever prefixes a writer chose. Values
// that are not in the form their syntax asks for are left empty with a warning.
Extracted<ExtractedInvoice> read_xml_invoice(std::string_view xml);

}  // namespace celeriac
