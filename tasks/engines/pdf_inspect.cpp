// A first look at a PDF with QPDF: what it attaches, whether it wants to run something, and
// whether it unpacks to more than we are willing to interpret. Poppler cannot bound either.
#include "tasks/engines/module.hpp"

#include <qpdf/Pipeline.hh>
#include <qpdf/QPDF.hh>
#include <qpdf/QPDFEmbeddedFileDocumentHelper.hh>
#include <qpdf/QPDFExc.hh>
#include <qpdf/QPDFPageDocumentHelper.hh>
#include <stdexcept>

namespace celeriac::engines {
namespace {

struct TooMuch : std::runtime_error {
  TooMuch() : std::runtime_error("unpacks to more than the limit") {}
};

// Ends decoding as soon as the limit is passed; nothing beyond it is ever held.
class BoundedSink final : public Pipeline {
 public:
  BoundedSink(std::size_t limit, std::string* keep)
      : Pipeline("bounded", nullptr), limit_(limit), keep_(keep) {}
  void write(const unsigned char* data, std::size_t size) override {
    if (size > limit_ - seen_) {
      exceeded_ = true;
      throw TooMuch();
    }
    seen_ += size;
    if (keep_) keep_->append(reinterpret_cast<const char*>(data), size);
  }
  void finish() override {}
  // QPDF turns what its pipelines throw into a warning, so the exception alone is not seen.
  bool exceeded() const { return exceeded_; }
  std::size_t seen() const { return seen_; }

 private:
  std::size_t limit_, seen_ = 0;
  std::string* keep_;
  bool exceeded_ = false;
};

// Between two filters of a chain nothing is held either: QPDF streams.
std::size_t decode(QPDFObjectHandle stream, std::size_t limit, std::string* keep) {
  BoundedSink sink(limit, keep);
  bool filtered = false;
  stream.pipeStreamData(&sink, &filtered, 0, qpdf_dl_generalized, true, false);
  if (sink.exceeded()) throw TooMuch();
  return sink.seen();
}

bool is_xml_name(const std::string& name) {
  return name.size() > 4 && (name.ends_with(".xml") || name.ends_with(".XML"));
}

bool is_active(QPDFObjectHandle dictionary) {
  if (!dictionary.isDictionary()) return false;
  for (const char* key : {"/OpenAction", "/AA"}) {
    QPDFObjectHandle action = dictionary.getKey(key);
    if (action.isDictionary() &&
        (key[1] == 'A' || (action.getKey("/S").isName() && action.getKey("/S").getName() != "/GoTo")))
      return true;
  }
  QPDFObjectHandle names = dictionary.getKey("/Names");
  return names.isDictionary() && names.hasKey("/JavaScript");
}

void collect_attachments(QPDF& pdf, const EngineLimits& limits, PdfFacts& facts) {
  constexpr std::size_t most = 20;
  std::size_t budget = limits.max_attachment_bytes;
  for (auto& [key, spec] : QPDFEmbeddedFileDocumentHelper(pdf).getEmbeddedFiles()) {
    std::string name = spec->getFilename();
    if (name.empty()) name = key;
    if (!is_xml_name(name) || facts.xml.size() >= most) continue;
    QPDFObjectHandle stream = spec->getEmbeddedFileStream();
    if (!stream.isStream()) continue;
    Attachment attachment{name, {}};
    try {
      budget -= decode(stream, budget, &attachment.bytes);
      facts.xml.push_back(std::move(attachment));
    } catch (const TooMuch&) {
      facts.refused_attachments.push_back(name);
    }
  }
}

void look_at_images(QPDFObjectHandle resources, const EngineLimits& limits, PdfFacts& facts, int depth) {
  if (depth > 3 || !resources.isDictionary()) return;
  QPDFObjectHandle objects = resources.getKey("/XObject");
  if (!objects.isDictionary()) return;
  for (const std::string& key : objects.getKeys()) {
    QPDFObjectHandle object = objects.getKey(key);
    if (!object.isStream()) continue;
    QPDFObjectHandle dict = object.getDict();
    QPDFObjectHandle w = dict.getKey("/Width"), h = dict.getKey("/Height");
    if (w.isInteger() && h.isInteger() && w.getIntValue() > 0 && h.getIntValue() > 0 &&
        static_cast<double>(w.getIntValue()) * static_cast<double>(h.getIntValue()) >
            static_cast<double>(limits.max_image_pixels))
      facts.image_bomb = true;
    look_at_images(dict.getKey("/Resources"), limits, facts, depth + 1);
  }
}

void look_at_pages(QPDF& pdf, const EngineLimits& limits, Inspection& out) {
  constexpr int most_pages = 200;  // more are refused by their number alone
  auto pages = QPDFPageDocumentHelper(pdf).getAllPages();
  out.pages = static_cast<int>(pages.size());
  std::size_t budget = limits.max_content_bytes;
  int seen = 0;
  for (auto& page : pages) {
    if (++seen > most_pages) break;
    QPDFObjectHandle object = page.getObjectHandle();
    if (is_active(object)) out.facts.active_content = true;
    for (QPDFObjectHandle& content : object.getPageContents()) budget -= decode(content, budget, nullptr);
    look_at_images(page.getAttribute("/Resources", false), limits, out.facts, 0);
  }
}

}  // namespace

Extracted<Inspection> inspect_pdf(std::string_view bytes, const EngineLimits& limits) {
  Inspection out;
  try {
    QPDF pdf;
    pdf.setSuppressWarnings(true);
    pdf.processMemoryFile("document", bytes.data(), bytes.size());
    out.facts.active_content = is_active(pdf.getRoot());
    look_at_pages(pdf, limits, out);
    collect_attachments(pdf, limits, out.facts);
    out.facts.repaired = pdf.anyWarnings();
    out.readable = true;
  } catch (const TooMuch&) {
    return failure(
        ExtractErrorCode::decompression_bomb,
        "the page description unpacks to more than " + std::to_string(limits.max_content_bytes) + " bytes");
  } catch (const QPDFExc& e) {
    if (e.getErrorCode() == qpdf_e_password)
      return failure(ExtractErrorCode::password_required, "the PDF needs a password");
  } catch (const std::exception&) {
    // Damaged beyond QPDF's repair; `readable` says so.
  }
  return out;
}

}  // namespace celeriac::engines
