// Net, tax and gross. Pages carry many sums; the three that add up are taken, and that they
// do is the best evidence there is. The currency is read here too: it stands with them.
#include "tasks/extraction/rules.hpp"

#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <map>

namespace celeriac::rules {
namespace {

struct Sum {
  std::int64_t cents;
  FoundAmount found;
  double score;
};

using Sums = std::vector<Sum>;

void keep(Sums& sums, const FoundAmount& found, double score) {
  auto value = cents(found.amount.value);
  if (!value) return;
  if (found.amount.decimals != 2) score *= found.amount.currency.empty() ? 0.45 : 0.75;
  if (found.amount.decimals > 2) return;
  for (Sum& known : sums)
    if (known.cents == *value) {
      if (score > known.score) known = {*value, found, score};
      return;
    }
  sums.push_back({*value, found, score});
}

// Whether a word, not an amount or a currency, goes on in the label's own cell.
bool reads_on(const Reading& reading, const Span& right) {
  if (right.first >= right.last) return false;
  const Token& next = reading.line(right).tokens[right.first];
  return !next.starts_cell && next.folded.size() > 1 && next.text.front() != '(' &&
         !parse_currency(next.text) &&
         std::ranges::none_of(next.text, [](char c) { return c >= '0' && c <= '9'; });
}

Sums collect(const Reading& reading, Label wanted) {
  Sums sums;
  const double lines = std::max<double>(1, static_cast<double>(reading.layout.lines.size()));
  for (const FoundLabel& label : reading.labels) {
    if (label.label != wanted) continue;
    // Sums stand at the end: of two equal candidates the later one is meant.
    const double later = 0.05 * static_cast<double>(label.line) / lines;
    const Span right = right_of(reading, label);
    const auto amounts = amounts_in(reading, right);
    // "Total items 12": the words that follow change what the label means.
    const double direct = reads_on(reading, right) ? 0.45 : 1.0;
    for (std::size_t i = 0; i < amounts.size(); ++i)
      keep(sums, amounts[i], direct * label.weight * (i + 1 == amounts.size() ? 1.0 : 0.6) + later);
    if (!amounts.empty()) continue;
    const auto cells = below(reading, label, 12);
    std::vector<FoundAmount> column;
    for (const Span& cell : cells) {
      const auto in_cell = amounts_in(reading, cell);
      const bool sum = !in_cell.empty() && in_cell.back().amount.decimals == 2;
      if (!sum && !column.empty()) break;  // below the column of sums
      if (sum) column.push_back(in_cell.back());
    }
    for (std::size_t i = 0; i < column.size(); ++i)
      keep(sums, column[i], label.weight * (i + 1 == column.size() ? 0.75 : i == 0 ? 0.65 : 0.5) + later);
  }
  std::ranges::stable_sort(sums, std::greater<>{}, &Sum::score);
  constexpr std::size_t most = 16;
  if (sums.size() > most) sums.resize(most);
  return sums;
}

// Some of the tax lines (one per rate) that make up `wanted`; their mean score, or nothing.
std::optional<double> tax_lines(const Sums& taxes, std::int64_t wanted) {
  const std::size_t n = std::min<std::size_t>(taxes.size(), 10);
  std::optional<double> best;
  for (std::size_t set = 1; set < (std::size_t{1} << n); ++set) {
    if (__builtin_popcountll(set) > 4) continue;
    std::int64_t sum = 0;
    double score = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (set >> i & 1) sum += taxes[i].cents, score += taxes[i].score;
    score /= static_cast<double>(__builtin_popcountll(set));
    if (sum == wanted && (!best || score > *best)) best = score;
  }
  return best;
}

struct Choice {
  const Sum* net = nullptr;
  const Sum* tax = nullptr;
  const Sum* gross = nullptr;
  std::int64_t tax_cents = 0;
  double score = -1;
};

Choice choose(const Sums& nets, const Sums& taxes, const Sums& grosses) {
  Choice best;
  for (const Sum& gross : grosses)
    for (const Sum& net : nets) {
      const std::int64_t wanted = gross.cents - net.cents;
      // Tax has the sign of the net and is less than half of it.
      if (std::abs(wanted) * 2 > std::abs(net.cents) || (wanted < 0) != (net.cents < 0 && wanted != 0))
        continue;
      Choice choice{&net, nullptr, &gross, wanted, gross.score + net.score};
      for (const Sum& tax : taxes)
        if (std::abs(tax.cents - wanted) <= 1 && (!choice.tax || tax.score > choice.tax->score))
          choice.tax = &tax;
      if (choice.tax) {
        choice.tax_cents = choice.tax->cents;
        choice.score += 0.5 + choice.tax->score;
      } else if (auto lines = tax_lines(taxes, wanted)) {
        choice.score += 0.3 + *lines;
      } else {
        continue;
      }
      if (choice.score > best.score) best = choice;
    }
  return best;
}

void read_currency(const Reading& reading, const Field& total, ExtractedInvoice& invoice) {
  for (const FoundLabel& label : reading.labels) {
    if (label.label != Label::currency) continue;
    const Span span = right_of(reading, label);
    for (std::size_t i = span.first; i < std::min(span.last, span.first + 2); ++i)
      if (auto code = parse_currency(reading.line(span).tokens[i].text))
        offer(invoice.currency, make_field(reading, *code, {span.line, i, i + 1}, 0.97));
  }
  if (invoice.currency.present()) return;
  // Next to the total, else whatever the page uses most.
  std::map<std::string, std::pair<double, Span>> votes;
  for (std::size_t l = 0; l < reading.layout.lines.size(); ++l) {
    const Line& line = reading.layout.lines[l];
    const bool total_line =
        total.box && line.page == total.page && line.box.y0 <= total.box->y1 && line.box.y1 >= total.box->y0;
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      auto code = parse_currency(line.tokens[i].text);
      if (!code)
        if (auto amount = parse_amount(line.tokens[i].text); amount && !amount->currency.empty())
          code = amount->currency;
      if (!code && line.tokens[i].folded == "dollars") code = "USD";
      if (!code) continue;
      auto& [votes_for, where] = votes[*code];
      votes_for += total_line ? 20 : 1;
      where = {l, i, i + 1};
    }
  }
  const auto best = std::ranges::max_element(votes, {}, [](const auto& v) { return v.second.first; });
  if (best == votes.end()) return;
  const double sureness = best->second.first >= 20 ? 0.93 : best->second.first >= 3 ? 0.8 : 0.6;
  invoice.currency = make_field(reading, best->first, best->second.second, sureness);
}

Field sum_field(const Reading& reading, const Sum& sum, double sureness) {
  return make_field(reading, from_cents(sum.cents), sum.found.span, sureness);
}

}  // namespace

void read_totals(const Reading& reading, ExtractedInvoice& invoice) {
  const Sums nets = collect(reading, Label::net), taxes = collect(reading, Label::tax);
  const Sums due = collect(reading, Label::amount_due);
  Sums grosses = collect(reading, Label::gross);
  for (const Sum& sum : due) keep(grosses, sum.found, sum.score * 0.7);
  std::ranges::stable_sort(grosses, std::greater<>{}, &Sum::score);

  const Choice choice = choose(nets, taxes, grosses);
  const bool outvoted = choice.gross && !grosses.empty() && choice.gross->score < 0.5 * grosses.front().score;
  if (choice.gross && !outvoted) {
    invoice.subtotal = sum_field(reading, *choice.net, 0.97);
    invoice.total_amount = sum_field(reading, *choice.gross, 0.97);
    const Span where = choice.tax ? choice.tax->found.span : choice.gross->found.span;
    invoice.tax_amount = make_field(reading, from_cents(choice.tax_cents), where, choice.tax ? 0.97 : 0.85);
    if (!choice.tax) invoice.tax_amount.box.reset();
  } else {
    if (!grosses.empty())
      invoice.total_amount = sum_field(reading, grosses.front(), std::min(0.8, 0.75 * grosses.front().score));
    if (!nets.empty() && nets.front().score > 0.7) invoice.subtotal = sum_field(reading, nets.front(), 0.5);
    if (!taxes.empty() && taxes.front().score > 0.7)
      invoice.tax_amount = sum_field(reading, taxes.front(), 0.5);
    if (!nets.empty() && !taxes.empty() && !grosses.empty())
      invoice.warn("totals_disagree", "no net, tax and total on the page add up");
  }
  if (!due.empty()) invoice.amount_due = sum_field(reading, due.front(), 0.7);
  read_currency(reading, invoice.total_amount, invoice);
}

}  // namespace celeriac::rules
