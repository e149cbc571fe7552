// Finding values in an XML tree by local names.
#pragma once

#include "tasks/extraction/invoice.hpp"

#include <pugixml.hpp>
#include <vector>

namespace celeriac::xml {

// Without its namespace prefix.
std::string_view local_name(const pugi::xml_node&);

// The first node on a path of local names: "Agreement|OldAgreement/SellerTradeParty/Name".
// Alternatives are tried in their order. Null when there is none.
pugi::xml_node find(pugi::xml_node from, std::string_view path);
std::vector<pugi::xml_node> all(pugi::xml_node from, std::string_view name);

Field text(pugi::xml_node);
Field date(pugi::xml_node, ExtractedInvoice& report);     // ISO or yyyymmdd
Field decimal(pugi::xml_node, ExtractedInvoice& report);  // xs:decimal

// The one of several amounts that is in `currency`, else the first.
pugi::xml_node in_currency(const std::vector<pugi::xml_node>&, std::string_view currency);

Field field(std::string value);  // certain, from XML

void read_cii(pugi::xml_node root, ExtractedInvoice&);
void read_ubl(pugi::xml_node root, ExtractedInvoice&);
void read_fatturapa(pugi::xml_node root, ExtractedInvoice&);

}  // namespace celeriac::xml
