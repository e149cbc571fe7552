// What the rules look at: an invoice and what the database knows around it. Plain values, as
// stored: amounts in plain decimals, dates yyyy-mm-dd, an empty string is an absent value.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct LineFacts {
  int number = 0;
  std::string description, quantity, unit_price, line_total;
  std::string item_number = {}, tax_rate = {};  // per cent
  std::string discount = {};                    // a fraction of the price
};

struct VendorFacts {
  std::string id, name, tax_id, currency;
  bool active = true;
  int payment_terms_days = 30;
  std::string credit_limit, max_invoice_amount;  // absent: none
  std::string spend = "0";                       // of its other unpaid invoices in this currency
};

struct OrderLine {
  std::string item_number, description, quantity, amount;
};

struct OrderFacts {
  std::string id, number, vendor_id, currency, total;
  std::string status;  // DRAFT, SENT, PARTIAL, RECEIVED, CLOSED, CANCELLED
  std::vector<OrderLine> lines;
  int receipts = 0;                 // goods receipt notes
  std::vector<OrderLine> received;  // their lines, summed by item
};

// An earlier invoice of the same vendor.
struct TwinFacts {
  std::string invoice_id, invoice_number, total_amount, invoice_date;
  bool same_number = false, same_total = false, same_date = false;
  int days_apart = 0;
};

struct InvoiceFacts {
  std::string vendor_name, invoice_number, invoice_date, currency;
  std::string subtotal, tax_amount, total_amount;
  std::vector<LineFacts> lines;

  std::string due_date = {}, vendor_tax_id = {}, po_number = {}, tax_rate = {}, freight = {};
  bool credit_note = false;
  std::string confidence = {};       // of the reading, 0 to 1
  std::optional<int> age_days = {};  // from its date to its arrival; negative: dated ahead
  std::optional<int> due_days = {};  // from its date to its due date
  bool vendors_known = false;        // there are vendors to compare with
  std::optional<VendorFacts> vendor = {};
  std::optional<OrderFacts> order = {};
  std::vector<TwinFacts> twins = {};
};

}  // namespace celeriac
