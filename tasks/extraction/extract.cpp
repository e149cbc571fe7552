// From bytes to an invoice: what the file is, which of its forms to trust, in which order.
#include "tasks/extraction/confidence.hpp"
#include "tasks/extraction/rules.hpp"
#include "tasks/extraction/text.hpp"
#include "tasks/extraction/xml_invoice.hpp"

#include "tasks/engines/file_type.hpp"

#include <algorithm>
#include <fstream>

namespace celeriac {
namespace {

using Clock = std::chrono::steady_clock;

tl::unexpected<ExtractError> refuse(ExtractErrorCode code, std::string message) {
  return tl::unexpected(ExtractError{code, std::move(message)});
}

// One call of extract_document: its options, and when it has to be over.
class Run {
 public:
  explicit Run(const ExtractOptions& options) : options_(options), ends_(Clock::now() + options.deadline) {}

  Extracted<ExtractedInvoice> document(std::string_view bytes);

 private:
  Extracted<ExtractedInvoice> pdf(std::string_view bytes);
  Extracted<ExtractedInvoice> picture(std::string_view bytes);
  Extracted<std::vector<PageText>> text_layer(PdfDocument&);
  Extracted<std::vector<PageText>> ocr_pages(
      Engines&, int pages, const std::function<Extracted<std::unique_ptr<Image>>(int)>& open);
  Extracted<ExtractedInvoice> from_pages(const std::vector<PageText>&, FieldSource);
  void embedded_xml(const PdfFacts&, ExtractedInvoice& page);
  bool has_readable_xml(const PdfFacts&) const;

  // An error when the call has to end now.
  Extracted<void> go_on() const {
    if (options_.cancelled && options_.cancelled()) return refuse(ExtractErrorCode::cancelled, "cancelled");
    if (Clock::now() >= ends_) return refuse(ExtractErrorCode::timeout, "the deadline has passed");
    return {};
  }
  void progress(std::string_view stage, int done, int total) const {
    if (options_.progress) options_.progress(stage, done, total);
  }

  const ExtractOptions& options_;
  Clock::time_point ends_;
};

Extracted<ExtractedInvoice> Run::document(std::string_view bytes) {
  if (bytes.size() > options_.max_bytes)
    return refuse(ExtractErrorCode::too_large, std::to_string(bytes.size()) + " bytes; at most " +
                                                   std::to_string(options_.max_bytes) + " are read");
  progress("detect", 0, 1);
  const FileType type = detect_file_type(bytes);
  if (type == FileType::empty) return refuse(ExtractErrorCode::empty_file, "the file is empty");
  auto result = [&]() -> Extracted<ExtractedInvoice> {
    if (type == FileType::pdf) return pdf(bytes);
    if (is_image(type)) return picture(bytes);
    if (type == FileType::xml) return read_xml_invoice(bytes);
    return refuse(ExtractErrorCode::unsupported_type, std::string(mime_type(type)) + " is not read");
  }();
  if (result) {
    result->mime_type = mime_type(type);
    check_totals(*result);
    result->confidence = overall_confidence(*result);
  }
  return result;
}

bool has_text(const std::vector<PageText>& pages) {
  std::size_t letters = 0;
  for (const PageText& page : pages)
    for (const Word& word : page.words) letters += word.text.size();
  return letters >= 20;
}

Extracted<std::vector<PageText>> Run::text_layer(PdfDocument& document) {
  const int pages = document.page_count();
  std::vector<PageText> out;
  int unreadable = 0;
  for (int page = 1; page <= pages; ++page) {
    if (auto on = go_on(); !on) return tl::unexpected(on.error());
    progress("text", page - 1, pages);
    auto text = document.text(page);
    if (text) {
      out.push_back(std::move(*text));
    } else {
      ++unreadable;
      out.emplace_back();
    }
  }
  if (unreadable == pages) return refuse(ExtractErrorCode::corrupt, "no page of the PDF can be read");
  return out;
}

Extracted<std::vector<PageText>> Run::ocr_pages(
    Engines& engines, int pages, const std::function<Extracted<std::unique_ptr<Image>>(int)>& open) {
  std::vector<PageText> out;
  const OcrControl control{ends_, options_.cancelled};
  for (int page = 0; page < pages; ++page) {
    if (auto on = go_on(); !on) return tl::unexpected(on.error());
    progress("ocr", page, pages);
    auto image = open(page);
    if (!image) return tl::unexpected(image.error());
    auto text = engines.recognise(**image, control);
    if (!text) return tl::unexpected(text.error());
    out.push_back(std::move(*text));
  }
  return out;
}

Extracted<ExtractedInvoice> Run::from_pages(const std::vector<PageText>& pages, FieldSource source) {
  if (auto on = go_on(); !on) return tl::unexpected(on.error());
  progress("fields", 0, 1);
  const Layout layout = make_layout(pages);
  const rules::Reading reading = rules::start_reading(layout, source);
  ExtractedInvoice invoice;
  invoice.method = source == FieldSource::ocr ? ExtractMethod::ocr : ExtractMethod::text;
  invoice.page_count = static_cast<int>(pages.size());
  rules::read_identifiers(reading, invoice);
  rules::read_dates(reading, invoice);
  rules::read_totals(reading, invoice);
  rules::read_parties(reading, invoice);
  rules::read_line_items(reading, invoice);
  rules::classify(reading, invoice);
  invoice.raw_text = layout.text();
  if (invoice.raw_text.size() > ExtractedInvoice::max_raw_text) {
    invoice.raw_text.resize(ExtractedInvoice::max_raw_text);
    invoice.raw_text = valid_utf8(invoice.raw_text);
  }
  if (layout.lines.empty()) invoice.warn("no_text", "the pages hold no text");
  progress("fields", 1, 1);
  return invoice;
}

// What XML and page say of the same field must agree; a page that shows another number than
// the booked one is a known way to cheat.
void report_conflicts(const ExtractedInvoice& xml, const ExtractedInvoice& page, ExtractedInvoice& out) {
  for (auto member : {&ExtractedInvoice::invoice_number, &ExtractedInvoice::total_amount}) {
    const Field &a = xml.*member, &b = page.*member;
    const bool number = member == &ExtractedInvoice::invoice_number;
    if (!a.present() || !b.present() || b.confidence < 0.7) continue;
    const bool same = number ? fold(a.value) == fold(b.value) : cents(a.value) == cents(b.value);
    if (!same)
      out.warn("xml_conflicts_with_page", std::string(number ? "invoice_number" : "total_amount") + ": " +
                                              a.value + " in the XML, " + b.value + " on the page");
  }
}

void Run::embedded_xml(const PdfFacts& facts, ExtractedInvoice& page) {
  for (const std::string& name : facts.refused_attachments)
    page.warn("attachment_too_large", "an attached XML file was not read: " + valid_utf8(name).substr(0, 80));
  if (options_.ignore_embedded_xml) return;
  for (const Attachment& attachment : facts.xml) {
    progress("xml", 0, 1);
    auto xml = read_xml_invoice(attachment.bytes);
    if (!xml) {
      page.warn("xml_invalid", "attached XML: " + xml.error().message);
      continue;
    }
    xml->page_count = page.page_count;
    xml->raw_text = std::move(page.raw_text);
    for (Warning& warning : page.warnings)
      if (warning.code != "not_an_invoice" && warning.code != "totals_disagree")
        xml->warnings.push_back(std::move(warning));
    report_conflicts(*xml, page, *xml);
    // Where a value stands on the page helps whoever checks it.
    for (const auto& [name, member] : header_fields()) {
      const Field& seen = page.*member;
      if ((*xml.*member).present() && seen.value == (*xml.*member).value) {
        (*xml.*member).page = seen.page;
        (*xml.*member).box = seen.box;
      }
    }
    page = std::move(*xml);
    return;
  }
}

bool Run::has_readable_xml(const PdfFacts& facts) const {
  return !options_.ignore_embedded_xml && std::ranges::any_of(facts.xml, [](const Attachment& a) {
    return read_xml_invoice(a.bytes).has_value();
  });
}

Extracted<ExtractedInvoice> Run::pdf(std::string_view bytes) {
  auto engines = load_engines();
  if (!engines) return tl::unexpected(engines.error());
  auto document = (*engines)->open_pdf(bytes, {});
  if (!document) return tl::unexpected(document.error());
  PdfDocument& pdf = **document;
  if (pdf.page_count() > options_.max_pages)
    return refuse(ExtractErrorCode::too_many_pages, std::to_string(pdf.page_count()) + " pages; at most " +
                                                        std::to_string(options_.max_pages) + " are read");
  auto pages = text_layer(pdf);
  if (!pages) return tl::unexpected(pages.error());

  FieldSource source = FieldSource::text;
  bool page_unread = false;
  if (!has_text(*pages)) {
    if (has_readable_xml(pdf.facts())) {
      page_unread = true;  // OCR would cost seconds to tell what the XML says exactly
    } else {
      pages = ocr_pages(**engines, pdf.page_count(), [&](int page) { return pdf.render(page + 1, 200); });
      if (!pages) return tl::unexpected(pages.error());
      source = FieldSource::ocr;
    }
  }
  auto invoice = from_pages(*pages, source);
  if (!invoice) return invoice;
  if (page_unread)
    invoice->warn("page_not_read", "the pages are pictures; they were not compared with the XML");
  if (pdf.facts().repaired) invoice->warn("damaged", "the PDF is damaged and was read as far as possible");
  if (pdf.facts().active_content)
    invoice->warn("active_content", "the PDF wants to run scripts or programs; none was run");
  embedded_xml(pdf.facts(), *invoice);
  return invoice;
}

Extracted<ExtractedInvoice> Run::picture(std::string_view bytes) {
  auto engines = load_engines();
  if (!engines) return tl::unexpected(engines.error());
  auto count = (*engines)->count_images(bytes);
  if (!count) return tl::unexpected(count.error());
  if (*count > options_.max_pages)
    return refuse(ExtractErrorCode::too_many_pages, std::to_string(*count) + " pictures; at most " +
                                                        std::to_string(options_.max_pages) + " are read");
  auto pages =
      ocr_pages(**engines, *count, [&](int index) { return (*engines)->open_image(bytes, index, {}); });
  if (!pages) return tl::unexpected(pages.error());
  return from_pages(*pages, FieldSource::ocr);
}

}  // namespace

Extracted<ExtractedInvoice> extract_document(std::string_view bytes, const ExtractOptions& options) {
  return Run(options).document(bytes);
}

Extracted<ExtractedInvoice> extract_file(const std::string& path, const ExtractOptions& options) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(options.max_bytes + 1, '\0');
  if (!file || !file.read(bytes.data(), 0))
    return refuse(ExtractErrorCode::unreadable_file, "cannot open " + path);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.bad()) return refuse(ExtractErrorCode::unreadable_file, "cannot read " + path);
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return extract_document(bytes, options);
}

}  // namespace celeriac
